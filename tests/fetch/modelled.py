"""Runs on a virtual clock: rows, the real retries, budget, breaker and adaptive slots, and APIs that are functions.

What stands in for the client does what the client does with them, in the same order: slot, then breaker and rate
together, then the call, whose end is told to both.
"""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

from fetcher.carriers import MOST_IN_STALL, SPARE_ROWS
from fetcher.errors import GaveUp
from fetcher.fetch.adaptive import Adaptive
from fetcher.fetch.breaker import Breaker, Call, Sign, sign_of
from fetcher.fetch.budget import Budget
from fetcher.fetch.hints import Hints
from fetcher.fetch.retries import AttemptFailed, Retries, judged
from fetcher.job import sections
from fetcher.model import Response
from fetcher.testing.clock import VirtualClock, run_virtual

SETTINGS = sections.Retries()
NEVER_S = 1e9


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call gets: a status, after so many seconds."""

    status: int
    after_s: float


@dataclass(frozen=True, slots=True)
class Asked:
    """One call as an API sees it: when, for which row, and how many are under way there with it."""

    at: float
    row: int
    under_way: int
    chance: random.Random


Api = Callable[[Asked], Answer]


@dataclass(frozen=True, slots=True)
class Terms:
    """How a run may ask. No rate: as fast as the slots allow."""

    rate_per_s: float = 20.0
    concurrency: int = 8
    timeout_s: float = 30.0
    has_breaker: bool = True
    is_adaptive: bool = True


@dataclass(slots=True)
class Seen:
    """What the API saw and what became of the rows: (time, status) of calls and of answers; (time, slots)."""

    calls: list[float] = field(default_factory=list)
    answers: list[tuple[float, int]] = field(default_factory=list)
    slots: list[tuple[float, int]] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    timeouts: int = 0
    ended_s: float = 0.0

    @property
    def calls_per_row(self) -> float:
        """Amplification."""
        return len(self.calls) / self.ends.total()

    def asked_per_s(self, begin_s: float, end_s: float) -> float:
        """Calls a second in a span."""
        return sum(begin_s <= at < end_s for at in self.calls) / (end_s - begin_s)

    def done_per_s(self, begin_s: float, end_s: float) -> float:
        """Good answers a second in a span."""
        return sum(begin_s <= at < end_s for at, status in self.answers if status == 200) / (end_s - begin_s)

    def fewest_slots(self, begin_s: float, end_s: float) -> int:
        """The least that was in use at an answer in a span."""
        return min(slots for at, slots in self.slots if begin_s <= at < end_s)


class ModelledRealm:
    """One API and all that holds its calls back."""

    def __init__(self, api: Api, terms: Terms, clock: VirtualClock, chance: random.Random) -> None:
        self.api, self.terms, self.clock, self.chance = api, terms, clock, chance
        self.seen = Seen()
        self.breaker = Breaker(SETTINGS.first_wait, SETTINGS.longest_wait, random.Random(1))
        self.adaptive = Adaptive(terms.concurrency, terms.is_adaptive)
        self._slots = asyncio.BoundedSemaphore(terms.concurrency)
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()
        self._next_at = 0.0
        self._under_way = 0

    async def attempt(self, row: int) -> Response:
        """One call, told to breaker and slots however it ends."""
        async with self._started() as call:
            sign, latency_s = Sign.NONE, None
            try:
                answer = await self._answered(row)
                sign = sign_of(answer.status, None)
                latency_s = answer.after_s if sign is Sign.GOOD else None
            except TimeoutError as error:
                sign = Sign.BAD
                self.seen.timeouts += 1
                raise AttemptFailed("no answer in time") from error
            finally:
                now = self.clock.now()
                self.breaker.ended(call, sign, now)
                if sign is not Sign.NONE:
                    self.adaptive.ended(call.begun_at, latency_s, now)
                self.seen.slots.append((now, self.adaptive.slots))
        self.seen.answers.append((self.clock.now(), answer.status))
        return judged(Response(answer.status, (), b"", self.clock.now()), Hints())

    async def _answered(self, row: int) -> Answer:
        answer = self.api(Asked(self.clock.now(), row, self._under_way, self.chance))
        self.seen.calls.append(self.clock.now())
        async with asyncio.timeout(self.terms.timeout_s):
            await asyncio.sleep(answer.after_s)
        return answer

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[Call]:
        async with self._slots:
            async with self._turn:
                await self._permission()
                now = self.clock.now()
                call = self.breaker.begin(now)
                self._next_at = max(now, self._next_at) + 1 / self.terms.rate_per_s
            self._under_way += 1
            try:
                yield call
            finally:
                self._under_way -= 1
                self._news.set()

    async def _permission(self) -> None:
        while (ready_at := self._ready_at()) > (now := self.clock.now()):
            hopeless_at = self.breaker.hopeless_at() if self.terms.has_breaker else NEVER_S
            if hopeless_at <= now:
                raise GaveUp("it has failed for too long")
            self._news.clear()
            wake_at = min(ready_at, hopeless_at)
            with suppress(TimeoutError):
                async with asyncio.timeout(None if wake_at == float("inf") else wake_at - now):
                    await self._news.wait()

    def _ready_at(self) -> float:
        if self._under_way >= self.adaptive.slots:
            return float("inf")
        fit_at = self.breaker.ready_at() if self.terms.has_breaker else float("-inf")
        return max(self._next_at, fit_at)


@dataclass(slots=True)
class Run:
    """One run over rows, each of which belongs to one of the realms in turn."""

    realms: list[ModelledRealm]
    retries: Retries

    async def carry(self, rows: int) -> None:
        """Every row to its end, by as many carriers as the pipeline has."""
        numbers = iter(range(rows))
        terms = [realm.terms for realm in self.realms]
        each = sum(2 * it.concurrency + min(MOST_IN_STALL, int(it.rate_per_s)) for it in terms) // len(terms)
        async with asyncio.TaskGroup() as group:
            for _ in range(each + SPARE_ROWS):
                group.create_task(self._carrier(numbers))
        for realm in self.realms:
            realm.seen.ended_s = realm.clock.now()

    async def _carrier(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            realm = self.realms[number % len(self.realms)]
            try:
                await self.retries.run(partial(realm.attempt, number))
            except GaveUp:
                realm.seen.ends["gave up"] += 1
            else:
                realm.seen.ends["done"] += 1


def run_all(apis: list[Api], rows: int, terms: Terms | None = None, budget: Budget | None = None) -> list[Seen]:
    """What each API saw of one run over all of them."""
    clock = VirtualClock()

    async def story() -> list[Seen]:
        chance = random.Random(0)
        realms = [ModelledRealm(api, terms or Terms(), clock, chance) for api in apis]
        await Run(realms, Retries(SETTINGS, chance, clock.now, budget=budget or Budget())).carry(rows)
        return [realm.seen for realm in realms]

    return run_virtual(story(), clock)


def run(api: Api, rows: int, terms: Terms | None = None, budget: Budget | None = None) -> Seen:
    """What one API saw of a run."""
    return run_all([api], rows, terms, budget)[0]


def soon(asked: Asked) -> float:
    """How long a healthy API takes."""
    return asked.chance.uniform(0.05, 0.15)


def failing(share: float) -> Api:
    """Fails so many of its calls by chance."""
    return lambda asked: Answer(500 if asked.chance.random() < share else 200, soon(asked))


def saying(status: int, begin_s: float, end_s: float) -> Api:
    """Says the same to everybody for a while, and is well before and after."""
    return lambda asked: Answer(status if begin_s <= asked.at < end_s else 200, soon(asked))


def silent(begin_s: float, end_s: float) -> Api:
    """Says nothing to anybody for a while, and is well before and after."""
    return lambda asked: Answer(200, NEVER_S if begin_s <= asked.at < end_s else soon(asked))


def slower(usual_s: float, begin_s: float, slow_s: float) -> Api:
    """Becomes ten times slower, slowly, within so many seconds, stays so for as long again, and is well after that."""

    def answer(asked: Asked) -> Answer:
        share = min(1.0, (asked.at - begin_s) / slow_s) if begin_s <= asked.at < begin_s + 2 * slow_s else 0.0
        return Answer(200, usual_s * 10.0**share * asked.chance.uniform(0.7, 1.3))

    return answer


def crowded(done_per_s: float, begin_s: float, end_s: float) -> Api:
    """Works on everything at once, and for a while does a tenth of what it does in a second before and after."""

    def answer(asked: Asked) -> Answer:
        per_s = done_per_s / 10 if begin_s <= asked.at < end_s else done_per_s
        return Answer(200, max(0.3, asked.under_way / per_s) * asked.chance.uniform(0.7, 1.3))

    return answer
