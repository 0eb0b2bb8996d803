"""The realm: one thin shell around the windows, that waits.

A start is held back by what `windows` and `rations` say; here is only who waits for it, in which order, and for how
long. What other processes do there comes through the shared log of starts.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

from fetcher.fetch.crowd import Crowd
from fetcher.fetch.health import Health, Hopeless
from fetcher.fetch.hints import Hints
from fetcher.fetch.policies import REQUESTS
from fetcher.fetch.quotas import Quotas
from fetcher.fetch.rations import Rations, RationSettings, UsedUp
from fetcher.fetch.starts import Clocks, StartsLog
from fetcher.fetch.waking import news_within
from fetcher.fetch.windows import LARGEST_DELAY, Allowance, Pace, Start, WindowSettings, pace, window_of
from fetcher.job.units import Rate

TURN_S = 0.001
"""Another process decides on its start meanwhile, which takes microseconds."""

LOOK_S = 0.02
"""How often a realm that waits looks for what other processes have written."""

LOOK_FOR_THE_GONE_S = 0.5
LARGEST_TOLD, LONGEST_TOLD_S = 100_000, 3600.0
"""Of larger windows that a server tells of, it is what remains that counts, which servers tell beside them."""

KEPT_WAIT_S = 5.0
"""Longer waits survive a power cut."""


class LimitSettings(WindowSettings, RationSettings, Protocol):
    """The part of a job that says how fast, and how much."""

    @property
    def concurrency(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Shared:
    """What a realm shares with other runs: the user's folder, the realm's key, and the job's, for its hard stops."""

    folder: Path
    realm: str
    job: str
    clocks: Clocks


class Realm:
    """`async with Realm(...)`: what a limit is about, an origin and a credential.

    Starts are permitted in the order in which they were asked for. Without `shared`, nobody else is known of, and what
    may be used up is not counted; without `health`, failures change nothing; without a `crowd` it is the run's only
    one.
    """

    def __init__(
        self,
        limits: LimitSettings,
        clock: Callable[[], float],
        shared: Shared | None = None,
        health: Health | None = None,
        *,
        crowd: Crowd | None = None,
    ) -> None:
        self._limits = limits
        self.pace = pace(limits)
        self._clock = clock
        self._slots = asyncio.BoundedSemaphore(limits.concurrency)
        self._turn = asyncio.Lock()
        self._leaving = asyncio.Lock()
        self._news = asyncio.Event()
        self._crowd = crowd or Crowd()
        self._crowd.join(self._news)
        self._shared = shared
        self._health = health
        self._log: StartsLog | None = None
        self._rations: Rations | None = None
        self._looked_at = float("-inf")
        self._kept_waits: dict[str, float] = {}
        self._saving: set[asyncio.Task[None]] = set()
        self._saving_turn = asyncio.Lock()
        if shared:
            self._quotas = Quotas(shared.folder / "quotas.sqlite")
            self._log = StartsLog(
                shared.folder / "starts" / f"{shared.realm}.log", self.pace, horizon_s(self.pace), shared.clocks
            )
            began = shared.clocks.wall() - clock()
            self._rations = Rations(
                limits,
                self._quotas,
                shared.realm,
                shared.job,
                lambda: (shared.clocks.wall(), began + clock()),
            )

    async def __aenter__(self) -> Self:
        if self._log and self._shared:
            wall = self._shared.clocks.wall()
            until = await asyncio.to_thread(self._quotas.begun, self._shared.realm, wall)
            self.pace.cool_down(self._clock() + until - wall)
            self._log.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._rations:
                await self._rations.close()
            await asyncio.gather(*self._saving)
        finally:
            if self._log:
                self._log.close()

    @asynccontextmanager
    async def start(self, max_wait_s: float, weight: int = 1) -> AsyncIterator[Start]:
        """Hold a slot from the permitted moment of one start to the end of the block, which tells of the answer.

        The slot is taken before the rate: the other order lets starts pile up behind a full house and leave at once.
        Raises `TooLong` when the realm is closed for longer than `max_wait_s`; the caller parks its row. Raises
        `Hopeless` when it has failed for too long.
        """
        async with self._slots:
            async with self._turn:
                start = await self._permitted(max_wait_s, weight)
            try:
                yield start
            finally:
                if self._health:
                    self._health.ended(start, self._clock())
                is_news = start.round_trip_s is None
                self.pace.ended(start, self._clock())
                if self._log and is_news:
                    self._log.ended(start)
                self._crowd.ended()

    async def turn_to_leave(self, start: Start) -> None:
        """Return when that start, which has its connection now, keeps its distance from those that left before it, or
        it or one of those before it has been held for as long as may be."""
        until = self._clock() + self.pace.longest_hold_s(start)
        async with self._leaving:
            if (wait_s := min(until, self.pace.may_leave_at(start)) - self._clock()) > 0:
                await asyncio.sleep(wait_s)
            self.pace.let_go(start, self._clock())

    def left(self, start: Start) -> None:
        """The request of that start goes out at this moment, over a connection that is open."""
        self.pace.left_here(start, self._clock())
        if self._log:
            self._log.left(start)
        self._news.set()

    def answered(self, start: Start) -> None:
        """The first byte of the answer to that start is here; whoever waits may have to wait for less."""
        self.pace.answered(start, self._clock())
        if self._log:
            self._log.ended(start)
        self._news.set()

    def settle(self, start: Start, cost: int) -> None:
        """The answer tells what that start has cost; until now it counted for what the job says."""
        before = start.weight
        self.pace.settle(start, cost)
        if self._log:
            self._log.reweighed(start)
        if self._rations:
            self._rations.settle(before, cost)
        self._news.set()

    def obey(self, said: Hints, start: Start, *, is_about_job: bool = False) -> None:
        """Keep to what the answer to a start says of waits and allowances: whoever asks next, not only who got it.

        A wait that is about the job which a request has begun is that job's.
        """
        now = self._clock()
        if said.wait_s and not is_about_job:
            self.cool_down(now + said.wait_s)
        for allowance in said.allowances:
            self.told(Allowance(allowance.name, allowance.remaining, now + allowance.reset_s, start.number))
        for quota in said.quotas:
            if quota.unit == REQUESTS:
                self.keep_to(quota.name, Rate(quota.units, quota.per_s))
        if said.concurrency is not None:
            self.cap(said.concurrency)

    def cool_down(self, until: float) -> None:
        """The server wants no start before `until` (monotonic seconds), whoever makes it."""
        self.pace.cool_down(until)
        if self._log:
            self._log.cooled(until)
        self._keep_wait("", self.pace.cool_until)

    def cap(self, concurrency: int) -> None:
        """The server allows no more calls at once than so many."""
        if self._health:
            self._health.cap(concurrency)

    def told(self, allowance: Allowance) -> None:
        """The server tells how many more starts it allows; the newest word by that name rules."""
        if not self.pace.told(allowance):
            return
        if allowance.remaining < 1:
            self._keep_wait(allowance.name, allowance.until)
        elif allowance.name in self._kept_waits:
            self._save_wait(allowance.name, self._clock())
        self._news.set()

    def keep_to(self, name: str, rate: Rate) -> None:
        """The server tells of a window, which counts requests; a job that knows of none is held by it all the same."""
        if rate.starts <= LARGEST_TOLD and rate.per_s <= LONGEST_TOLD_S:
            self.pace.keep_to(name, window_of(rate, self._limits, is_weighted=False))

    def _keep_wait(self, name: str, until: float) -> None:
        if until - self._clock() > KEPT_WAIT_S and abs(until - self._kept_waits.get(name, 0.0)) > 1.0:
            self._save_wait(name, until)

    def _save_wait(self, name: str, until: float) -> None:
        if self._shared:
            self._kept_waits[name] = until
            wall = self._shared.clocks.wall()
            saved = asyncio.ensure_future(self._keep(self._shared.realm, name, wall, wall + until - self._clock()))
            self._saving.add(saved)
            saved.add_done_callback(self._saved)

    async def _keep(self, *wait: Any) -> None:
        async with self._saving_turn:  # in the order in which they were told: the newest word rules
            await asyncio.to_thread(self._quotas.keep_wait, *wait)

    def _saved(self, saved: "asyncio.Task[None]") -> None:
        if saved.cancelled() or saved.exception() is None:  # an error is for whoever closes
            self._saving.discard(saved)

    async def _permitted(self, max_wait_s: float, weight: int) -> Start:
        while True:
            self._check_words(max_wait_s)
            if self._rations and not await self._has_rations(self._rations, max_wait_s, weight):
                continue
            with self._in_turn() as is_ours:
                if is_ours and (wait_s := self._ready_at(weight) - self._clock()) <= 0:
                    if not self._rations or self._rations.take(weight):
                        return self._made(weight)
                    wait_s = 0.0
            self._check_words(max_wait_s)
            await self._wait(wait_s if is_ours else TURN_S, is_ours)

    def _ready_at(self, weight: int) -> float:
        if self._crowd.under_way >= self._limits.concurrency:
            return float("inf")  # until one of them ends
        ready = self.pace.ready_at(weight)
        return max(ready, self._health.ready_at()) if self._health else ready

    def _check_words(self, max_wait_s: float) -> None:
        now = self._clock()
        wait_s = self.pace.told_until() - now
        if wait_s > max_wait_s:
            raise TooLong(wait_s)
        if self._health and self._health.hopeless_at() <= now:
            raise Hopeless

    async def _has_rations(self, rations: Rations, max_wait_s: float, weight: int) -> bool:
        """Whether there are; sits a short wait for them out."""
        try:
            await rations.ensure(weight)
        except UsedUp as end:
            if end.wait_s is None or end.wait_s > max_wait_s:
                raise TooLong(end.wait_s, str(end)) from end
            await asyncio.sleep(end.wait_s)
            return False
        return True

    @contextmanager
    def _in_turn(self) -> Iterator[bool]:
        """Whether no other process can make a start until the block ends."""
        if not self._log:
            yield True
            return
        with self._log.turn() as is_ours:
            now = self._clock()
            if is_ours and self._log.waits_for_strangers and now - self._looked_at >= LOOK_FOR_THE_GONE_S:
                self._looked_at = now
                self._log.end_those_of_the_gone()
            yield is_ours

    def _made(self, weight: int) -> Start:
        start = self.pace.commit(self._clock(), weight)
        self._crowd.under_way += 1
        if self._health:
            self._health.begun(start)
        if self._log:
            self._log.made(start)
        return start

    async def _wait(self, wait_s: float, may_look: bool) -> None:
        if may_look and self._log and self._log.waits_for_strangers:
            wait_s = min(wait_s, LOOK_S)
        if self._health:
            wait_s = min(wait_s, max(0.0, self._health.hopeless_at() - self._clock()))
        await news_within(self._news, wait_s, self._clock)


class TooLong(Exception):
    """The realm is closed for `wait_s` more seconds; None where only another job file opens it again."""

    def __init__(self, wait_s: float | None, message: str = "") -> None:
        self.wait_s = wait_s
        super().__init__(message or f"the server asked for a wait of {wait_s:.0f} s")


def horizon_s(windows: Pace) -> float:
    """How long a start can hold another back."""
    spans = [window.rate.per_s * (1 + window.headroom + LARGEST_DELAY) for window in windows.windows]
    return max(spans, default=0.0)


def realm_key(base_url: str, credentials: Mapping[str, str], name: str | None) -> str:
    """What a realm is known by, 32 letters: its name, or the origin and the credential, which cannot be read out."""
    if name is not None:
        parts = ["name", name]
    else:
        where = urlsplit(base_url)
        port = where.port or {"http": 80, "https": 443}.get(where.scheme, 0)
        parts = ["origin", f"{where.scheme}://{where.hostname}:{port}"]
        parts += sorted(f"{key.lower()}: {value}" for key, value in credentials.items())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
