"""The client: cache around retries around a slot around the rate around the wire.

A hit spends nothing; every attempt spends a start; no slot is held while a failed attempt waits for its next turn.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from types import TracebackType

from fetcher.errors import ApiDown, GaveUp, NotKept, Parked, RowError, Unknown
from fetcher.fetch.breaker import Sign, sign_of
from fetcher.fetch.cache import Cache
from fetcher.fetch.caching import PLAIN, HttpCache, Policy
from fetcher.fetch.costs import told_cost
from fetcher.fetch.expectations import Meaning, kept_meaning, looks_into_body, meaning, rule_for
from fetcher.fetch.facts import ALWAYS, Facts
from fetcher.fetch.health import Hopeless
from fetcher.fetch.hints import Hints, hints
from fetcher.fetch.limits import Realm, TooLong
from fetcher.fetch.request_log import RequestLog
from fetcher.fetch.retries import AttemptFailed, Retries
from fetcher.fetch.sources import KEPT, Fetched, Keeping, Source, Wanted
from fetcher.fetch.windows import Allowance, Start
from fetcher.fetch.wire import Asking, Wire
from fetcher.job.expect import Expect
from fetcher.job.sections import Fetch
from fetcher.model import Request, Response
from fetcher.tally import Tally

LARGEST_IN_LOOP = 64_000
"""Bytes of a body that a rule looks into without leaving the loop."""


class Client:
    """`async with Client(...)`: one session, one realm and one cache for every row of a run.

    `cache` is None where the job keeps nothing; `tally` and `log` are told of every exchange. `realm` is open, and
    shared with others; without one the client has its own.
    """

    def __init__(  # noqa: PLR0913  (what a client is made of)
        self,
        settings: Fetch,
        cache: Cache | None,
        retries: Retries,
        tally: Tally,
        *,
        realm: Realm | None = None,
        log: RequestLog | None = None,
        policy: Policy = PLAIN,
    ) -> None:
        self._settings = settings
        self._retries = retries
        self._tally = tally
        self._log = log
        self._realm = realm or Realm(settings.limits, time.monotonic)
        self._wire = Wire(settings, tally, self._realm, retries.now)
        self._keeping = self._keeping_of(cache, policy)

    async def __aenter__(self) -> "Client":
        await self._wire.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeping:
            await self._keeping.close()
        await self._wire.__aexit__(kind, error, trace)

    async def fetch(
        self,
        request: Request,
        source: Source = Source.KEPT_FIRST,
        intend: Callable[[], Awaitable[None]] | None = None,
        *,
        kept_since: float = float("-inf"),
        row_key: str = "",
    ) -> Fetched:
        """The answer to a request, from the cache where it is kept there, else from the API.

        A request with an `intend` must not be carried out twice: that is awaited once there is a connection and before
        the first byte leaves, and it is not repeated where it may have arrived. An answer that was kept before
        `kept_since` (epoch seconds) is none. A kept answer is not dropped before the row `row_key` is settled.

        Raises a `RowError` with the `attempts` that were made, or `ApiDown` or `DiskFailed` for the whole run.
        """
        if self._keeping is None:
            if source in KEPT:
                raise NotKept("no answer to this row is kept")
            return await self.ask(request, intend)
        wanted = Wanted(request, source, kept_since, row_key)

        async def ask(asked: Request, accepted: frozenset[int]) -> Fetched:
            return await self.ask(asked, intend, accepted)

        fetched = await self._keeping.fetch(wanted, ask)
        self._tally.cache_hits += fetched.attempts == 0
        return fetched

    async def kept(self, request: Request, source: Source, since: float) -> Fetched | None:
        """The kept answer where one may be used. Raises `NotKept` where it would have to be and there is none."""
        if self._keeping and (kept := await self._keeping.kept(Wanted(request, source, since))):
            self._tally.cache_hits += 1
            return kept
        if source in KEPT:
            raise NotKept("no answer to this row is kept")
        return None

    async def keep(self, request: Request, response: Response, row_key: str = "") -> None:
        """Keep an answer that was got otherwise, where the job keeps such."""
        if self._keeping:
            await self._keeping.keep(Wanted(request, row_key=row_key), response)

    async def ask(
        self,
        request: Request,
        intend: Callable[[], Awaitable[None]] | None = None,
        accepted: frozenset[int] = frozenset(),
    ) -> Fetched:
        """The answer of the API, over as many attempts as it takes; it is not kept. Raises as `fetch` does.

        Answers of `accepted` statuses are taken as they are.
        """
        began, asking = time.monotonic(), Asking(request, intend, is_repeatable=intend is None, accepted=accepted)
        try:
            return await self._retries.run(partial(self._attempt, asking))
        except RowError as error:
            error.attempts, error.status = asking.attempts, asking.status
            if isinstance(error, GaveUp) and not error.is_early and not self._wire.reach.is_since(began):
                raise self._wire.down(str(error)) from error
            raise

    async def _attempt(self, asking: Asking) -> Fetched:
        async with self._started(asking.request.cost) as start:
            await self._wire.check_halted()
            asking.start = start
            asking.attempts += 1
            self._tally.requests += 1
            self._tally.retries += asking.attempts > 1
            status = asking.status = None
            asking.asked_at = self._retries.now()
            try:
                response = await self._wire.exchange(asking)
                asking.status = response.status
                said = self._obeyed(response)
                if (cost := told_cost(response, self._settings.limits)) is not None:
                    self._realm.settle(start, cost)
                status, start.sign = response.status, sign_of(response.status, said.wait_s)
            except (AttemptFailed, GaveUp) as error:
                if start.sign is Sign.NONE and not asking.is_reused:
                    start.sign = Sign.BAD
                if start.has_left and not asking.is_repeatable:
                    raise Unknown(f"{error}: only the server knows whether it was carried out") from error
                raise
            finally:
                if start.has_left and self._log:
                    self._log.note(start.at, time.monotonic(), status)
        is_accepted = response.status in asking.accepted
        meant = Meaning.RECORDS if is_accepted else await self._meaning(response, said, asking)
        return Fetched(response, asking.attempts, meant, asking.asked_at)

    def now(self) -> float:
        """Epoch seconds."""
        return self._retries.now()

    def halt(self) -> None:
        """No further request leaves; whoever asks for one waits to be cancelled. Those under way go on."""
        self._wire.halt()

    def _keeping_of(self, cache: Cache | None, policy: Policy) -> Keeping | None:
        keep, now = self._settings.cache.keep, self._retries.now
        if cache is None or keep == "none":
            return None
        if keep == "http":
            policy = replace(policy, may_guess=self._settings.cache.heuristic)
            return HttpCache(cache, policy, self._kept_meaning, now)
        keep_s = ALWAYS if keep == "forever" else keep
        return Facts(cache, keep_s, self._kept_meaning, now, label=policy.label)

    async def _kept_meaning(self, response: Response) -> Meaning | None:
        return kept_meaning(response, await self._rule(response))

    async def _rule(self, response: Response) -> Expect | None:
        """The rule that an answer falls under. A big body is decoded in a thread."""
        rules = self._settings.expect
        if len(response.body) > LARGEST_IN_LOOP and looks_into_body(rules):
            return await asyncio.to_thread(rule_for, rules, response)
        return rule_for(rules, response) if rules else None

    async def _meaning(self, response: Response, said: Hints, asking: Asking) -> Meaning:
        try:
            return meaning(response, said, await self._rule(response), is_repeatable=asking.is_repeatable)
        except AttemptFailed as failure:
            if failure.hint_s and failure.hint_s != said.wait_s:
                self._realm.cool_down(time.monotonic() + failure.hint_s)
            raise

    @asynccontextmanager
    async def _started(self, cost: int) -> AsyncIterator[Start]:
        try:
            async with self._realm.start(self._settings.retries.max_wait, cost) as start:
                yield start
        except Hopeless as error:
            raise ApiDown(
                f"{self._settings.base_url} has failed for too long; run again when it is well, nothing is lost"
            ) from error
        except TooLong as wait:
            raise Parked(str(wait), 0.0 if wait.wait_s is None else self._retries.now() + wait.wait_s) from wait

    def _obeyed(self, response: Response) -> Hints:
        """What the server says of waits and allowances; the whole realm keeps to it, not this one request."""
        said, now = hints(response, self._settings.hints, self._retries.now()), time.monotonic()
        if said.wait_s and response.status != 202:  # there it is about the job that was begun
            self._realm.cool_down(now + said.wait_s)
        for allowance in said.allowances:
            self._realm.told(Allowance(allowance.name, allowance.remaining, now + allowance.reset_s))
        if said.concurrency is not None:
            self._realm.cap(said.concurrency)
        return said
