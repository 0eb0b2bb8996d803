"""The arithmetic of the limits: plain functions of the time they are told.

What lives here: windows, waits and allowances, and the earliest moment for one more start. What it must not know:
tasks, files, other processes, requests.

The rule: what counts is what the server sees, and it sees a start later than we made it. How much later lies between
nothing and the round trip, so a start is held for the window's length, the headroom, and whatever its round trip took
longer than the shortest one, up to a tenth of the window. A strict window trusts no shortest one and holds a start
from its answer.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, takewhile
from typing import Protocol

from fetcher.fetch.breaker import Call, Sign
from fetcher.job.units import CalendarRate, Rate

CATCH_UP = 0.4
"""How much of one spacing a late start may be made up for. More bunches starts; none loses the timers' lateness."""

AT_FIRST, AT_FIRST_S = 10, 0.005
"""So many starts of a process are further apart, by so much: they open connections, and how long that takes differs. It
helps where it differs by less than the spacing and this."""

UNEVEN = 0.6
"""By what share of its distance a start may leave too early: more than `CATCH_UP`, or those in time would be held."""

LONGEST_HOLD_S = 0.02
"""So long a start that is ready to leave may be held, and not longer than its distance: it has a connection."""

ROUND_TRIPS_KEPT = 100
ROUND_TRIPS_TRUSTED = 10
"""Fewer say nothing of the spread: the shortest of one round trip is that one, however long it was."""

LARGEST_DELAY = 0.1
"""A slow answer is taken for a slow way there up to this share of a window; beyond it, for a server that thinks."""

FOR_EVER = float("inf")
STARTS_REMEMBERED = 1000
"""For windows that the server tells of once some starts are made."""


class WindowSettings(Protocol):
    """The part of a job that says how fast."""

    @property
    def rate(self) -> Sequence[Rate | CalendarRate]: ...
    @property
    def spacing(self) -> float | None: ...
    @property
    def smooth(self) -> bool | None: ...
    @property
    def strict(self) -> bool: ...
    @property
    def headroom(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Allowance:
    """A server's word: no more than `remaining` further starts before `until` (monotonic seconds).

    The newest word for a name rules: the answer to the newest start, for answers overtake each other. It holds besides
    the declared limits and never raises one. `start` is that start's number; those between it and `last`, the newest
    when the word came, may not have been counted in it.
    """

    name: str
    remaining: int
    until: float
    start: int = 0
    last: int = 0


@dataclass(slots=True, eq=False)
class Start:
    """One request on its way: when it left, and how long its answer took (None until it ends), in seconds.

    One that `has_left` not yet waits for a connection; the server sees nothing of it, and may see it at any time.
    `weight` is what it counts for in a window, `number` its place among all starts. `call` and `sign` are for the
    breaker. One that `is_ours` has been let go by this process.
    """

    at: float
    round_trip_s: float | None = None
    has_left: bool = False
    weight: int = 1
    number: int = 0
    call: Call | None = None
    sign: Sign = Sign.NONE
    is_ours: bool = False


@dataclass(slots=True)
class Window:
    """At most `rate.starts` arrivals in any `rate.per_s` seconds: an exact log of the last starts, oldest first.

    Arrivals count by their weight, unless `is_weighted` is false.
    """

    rate: Rate
    headroom: float
    is_smooth: bool
    is_strict: bool = False
    is_weighted: bool = True
    starts: deque[Start] = field(default_factory=deque)
    held: int = 0
    next_even: float = float("-inf")
    next_leave: float = float("-inf")

    def ready_at(self, shortest_s: float, weight: int = 1) -> float:
        """The earliest moment at which one more start keeps the window whole; infinity while only an answer tells."""
        ready = self.next_even if self.is_smooth else float("-inf")
        room = self.rate.starts - (weight if self.is_weighted else 1)
        held = self.held
        for start in self.starts:
            if held <= room:
                break
            ready = max(ready, start.at + self._held_s() + self._delay_s(start, shortest_s))
            held -= self._weight(start)
        return ready

    def commit(self, start: Start) -> None:
        """Count a start."""
        weight = self._weight(start)
        self.starts.append(start)
        self.held += weight
        # What is beyond the newest `rate.starts` can hold nothing back any more.
        while self.held - self._weight(self.starts[0]) >= self.rate.starts:
            self.held -= self._weight(self.starts.popleft())
        spacing = self._spacing_s()
        self.next_even = max(self.next_even, start.at - CATCH_UP * spacing) + spacing * weight

    def keep_distance(self, start: Start) -> None:
        """The next even start keeps its distance from the moment in which this one has left."""
        self.next_even = max(self.next_even, start.at + self._spacing_s() * self._weight(start) + AT_FIRST_S)

    def may_leave_at(self, start: Start) -> float:
        """When a start that was made, and is ready to leave, keeps its distance from those that have left."""
        return self.next_leave - UNEVEN * self.distance_s(start) if self.is_smooth else float("-inf")

    def let_go(self, start: Start, now: float) -> None:
        """That start leaves now, in time or not."""
        distance_s = self.distance_s(start)
        self.next_leave = min(max(now, self.next_leave), now + UNEVEN * distance_s) + distance_s

    def note_left(self, start: Start) -> None:
        """That start has left, perhaps later than it was let go."""
        self.next_leave = max(self.next_leave, start.at + self.distance_s(start))

    def distance_s(self, start: Start) -> float:
        """How long after a start the next even one is due."""
        return self._spacing_s() * self._weight(start) if self.is_smooth else 0.0

    def reweigh(self, start: Start, weight: int) -> None:
        """That start turns out to weigh something else; to be told before its weight is changed.

        Even starts come sooner, or later, by as much: else a job that guesses high would keep to its guess.
        """
        if self.is_weighted and self.starts and start.number >= self.starts[0].number:
            self.held += weight - start.weight
            more_s = (weight - start.weight) * self._spacing_s()
            self.next_even += more_s
            if start.is_ours:
                self.next_leave += more_s

    def _weight(self, start: Start) -> int:
        return start.weight if self.is_weighted else 1

    def _held_s(self) -> float:
        return self.rate.per_s * (1 + self.headroom)

    def _spacing_s(self) -> float:
        return self._held_s() / self.rate.starts

    def _delay_s(self, start: Start, shortest_s: float) -> float:
        if start.round_trip_s is None and not start.has_left:
            return FOR_EVER
        if self.is_strict:
            return FOR_EVER if start.round_trip_s is None else start.round_trip_s
        most = LARGEST_DELAY * self.rate.per_s
        # The shortest may have been forgotten since: a delay below nothing would shorten the window.
        return most if start.round_trip_s is None else min(most, max(0.0, start.round_trip_s - shortest_s))


@dataclass(slots=True)
class Pace:
    """Every window of a realm at once, the waits that its server asked for, and what it told of allowances and windows
    of its own."""

    windows: Sequence[Window]
    told_windows: dict[str, Window] = field(default_factory=dict)
    recent: deque[Start] = field(default_factory=lambda: deque(maxlen=STARTS_REMEMBERED))
    cool_until: float = float("-inf")
    round_trips: deque[float] = field(default_factory=lambda: deque(maxlen=ROUND_TRIPS_KEPT))
    allowances: dict[str, Allowance] = field(default_factory=dict)
    made: int = 0
    at_first: int = AT_FIRST
    is_open: bool = False

    def ready_at(self, weight: int = 1) -> float:
        """The earliest moment for one more start; minus infinity when nothing holds it back.

        Until the very first one has left, nobody follows where starts are to be even: those who wait for a first
        connection together leave as one.
        """
        if self.made and not self.is_open and any(window.is_smooth for window in self.windows):
            return FOR_EVER
        shortest_s = min(self.round_trips) if len(self.round_trips) >= ROUND_TRIPS_TRUSTED else 0.0
        told = [self.told_until(), *(told.until for told in self.allowances.values() if self._is_in_doubt(told))]
        return max([*told, *(window.ready_at(shortest_s, weight) for window in self._all_windows())])

    def _is_in_doubt(self, told: Allowance) -> bool:
        """Whether starts that are under way may have taken what remains; the next answer to one tells."""
        if told.remaining < 1 or told.remaining > told.last - told.start:
            return False
        since = takewhile(lambda start: start.number > told.start, reversed(self.recent))
        under_way = sum(start.number <= told.last and start.round_trip_s is None for start in since)
        return under_way >= told.remaining

    def told_until(self) -> float:
        """Until when the server's own words allow no start."""
        spent = (told.until for told in self.allowances.values() if told.remaining < 1)
        return max([self.cool_until, *spent])

    def commit(self, now: float, weight: int = 1) -> Start:
        """Count one start in every window, and in every allowance."""
        self.made += 1
        start = Start(now, weight=weight, number=self.made)
        self.recent.append(start)
        for window in self._all_windows():
            window.commit(start)
        for told in [told for told in self.allowances.values() if told.until > now]:
            self.allowances[told.name] = replace(told, remaining=told.remaining - 1)
        return start

    def may_leave_at(self, start: Start) -> float:
        """When a start of this process, which has its connection, may go out; minus infinity for at once.

        Starts are made evenly, but how long each takes to its connection differs: they would leave in bunches.
        """
        return max((window.may_leave_at(start) for window in self._all_windows()), default=float("-inf"))

    def longest_hold_s(self, start: Start) -> float:
        """For how long a start that is ready may be held."""
        return min(LONGEST_HOLD_S, max((window.distance_s(start) for window in self._all_windows()), default=0.0))

    def let_go(self, start: Start, now: float) -> None:
        """A start of this process leaves now, in time or not."""
        start.is_ours = True
        for window in self._all_windows():
            window.let_go(start, now)

    def left_here(self, start: Start, now: float) -> None:
        """A start of this process goes out now; those behind it keep their distance from this moment."""
        self.left(start, now)
        for window in self._all_windows():
            window.note_left(start)
            if self.at_first:
                window.keep_distance(start)
        self.at_first = max(0, self.at_first - 1)

    def left(self, start: Start, now: float) -> None:
        """That start goes out only now: the server saw nothing of it until now."""
        start.at = now
        start.has_left = self.is_open = True

    def answered(self, start: Start, now: float) -> None:
        """The first byte of the answer to that start is here."""
        self.is_open = True
        start.round_trip_s = now - start.at
        self.round_trips.append(start.round_trip_s)

    def ended(self, start: Start, now: float) -> None:
        """That start has its answer, or will never have one; if it arrived at all, it was before now."""
        self.is_open = True
        if start.round_trip_s is None:
            start.round_trip_s = now - start.at

    def settle(self, start: Start, weight: int) -> None:
        """That start has cost something else than was thought before it left."""
        for window in self._all_windows():
            window.reweigh(start, weight)
        start.weight = weight

    def cool_down(self, until: float) -> None:
        """No start before `until`; an earlier, longer wait stays."""
        self.cool_until = max(self.cool_until, until)

    def told(self, allowance: Allowance) -> bool:
        """A word of the server by that name; False where a newer one rules."""
        before = self.allowances.get(allowance.name)
        if before and before.start > allowance.start:
            return False
        self.allowances[allowance.name] = replace(allowance, last=self.made)
        return True

    def keep_to(self, name: str, window: Window) -> None:
        """The server's newest word of a window by that name. It holds besides the declared ones, and for the starts
        that were made before it was told."""
        standing = self.told_windows.get(name)
        if standing is None or standing.rate != window.rate:
            for start in self.recent:
                window.commit(start)
            self.told_windows[name] = window

    def _all_windows(self) -> Iterable[Window]:
        return chain(self.windows, self.told_windows.values()) if self.told_windows else self.windows


def pace(limits: WindowSettings) -> Pace:
    """The windows that a job declares."""
    windows = [window_of(rate, limits) for rate in limits.rate if isinstance(rate, Rate)]
    if limits.spacing:
        apart = Rate(1, limits.spacing)
        windows.append(Window(apart, limits.headroom, False, is_strict=limits.strict, is_weighted=False))
    return Pace(windows)


def window_of(rate: Rate, limits: WindowSettings, *, is_weighted: bool = True) -> Window:
    """The window of a rate. Starts are spaced evenly above one a second unless the job says otherwise."""
    is_smooth = rate.starts > rate.per_s if limits.smooth is None else limits.smooth
    return Window(rate, limits.headroom, is_smooth, is_strict=limits.strict, is_weighted=is_weighted)
