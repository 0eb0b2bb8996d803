"""The flow of a run, and the only file that knows its order:

    read -> compose -> fetch -> parse -> write

Rows wait in one bounded queue and are carried through by a fixed number of carriers, each one row at a time: that
bounds what is in memory. A row's failure ends at its outcome; everything else ends the run.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from os import cpu_count

from fetcher.compose.request import compose
from fetcher.engines.processes import Processes
from fetcher.errors import FetcherError, GaveUp, Parked, Quarantined, Refused, RowError
from fetcher.fetch.cache import Cache
from fetcher.fetch.client import Client
from fetcher.fetch.retries import Retries
from fetcher.job.load import LoadedJob
from fetcher.job.sections import Fetch, Parse
from fetcher.ledger import Ledger
from fetcher.model import SETTLED, Outcome, Row, RowState, Value
from fetcher.parse.records import Parsed, Parsing, parse, parse_item
from fetcher.read.dates import date_rows
from fetcher.tally import Tally
from fetcher.write.segments import Layout
from fetcher.write.writer import Writer

CHUNK_ROWS = 200
LOOP_BYTES = 64_000
"""A smaller body is parsed in the loop, if no code of the job's own is involved: the hop to a worker costs more."""

SPARE_CARRIERS = 16


@dataclass(frozen=True, slots=True)
class Stations:
    """What carries a row from its request to its outcome."""

    fetch: Fetch
    client: Client
    parsing: Parsing
    engine: Processes[tuple[bytes, Mapping[str, Value]], Parsed]

    async def carry(self, row: Row) -> Outcome:
        """How the row ends. Raises only what ends the run."""
        attempts = 0
        try:
            fetched = await self.client.fetch(compose(self.fetch, row))
            attempts = fetched.attempts
            parsed = await self._parse(fetched.response.body, row) if fetched.response.status != 204 else Parsed(b"", 0)
        except RowError as error:
            return failed(row, error, attempts or error.attempts)
        state = RowState.DONE if parsed.records else RowState.EMPTY
        return Outcome(row.key, state, lines=parsed.lines, records=parsed.records, attempts=attempts)

    async def _parse(self, body: bytes, row: Row) -> Parsed:
        if self.parsing.function or len(body) > LOOP_BYTES:
            return await self.engine.run((body, dict(row.values)))
        return parse(self.parsing, body, row.values)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run gets from outside: its folders, its ledger, its counters, the time (epoch seconds) and its chance."""

    layout: Layout
    ledger: Ledger
    tally: Tally
    now: Callable[[], float]
    chance: random.Random


async def run_pipeline(job: LoadedJob, around: Surroundings, stop: asyncio.Event) -> None:
    """Carry every row that is not settled yet to its outcome. Ends early, all committed, once `stop` is set.

    Raises `FetcherError`, alone or in an ExceptionGroup, where the run cannot go on; what was received before is
    committed, unless it is the disk that failed.
    """
    async with AsyncExitStack() as stack:
        stations = await open_stations(job, around, stack)
        writer = Writer(around.layout, job.write.rotate, around.ledger, around.tally, now=around.now)
        await stack.enter_async_context(writer)
        rows = date_rows(job.read.dates, datetime.fromtimestamp(around.now(), UTC))
        problem: BaseExceptionGroup[FetcherError] | None = None
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.serve())
            try:
                await until_set(stop, carry_all(rows, stations, writer, around))
            except* FetcherError as error:
                problem = error
            await writer.finish()
        if problem:
            raise problem


async def until_set(stop: asyncio.Event, work: Coroutine[None, None, None]) -> None:
    """Do the work, or cancel it as soon as `stop` is set; its own exception passes through."""
    working = asyncio.ensure_future(work)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        working.cancel()
        stopping.cancel()
        await asyncio.wait({working, stopping})
    if not working.cancelled():
        working.result()


async def open_stations(job: LoadedJob, around: Surroundings, stack: AsyncExitStack) -> Stations:
    """The stations between reading and writing, open until the stack closes."""
    cache = None
    if job.fetch.cache.keep != "none":
        cache = await stack.enter_async_context(Cache(around.layout.state / "cache.sqlite"))
    retries = Retries(job.fetch.retries, around.chance, around.now)
    client = await stack.enter_async_context(Client(job.fetch, cache, retries, around.tally))
    parsing = parsing_of(job.parse)
    engine = await stack.enter_async_context(
        Processes(
            partial(parse_item, parsing),
            workers=job.parse.workers or cpu_count() or 1,
            timeout_s=job.parse.timeout,
        )
    )
    if parsing.function:
        engine.warm_up()
    return Stations(job.fetch, client, parsing, engine)


async def carry_all(rows: Iterator[Row], stations: Stations, writer: Writer, around: Surroundings) -> None:
    """Feed the carriers until every row has an outcome with the writer."""
    carriers = 2 * stations.fetch.limits.concurrency + SPARE_CARRIERS  # as many again wait, parse or hand over
    waiting: asyncio.Queue[Row | None] = asyncio.Queue(carriers)

    async def carrier() -> None:
        while (row := await waiting.get()) is not None:
            await writer.put(await stations.carry(row))

    async with asyncio.TaskGroup() as group:
        for _ in range(carriers):
            group.create_task(carrier())
        await feed(rows, waiting, around)
        for _ in range(carriers):
            await waiting.put(None)


async def feed(rows: Iterator[Row], waiting: "asyncio.Queue[Row | None]", around: Surroundings) -> None:
    """Queue the rows that earlier runs left open, in order."""
    tally = around.tally
    while chunk := list(islice(rows, CHUNK_ROWS)):
        standings = around.ledger.standings([row.key for row in chunk])
        tally.rows_read += len(chunk)
        for row in chunk:
            standing = standings.get(row.key)
            if standing and standing.state in SETTLED:
                tally.settled_before[standing.state] += 1
            elif standing and standing.not_before > around.now():
                tally.not_before = max(tally.not_before, standing.not_before)
            else:
                await waiting.put(row)
        await asyncio.sleep(0)
    tally.is_read_whole = True


def failed(row: Row, error: RowError, attempts: int) -> Outcome:
    """The outcome of a row that could not be done."""
    match error:
        case Refused():
            state = RowState.REFUSED
        case GaveUp():
            state = RowState.GAVE_UP
        case Quarantined():
            state = RowState.QUARANTINED
        case Parked():
            return Outcome(row.key, RowState.WAITING, str(error), attempts=attempts, not_before=error.until)
        case _:
            raise error
    return Outcome(row.key, state, str(error), attempts=attempts)


def parsing_of(section: Parse) -> Parsing:
    """The part of `[parse]` that a worker needs."""
    function = section.function
    if function is None:
        return Parsing(records=section.records or "")
    return Parsing(file=str(function.file), function=function.name)
