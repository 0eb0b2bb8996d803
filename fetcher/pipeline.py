"""The flow of a run, and the only file that knows its order:

    read -> compose -> fetch -> parse -> write

Rows wait in one bounded queue and are carried through by a fixed number of carriers, each one row at a time: that
bounds what is in memory. A row's failure ends at its outcome; everything else ends the run.
"""

import asyncio
import hashlib
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from os import cpu_count
from pathlib import Path
from typing import Any

from fetcher.compose.request import compose
from fetcher.engines.processes import Processes
from fetcher.errors import FetcherError, GaveUp, NotKept, Parked, Quarantined, Refused, RowError
from fetcher.fetch.cache import Cache
from fetcher.fetch.client import Client, Source
from fetcher.fetch.limits import Realm, Shared, realm_key
from fetcher.fetch.retries import Retries
from fetcher.fetch.starts import Clocks, this_boot
from fetcher.job.fingerprints import fetch_fingerprint
from fetcher.job.load import LoadedJob
from fetcher.job.sections import Fetch, Parse
from fetcher.ledger import Ledger, LedgerView
from fetcher.model import Outcome, Response, Row, RowState, Standing, Value
from fetcher.parse.records import Parsed, Parsing, load, parse, parse_item
from fetcher.read.dates import date_rows
from fetcher.redaction import redacted
from fetcher.selection import RunOptions, Verdict, verdict
from fetcher.tally import Tally
from fetcher.template import Template
from fetcher.write.segments import Layout
from fetcher.write.writer import Writer

CHUNK_ROWS = 200
LOOP_BYTES = 64_000
"""A smaller body is parsed in the loop, if no code of the job's own is involved: the hop to a worker costs more."""

SPARE_CARRIERS = 16
NOT_OUT_YET = "nothing is published yet"


SOURCES = {
    Verdict.ASK: Source.KEPT_FIRST,
    Verdict.ASK_ANEW: Source.API_ONLY,
    Verdict.REPARSE: Source.KEPT_ONLY,
}


OUTDATED = frozenset({RowState.WAITING, RowState.GAVE_UP})
"""States that an answer may be kept from before of: the day was not out then, or a second look at it failed."""


@dataclass(frozen=True, slots=True)
class Errand:
    """A row on its way: where its answer may come from, and where it stood before."""

    row: Row
    source: Source
    before: Standing | None

    def outcome(self, state: RowState, **told: Any) -> Outcome:
        """How the row ends; `told` are the fields of an `Outcome` that only the end knows."""
        row = self.row
        return Outcome(row.key, state, before=self.before, first_day=row.first_day, last_day=row.last_day, **told)


@dataclass(frozen=True, slots=True)
class Stations:
    """What carries a row from its request to its outcome."""

    fetch: Fetch
    client: Client
    parsing: Parsing
    engine: Processes[tuple[bytes, Mapping[str, Value]], Parsed]
    secrets: frozenset[str]

    async def carry(self, errand: Errand) -> Outcome | None:
        """How the row ends; None where nothing could be learned of it. Raises only what ends the run."""
        attempts = 0
        try:
            fetched = await self.client.fetch(compose(self.fetch, errand.row), errand.source)
            attempts = fetched.attempts
            parsed = await self._parse(fetched.response, errand.row)
        except NotKept:
            return None
        except RowError as error:
            return failed(errand, error, attempts or error.attempts, self.secrets)
        return came(errand, parsed, attempts)

    async def _parse(self, response: Response, row: Row) -> Parsed:
        if response.status == 204:
            return Parsed(b"", 0)
        if self.parsing.function or len(response.body) > LOOP_BYTES:
            return await self.engine.run((response.body, dict(row.values)))
        return parse(self.parsing, response.body, row.values)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run gets from outside: its folders, its ledger, its counters, the time (epoch seconds), its chance.

    `user_state` is the folder that all jobs of the user share; without one, this run knows of no other.
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


async def run_pipeline(job: LoadedJob, options: RunOptions, around: Surroundings) -> None:
    """Carry every row that is not settled yet to its outcome; ends early, all committed, when it is told to.

    Raises `FetcherError`, alone or in an ExceptionGroup, where the run cannot go on; what was received before is
    committed, unless it is the disk that failed.
    """
    async with AsyncExitStack() as stack:
        stations = await open_stations(job, around, stack)
        writer = Writer(around.layout, job.write, around.ledger, around.tally, now=around.now)
        await stack.enter_async_context(writer)
        rows = rows_of(job, around.ledger, around.now())
        problem: BaseExceptionGroup[FetcherError] | None = None
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.serve())
            try:
                errands = errands_of(rows, options, around)
                await until_set(around.stop, carry_all(errands, stations, writer, around))
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
    realm = await stack.enter_async_context(Realm(job.fetch.limits, time.monotonic, shared_by(job, around)))
    client = await stack.enter_async_context(Client(job.fetch, cache, retries, around.tally, realm=realm))
    parsing = parsing_of(job.parse)
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
    return Stations(job.fetch, client, parsing, engine, job.secrets)


def shared_by(job: LoadedJob, around: Surroundings) -> Shared | None:
    """What this run shares with all others of the user: the realm's starts and waits, the job's own counts."""
    if around.user_state is None:
        return None
    fetch = job.fetch
    values = {**{f"query {name}": value for name, value in fetch.query.items()}, **fetch.headers}
    credentials = {
        name: value.text
        for name, value in values.items()
        if isinstance(value, Template) and any(secret in value.text for secret in job.secrets)
    }
    name = fetch.limits.realm
    return Shared(
        around.user_state,
        realm_key("" if name else fetch.base_url, {} if name else credentials, name),
        hashlib.sha256(str(around.layout.folder).encode()).hexdigest()[:32],
        Clocks(time.monotonic, around.now, this_boot()),
    )


def rows_of(job: LoadedJob, ledger: LedgerView, now: float) -> Iterator[Row]:
    """The job's rows at a time (epoch seconds), under the keys that the ledger knows them by."""
    generation = generation_of(ledger, fetch_fingerprint(job))
    for row in date_rows(job.read.dates, datetime.fromtimestamp(now, UTC)):
        yield row if generation == 1 else row._replace(key=f"{row.key}#{generation}")


async def carry_all(errands: AsyncIterator[Errand], stations: Stations, writer: Writer, around: Surroundings) -> None:
    """Feed the carriers until every errand has its outcome with the writer."""
    carriers = 2 * stations.fetch.limits.concurrency + SPARE_CARRIERS  # as many again wait, parse or hand over
    waiting: asyncio.Queue[Errand | None] = asyncio.Queue(carriers)

    async def carrier() -> None:
        while errand := await waiting.get():
            if around.drain.is_set():
                continue
            if outcome := await stations.carry(errand):
                await writer.put(outcome)
            else:
                around.tally.not_kept += 1
                if errand.before:
                    around.tally.settled_before[errand.before.state] += 1

    async with asyncio.TaskGroup() as group:
        for _ in range(carriers):
            group.create_task(carrier())
        async for errand in errands:
            await waiting.put(errand)
            if around.drain.is_set():
                break
        for _ in range(carriers):
            await waiting.put(None)


async def errands_of(rows: Iterator[Row], options: RunOptions, around: Surroundings) -> AsyncIterator[Errand]:
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
                    yield Errand(row, source_of(asked, standing), standing)
        await asyncio.sleep(0)
    tally.is_read_whole = True


def source_of(asked: Verdict, standing: Standing | None) -> Source:
    """Where the answer to a row that is asked for may come from."""
    is_outdated = asked is Verdict.ASK and standing is not None and standing.state in OUTDATED
    return Source.API_ONLY if is_outdated else SOURCES[asked]


def came(errand: Errand, parsed: Parsed, attempts: int) -> Outcome:
    """The outcome of a row whose answer came. A recent day without records is not out yet, rather than empty."""
    if parsed.records:
        return errand.outcome(RowState.DONE, lines=parsed.lines, records=parsed.records, attempts=attempts)
    if errand.row.is_recent and not (errand.before and errand.before.records):
        return errand.outcome(RowState.WAITING, reason=NOT_OUT_YET, attempts=attempts)
    return errand.outcome(RowState.EMPTY, attempts=attempts)


def failed(errand: Errand, error: RowError, attempts: int, secrets: frozenset[str]) -> Outcome:
    """The outcome of a row that could not be done. Its reason may quote a server or a parser, and is written down."""
    not_before = 0.0
    match error:
        case Refused():
            state = RowState.WAITING if errand.row.is_recent else RowState.REFUSED
        case GaveUp():
            state = RowState.GAVE_UP
        case Quarantined():
            state = RowState.QUARANTINED
        case Parked():
            state, not_before = RowState.WAITING, error.until
        case _:
            raise error
    return errand.outcome(state, reason=redacted(str(error), secrets), attempts=attempts, not_before=not_before)


def generation_of(ledger: LedgerView, fingerprint: str) -> int:
    """Which number the request part of the job has among all that this ledger has seen, from 1.

    Rows of another request are other rows: from the second generation on their keys end in `#2`, `#3`, ...
    """
    known = requests_seen(ledger)
    return known.index(fingerprint) + 1 if fingerprint in known else len(known) + 1


def requests_seen(ledger: LedgerView) -> list[str]:
    """The fingerprints of every request part that rows were fetched by, oldest first."""
    return (ledger.remembered("fetch") or "").split()


def parsing_of(section: Parse) -> Parsing:
    """The part of `[parse]` that a worker needs."""
    function = section.function
    if function is None:
        return Parsing(records=section.records or "")
    return Parsing(file=str(function.file), function=function.name)
