"""The flow of a run, and the only file that knows its order:

    read -> compose -> fetch -> parse -> write

Rows wait in one bounded queue and are carried through by a fixed number of carriers, each one row at a time: that
bounds what is in memory. A row's failure ends at its outcome; everything else ends the run.
"""

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from os import cpu_count
from pathlib import Path

from fetcher.compose.pages import Place, following
from fetcher.compose.request import compose, with_idempotency_key
from fetcher.engines.processes import Processes
from fetcher.errands import SENT, SKIPPED, Errand, Step, came, errand_of, failed
from fetcher.errors import FetcherError, Incomplete, NotKept, RowError
from fetcher.fetch.adaptive import Adaptive
from fetcher.fetch.breaker import Breaker
from fetcher.fetch.budget import Budget
from fetcher.fetch.cache import Cache
from fetcher.fetch.client import Client
from fetcher.fetch.health import Health
from fetcher.fetch.limits import Realm
from fetcher.fetch.request_log import RequestLog
from fetcher.fetch.retries import Retries
from fetcher.job.load import LoadedJob
from fetcher.job.sections import Fetch
from fetcher.ledger import Ledger
from fetcher.listing import CHUNK_ROWS, rows_of
from fetcher.model import Outcome, PageFacts, Request, Response, Row, RowState, Value
from fetcher.parse.pages import PagePaths
from fetcher.parse.records import Parsed, Parsing, load, parse, parse_item
from fetcher.realms import shared_by
from fetcher.selection import RunOptions, Verdict, verdict
from fetcher.tally import Tally
from fetcher.write.segments import Layout
from fetcher.write.writer import Writer

LOOP_BYTES = 64_000
"""A smaller body is parsed in the loop, if no code of the job's own is involved: the hop to a worker costs more."""

SPARE_CARRIERS = 16
LONGEST_END_S = 8.0
"""Whoever stops a run waits ten seconds for it; two are left for the last commit."""


class Owed:
    """Rows whose request must not be sent twice, by key, from its being sent to its outcome; `none` while there are
    none."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self.none = asyncio.Event()
        self.none.set()

    def add(self, key: str) -> None:
        """That row's request is about to leave."""
        self._keys.add(key)
        self.none.clear()

    def discard(self, key: str) -> None:
        """That row has its outcome, if it was ever sent."""
        self._keys.discard(key)
        if not self._keys:
            self.none.set()


@dataclass(frozen=True, slots=True)
class Stations:
    """What carries a row from its request to its outcome. `settle` commits an outcome at once."""

    job: LoadedJob
    client: Client
    parsing: Parsing
    engine: Processes[tuple[bytes, Mapping[str, Value]], Parsed]
    settle: Callable[[Outcome], Awaitable[None]]
    owed: Owed

    async def carry(self, errand: Errand) -> AsyncGenerator[Outcome, None]:
        """How the row ends, after each of its pages before the last; nothing where nothing could be learned of it.

        Raises only what ends the run.
        """
        place: Place | None = errand.place
        seen: set[bytes] = set()
        while place:
            attempts = 0
            try:
                request = self._composed(errand, place)
                intent = self._intent(errand, request, place)
                fetched = await self.client.fetch(request, errand.source, intent, kept_since=errand.kept_since)
                attempts = fetched.attempts
                parsed = await self._parse(fetched.response, errand.row)
                check_is_new(parsed, place, seen)
                after = self._following(place, parsed, fetched.response)
            except NotKept:
                if errand.is_lost and self.job.fetch.on_unknown == "skip":
                    yield errand.outcome(RowState.DISCARDED, reason=SKIPPED)
                return
            except RowError as error:
                error.attempts = attempts or error.attempts
                yield failed(errand, error, place, self.job)
                return
            yield came(errand, Step(place, after, parsed, attempts), self.job)
            place = after

    async def end(self) -> None:
        """Send nothing more, and wait a little for the answers that would be paid for in vain."""
        self.client.halt()
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_END_S):
                await self.owed.none.wait()

    def _composed(self, errand: Errand, place: Place) -> Request:
        request = compose(self.job.fetch, errand.row, place)
        if not self.job.fetch.idempotency_key:
            return request
        answers = errand.before.answers if errand.before else 0  # each time that it is asked anew it is another request
        return with_idempotency_key(request, self.job.name, errand.row.key, str(place.number), str(answers))

    def _intent(self, errand: Errand, request: Request, place: Place) -> Callable[[], Awaitable[None]] | None:
        """What has to be on record before the request leaves, where a second one would be carried out too."""
        if request.is_repeatable or self.job.fetch.on_unknown == "retry":
            return None
        sent = errand.outcome(RowState.UNKNOWN, reason=SENT, position=place.text, is_end=False)
        return partial(self._record, sent)

    async def _record(self, sent: Outcome) -> None:
        self.owed.add(sent.row_key)
        await self.settle(sent)

    async def _parse(self, response: Response, row: Row) -> Parsed:
        if response.status == 204:
            return Parsed(b"", 0, facts=PageFacts())
        if self.parsing.function or len(response.body) > LOOP_BYTES:
            return await self.engine.run((response.body, dict(row.values)))
        return parse(self.parsing, response.body, row.values)

    def _following(self, place: Place, parsed: Parsed, response: Response) -> Place | None:
        pages = self.job.fetch.pages
        if pages is None or parsed.facts is None:
            return None
        return following(pages, place, parsed.facts, response)


def check_is_new(parsed: Parsed, place: Place, seen: set[bytes]) -> None:
    """Raise `Incomplete` where a page brings what an earlier one of this pass has brought: it would never end."""
    digest = hashlib.blake2b(parsed.lines, digest_size=8).digest()
    if parsed.records and digest in seen:
        raise Incomplete(f"page {place.number:,} brings the same records as an earlier one; is fetch.pages right?")
    seen.add(digest)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run gets from outside: its folders, its ledger, its counters, the time (epoch seconds), its chance.

    `user_state` is the folder that all jobs of the user share; without one, this run knows of no other. `budget` is
    what earlier runs have left of the job's retries.
    Once `drain` is set no further row is begun; once `stop` is set, what is under way is dropped.
    """

    layout: Layout
    ledger: Ledger
    tally: Tally
    now: Callable[[], float]
    chance: random.Random
    drain: asyncio.Event
    stop: asyncio.Event
    user_state: Path | None = None
    budget: Budget = field(default_factory=Budget)


async def run_pipeline(job: LoadedJob, options: RunOptions, around: Surroundings) -> None:
    """Carry every row that is not settled yet to its outcome; ends early, all committed, when it is told to.

    Raises `FetcherError`, alone or in an ExceptionGroup, where the run cannot go on; what was received before is
    committed, unless it is the disk that failed.
    """
    async with AsyncExitStack() as stack:
        writer = Writer(around.layout, job.write, around.ledger, around.tally, now=around.now)
        await stack.enter_async_context(writer)
        stations = await open_stations(job, around, writer, stack)
        rows = rows_of(job, around.ledger, around.now())
        problem: BaseExceptionGroup[FetcherError] | None = None
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.serve())
            try:
                errands = errands_of(rows, options, job.fetch, around)
                await until_set(around.stop, carry_all(errands, stations, writer, around), stations.end)
            except* FetcherError as error:
                problem = error
            await writer.finish()
        if problem:
            raise problem


async def until_set(stop: asyncio.Event, work: Coroutine[None, None, None], end: Callable[[], Awaitable[None]]) -> None:
    """Do the work, or `end` and cancel it as soon as `stop` is set; its own exception passes through."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            await end()
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.wait({working, stopping})
    if not working.cancelled():
        working.result()


async def open_stations(job: LoadedJob, around: Surroundings, writer: Writer, stack: AsyncExitStack) -> Stations:
    """The stations between reading and writing, open until the stack closes."""
    cache = None
    if job.fetch.cache.keep != "none":
        cache = await stack.enter_async_context(Cache(around.layout.state / "cache.sqlite"))
    retries = Retries(job.fetch.retries, around.chance, around.now, budget=around.budget)
    log = RequestLog(around.layout.state / "runs", around.now(), time.monotonic)
    await stack.enter_async_context(log)
    shared = shared_by(job, around.user_state, around.now) if around.user_state else None
    realm = await stack.enter_async_context(Realm(job.fetch.limits, time.monotonic, shared, health_of(job, around)))
    client = Client(job.fetch, cache, retries, around.tally, realm=realm, log=log)
    await stack.enter_async_context(client)
    parsing = parsing_of(job)
    engine = await stack.enter_async_context(
        Processes(
            partial(parse_item, parsing),
            partial(load, parsing),
            workers=job.parse.workers or cpu_count() or 1,
            timeout_s=job.parse.timeout,
        )
    )
    if parsing.function:
        engine.warm_up()
    return Stations(job, client, parsing, engine, writer.put_now, Owed())


def health_of(job: LoadedJob, around: Surroundings) -> Health:
    """What is watched of the API."""
    retries, limits = job.fetch.retries, job.fetch.limits
    breaker = Breaker(retries.first_wait, retries.longest_wait, around.chance)
    return Health(breaker, Adaptive(limits.concurrency, limits.adaptive))


async def carry_all(errands: AsyncIterator[Errand], stations: Stations, writer: Writer, around: Surroundings) -> None:
    """Feed the carriers until every errand has its outcome with the writer."""
    carriers = 2 * stations.job.fetch.limits.concurrency + SPARE_CARRIERS  # as many again wait, parse or hand over
    waiting: asyncio.Queue[Errand | None] = asyncio.Queue(carriers)

    async def carrier() -> None:
        while errand := await waiting.get():
            if not around.drain.is_set():
                await carry_one(errand, stations, writer, around)

    async with asyncio.TaskGroup() as group:
        for _ in range(carriers):
            group.create_task(carrier())
        async for errand in errands:
            await waiting.put(errand)
            if around.drain.is_set():
                break
        for _ in range(carriers):
            await waiting.put(None)


async def carry_one(errand: Errand, stations: Stations, writer: Writer, around: Surroundings) -> None:
    """Carry a row to its outcome, or to the page that it has reached when no further one is to be begun."""
    outcome = None
    async with aclosing(stations.carry(errand)) as outcomes:
        async for outcome in outcomes:
            await writer.put(outcome)
            stations.owed.discard(errand.row.key)
            if around.drain.is_set():
                return
    if outcome is None or not outcome.is_end:
        count_left(errand, around.tally, has_moved=outcome is not None)


def count_left(errand: Errand, tally: Tally, has_moved: bool) -> None:
    """Count a row that no answer was kept for: it stays where it stood, unless some of its first pages were kept."""
    is_first_pass = not (errand.before and errand.before.digest)
    tally.not_kept += not errand.is_lost and not (has_moved and is_first_pass)
    if errand.before:
        tally.settled_before[errand.before.state] += 1


async def errands_of(
    rows: Iterator[Row], options: RunOptions, fetch: Fetch, around: Surroundings
) -> AsyncIterator[Errand]:
    """The rows that this run asks for, in order; the others are counted and left."""
    tally = around.tally
    while chunk := list(islice(rows, CHUNK_ROWS)):
        standings = around.ledger.standings([row.key for row in chunk])
        tally.rows_read += len(chunk)
        for row in chunk:
            standing = standings.get(row.key)
            match verdict(row, standing, options, around.now()):
                case Verdict.LEAVE_SETTLED:
                    assert standing is not None
                    tally.settled_before[standing.state] += 1
                case Verdict.LEAVE_WAITING:
                    tally.not_before = max(tally.not_before, standing.not_before if standing else 0.0)
                case asked:
                    yield errand_of(row, asked, standing, fetch)
        await asyncio.sleep(0)
    tally.is_read_whole = True


def parsing_of(job: LoadedJob) -> Parsing:
    """What a worker needs to know of the job."""
    function, pages = job.parse.function, job.fetch.pages
    told = {name: getattr(pages, name) or "" for name in PagePaths.__slots__} if pages else {}
    parsing = Parsing(records=job.parse.records or "", key=job.write.key, pages=PagePaths(**told) if pages else None)
    return replace(parsing, file=str(function.file), function=function.name) if function else parsing
