"""How fast a realm may be asked, and how many requests may be under way there.

What lives here: the arithmetic of the windows (`Pace`, plain functions of the time it is told) and one thin shell
that waits (`Realm`). What it must not know: requests, answers, retries.

The rule: what counts is what the server sees, and it sees a start later than we made it. How much later lies between
nothing and the round trip, so a start is held for the window's length, the headroom, and whatever its round trip took
longer than the shortest one, up to a tenth of the window. A strict window trusts no shortest one and holds a start
from its answer.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Protocol

from fetcher.job.units import Rate

CATCH_UP = 0.25
"""How much of one spacing a late start may be made up for. More bunches starts; none loses the timers' lateness."""

ROUND_TRIPS_KEPT = 100
ROUND_TRIPS_TRUSTED = 10
"""Fewer say nothing of the spread: the shortest of one round trip is that one, however long it was."""

LARGEST_DELAY = 0.1
"""A slow answer is taken for a slow way there up to this share of a window; beyond it, for a server that thinks."""


class LimitSettings(Protocol):
    """The part of a job that says how fast."""

    @property
    def rate(self) -> Sequence[Rate]: ...
    @property
    def concurrency(self) -> int: ...
    @property
    def smooth(self) -> bool | None: ...
    @property
    def strict(self) -> bool: ...
    @property
    def headroom(self) -> float: ...


@dataclass(slots=True, eq=False)
class Start:
    """One request on its way: when it left, and how long its answer took (None until it ends), in seconds.

    One that `has_left` not yet waits for a connection; the server sees nothing of it, and may see it at any time.
    """

    at: float
    round_trip_s: float | None = None
    has_left: bool = False


@dataclass(slots=True)
class Window:
    """At most `rate.starts` arrivals in any `rate.per_s` seconds: an exact log of the last starts, oldest first."""

    rate: Rate
    headroom: float
    is_smooth: bool
    is_strict: bool = False
    starts: deque[Start] = field(default_factory=deque)
    next_even: float = float("-inf")

    def ready_at(self, shortest_s: float) -> float:
        """The earliest moment at which one more start keeps the window whole; infinity while only an answer tells."""
        by_log = float("-inf")
        if len(self.starts) >= self.rate.starts:
            oldest = self.starts[0]
            by_log = oldest.at + self._held_s() + self._delay_s(oldest, shortest_s)
        return max(by_log, self.next_even) if self.is_smooth else by_log

    def commit(self, start: Start) -> None:
        """Count a start."""
        if len(self.starts) >= self.rate.starts:
            self.starts.popleft()
        self.starts.append(start)
        spacing = self._held_s() / self.rate.starts
        self.next_even = max(self.next_even, start.at - CATCH_UP * spacing) + spacing

    def _held_s(self) -> float:
        return self.rate.per_s * (1 + self.headroom)

    def _delay_s(self, start: Start, shortest_s: float) -> float:
        if start.round_trip_s is None and not start.has_left:
            return float("inf")
        if self.is_strict:
            return float("inf") if start.round_trip_s is None else start.round_trip_s
        most = LARGEST_DELAY * self.rate.per_s
        # The shortest may have been forgotten since: a delay below nothing would shorten the window.
        return most if start.round_trip_s is None else min(most, max(0.0, start.round_trip_s - shortest_s))


@dataclass(slots=True)
class Pace:
    """Every window of a realm at once, and the waits that its server asked for."""

    windows: Sequence[Window]
    cool_until: float = float("-inf")
    round_trips: deque[float] = field(default_factory=lambda: deque(maxlen=ROUND_TRIPS_KEPT))

    def ready_at(self) -> float:
        """The earliest moment for one more start; minus infinity when nothing holds it back."""
        shortest_s = min(self.round_trips) if len(self.round_trips) >= ROUND_TRIPS_TRUSTED else 0.0
        return max([self.cool_until, *(window.ready_at(shortest_s) for window in self.windows)])

    def commit(self, now: float) -> Start:
        """Count one start in every window."""
        start = Start(now)
        for window in self.windows:
            window.commit(start)
        return start

    def left(self, start: Start, now: float) -> None:
        """That start goes out only now: it had no connection until now, and the server saw nothing of it."""
        start.at = now
        start.has_left = True

    def answered(self, start: Start, now: float) -> None:
        """The first byte of the answer to that start is here."""
        start.round_trip_s = now - start.at
        self.round_trips.append(start.round_trip_s)

    def ended(self, start: Start, now: float) -> None:
        """That start has its answer, or will never have one; if it arrived at all, it was before now."""
        if start.round_trip_s is None:
            start.round_trip_s = now - start.at

    def cool_down(self, until: float) -> None:
        """No start before `until`; an earlier, longer wait stays."""
        self.cool_until = max(self.cool_until, until)


def pace(limits: LimitSettings) -> Pace:
    """The windows that a job declares. Starts are spaced evenly above one a second unless the job says otherwise."""
    return Pace(
        [
            Window(
                rate,
                limits.headroom,
                is_smooth=rate.starts > rate.per_s if limits.smooth is None else limits.smooth,
                is_strict=limits.strict,
            )
            for rate in limits.rate
        ]
    )


class Realm:
    """What a limit is about: an origin and a credential. Starts leave in the order in which they were asked for."""

    def __init__(self, limits: LimitSettings, clock: Callable[[], float]) -> None:
        self.pace = pace(limits)
        self._clock = clock
        self._slots = asyncio.BoundedSemaphore(limits.concurrency)
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()

    @asynccontextmanager
    async def start(self, max_wait_s: float) -> AsyncIterator[Start]:
        """Hold a slot from the permitted moment of one start to the end of the block, which tells of the answer.

        The slot is taken before the rate: the other order lets starts pile up behind a full house and leave at once.
        Raises `TooLong` when the realm is cooling down for longer than `max_wait_s`; the caller parks its row.
        """
        async with self._slots:
            async with self._turn:
                await self._permission(max_wait_s)
                start = self.pace.commit(self._clock())
            try:
                yield start
            finally:
                self.pace.ended(start, self._clock())
                self._news.set()

    def left(self, start: Start) -> None:
        """The request of that start goes out at this moment, over a connection that is open."""
        self.pace.left(start, self._clock())
        self._news.set()

    def answered(self, start: Start) -> None:
        """The first byte of the answer to that start is here; whoever waits may have to wait for less."""
        self.pace.answered(start, self._clock())
        self._news.set()

    async def _permission(self, max_wait_s: float) -> None:
        while (wait_s := self.pace.ready_at() - (now := self._clock())) > 0:
            if self.pace.cool_until - now > max_wait_s:
                raise TooLong(self.pace.cool_until - now)
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s if wait_s < float("inf") else None):
                    await self._news.wait()


class TooLong(Exception):
    """The realm is cooling down for `wait_s` more seconds."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__(f"the server asked for a wait of {wait_s:.0f} s")
