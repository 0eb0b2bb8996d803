"""The flow of a run, and the only file that knows its order:

    read -> compose -> fetch -> parse ( -> ask -> parse ) -> write

Rows wait in one bounded queue and are carried through by a fixed number of carriers, each one row at a time: that
bounds what is in memory. A row's failure ends at its outcome; everything else ends the run.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from fetcher.asking import fetched_of, looked_at, repro_of
from fetcher.carriers import carriers_of
from fetcher.chunks import Chunk, Labeller, Result, is_in_chunks
from fetcher.compose.pages import FIRST, Place
from fetcher.compose.skips import record_of, stated_answer
from fetcher.enriching import enriched
from fetcher.errands import (
    NOT_ASKED,
    SKIPPED,
    TURNED_AWAY,
    Errand,
    Step,
    came,
    failed,
    may_repeat,
    unread,
)
from fetcher.errors import CredentialRefused, FetcherError, NotKept, Parked, Quarantined, RowError, Stopped
from fetcher.fetch.expectations import Meaning
from fetcher.fetch.sources import Fetched
from fetcher.incoming import chunks_of, chunks_to_label, count_left, errands_of
from fetcher.job.load import LoadedJob
from fetcher.listing import CHUNK_ROWS, rows_of
from fetcher.model import DoneRows, Outcome, Response, Row, RowState
from fetcher.paging import NONE, check_is_new, going_on, is_in_pages
from fetcher.parse.records import Answer, Parsed, parse_item
from fetcher.polling import STATUS, after
from fetcher.read.tables import Reading, Unkeyed
from fetcher.selection import RunOptions
from fetcher.stations import Stations, Surroundings, open_stations
from fetcher.turns import Turn, Turns
from fetcher.write.writer import Writer

Put = Callable[[Outcome], Awaitable[None]]


class Sink(NamedTuple):
    """Where outcomes go: `put` keeps them until its next commit, `put_now` returns once they are committed."""

    put: Callable[[Outcome | DoneRows], Awaitable[None]]
    put_now: Callable[[Outcome], Awaitable[None]]


async def carry(stations: Stations, errand: Errand) -> AsyncGenerator[Outcome, None]:
    """How the row ends, after each of its pages before the last; nothing where nothing could be learned of it.

    Raises only what ends the run.
    """
    job, seen = stations.job, set[bytes]()
    place: Place | None = errand.place.bare
    if errand.row.fault:
        yield unread(errand, job)
        return
    while place:
        try:
            step = await unasked(stations, errand) or await step_of(stations, errand, place, seen)
        except (RowError, Stopped, CredentialRefused) as error:
            if outcome := ended(stations, errand, place, error):
                yield outcome
            if not isinstance(error, RowError):
                raise
            return
        if step.is_told:
            yield came(errand, step, job)
        place = step.after
        if place and step.wait_s > job.fetch.retries.max_wait:
            until = stations.client.now() + step.wait_s
            yield failed(errand, Parked("its job at the server is not done yet", until), place, job)
            return
        if step.wait_s and not await stations.pause(step.wait_s):
            return


def ended(stations: Stations, errand: Errand, place: Place, error: FetcherError) -> Outcome | None:
    """How a row ends that was not answered; None where it stays as it is."""
    match error:
        case NotKept():
            is_given_up = errand.is_lost and stations.job.fetch.on_unknown == "skip" and place == errand.place.bare
            return errand.outcome(RowState.DISCARDED, reason=SKIPPED) if is_given_up else None
        case RowError():
            return failed(errand, error, place, stations.job)
    stations.halt()  # whoever comes next would be turned away, too
    if errand.row.key in stations.owed:  # on record as sent
        place = replace(place, is_here=bool(stations.askers))
        return errand.outcome(RowState.WAITING, reason=TURNED_AWAY, position=place.text)
    return None


async def step_of(stations: Stations, errand: Errand, place: Place, seen: set[bytes]) -> Step:
    """Ask for a place of the row, and see what it brings and where the row goes on. Raises a `RowError`."""
    fetched = await fetched_of(stations, errand, place)
    try:
        if poll := stations.job.fetch.poll:
            ahead = after(stations.job.fetch, poll, errand.row, (place, fetched.response))
            is_kept = fetched.attempts == 0
            is_over = place.phase == STATUS and (ahead.place is None or ahead.place.phase != STATUS)
            if is_over and not is_kept:
                await stations.client.keep(looked_at(stations.job, errand, place), fetched.response, errand.row.key)
            if ahead.place:
                wait_s = 0.0 if is_kept else ahead.wait_s
                is_known = is_kept and not errand.is_lost  # what was lost and is found has to be told
                return Step(place, ahead.place, NONE, fetched.attempts, wait_s, is_known)
        stations.owed.add(errand.row.key)
        parsed = await parsed_of(stations, fetched, errand, place)
        if is_in_pages(stations.job):
            check_is_new(parsed, place, seen)
        parsed, next_place = going_on(stations.job, errand.row, place, (fetched, parsed))
        parsed, attempts = await enriched(stations, (errand, place), parsed, partial(read, stations, (errand, place)))
    except RowError as error:
        error.attempts += fetched.attempts
        raise
    stations.tally.add_drift(parsed.drift)
    return Step(place, next_place, parsed, fetched.attempts + attempts)


async def unasked(stations: Stations, errand: Errand) -> Step | None:
    """What a row brings that is not asked about; None for every other row. Raises a `RowError`."""
    answer = stated_answer(stations.job.fetch, errand.row) if stations.job.asks else record_of(errand.row)
    if answer is None:
        return None
    if not answer:
        return Step(FIRST, None, NONE, 0, reason=NOT_ASKED)
    response = Response(200, (("Content-Type", "application/json"),), answer, 0.0, from_cache=True)
    parsed = await parsed_of(stations, Fetched(response, 0), errand, FIRST)
    parsed, attempts = await enriched(stations, (errand, FIRST), parsed, partial(read, stations, (errand, FIRST)))
    return Step(FIRST, None, parsed, attempts)


async def parsed_of(stations: Stations, fetched: Fetched, errand: Errand, place: Place) -> Parsed:
    """The records of an answer."""
    response = fetched.response
    if response.status == 204 or fetched.meaning is not Meaning.RECORDS:
        return NONE
    name = errand.row.key.partition("#")[0]  # whatever is asked, the row is the same
    answer = Answer(response.body, dict(errand.row.values), response.header("Content-Type") or "", name)
    return await read(stations, (errand, place), answer)


async def read(stations: Stations, asked: tuple[Errand, Place], answer: Answer) -> Parsed:
    """What an answer becomes, or what annotators have made of it; it is kept for a repro where that fails."""
    errand, place = asked
    try:
        return await read_on(stations, answer)
    except Quarantined as error:
        if stations.repros and stations.repros.has_room:
            await stations.repros.keep(repro_of(stations, errand, (place, answer), error))
        raise


async def read_on(stations: Stations, answer: Answer) -> Parsed:
    """What an answer, or what annotators have made of it, becomes: in a worker or here."""
    parsing = stations.parsing.then[answer.stage - 1] if answer.stage else stations.parsing
    if parsing.may_take_long or not stations.engine.scales.is_light(len(answer.body)):
        return await stations.engine.run(answer)
    began = time.thread_time()
    parsed = parse_item(stations.parsing, answer)
    stations.engine.scales.worked(len(answer.body), time.thread_time() - began)
    return parsed


async def run_pipeline(job: LoadedJob, options: RunOptions, around: Surroundings) -> None:
    """Carry every row that is not settled yet to its outcome; ends early, all committed, when it is told to.

    Raises `FetcherError`, alone or in an ExceptionGroup, where the run cannot go on; what was received before is
    committed, unless it is the disk that failed.
    """
    async with AsyncExitStack() as stack:
        writer = Writer(around.layout, job.write, around.ledger, around.tally, now=around.now)
        if options.reparse and job.write.order == "input":
            writer.write_anew(around.ledger.reached(options.reparsed_since))
        await stack.enter_async_context(writer)
        reading = Reading(is_file=job.read.has_items)
        rows = rows_of(job, around.ledger, around.now(), reading)
        sink = Sink(writer.put, writer.put_now)
        work, end = await opened(job, options, (around, rows, reading, sink), stack)
        problem: BaseExceptionGroup[FetcherError] | None = None
        async with asyncio.TaskGroup() as group:
            group.create_task(writer.serve())
            try:
                await until_set(around.stop, work, end)
            except* FetcherError as error:
                problem = error
            await writer.finish()
        if problem:
            raise problem
        if around.stopped_by:
            raise around.stopped_by[0]


async def rehearse(job: LoadedJob, rows: Iterator[Row], around: Surroundings, sink: Sink) -> None:
    """Carry rows to their outcomes as a run does that knows of no earlier one, and hand them to a sink.

    Raises as `run_pipeline` does; the sink has what came before.
    """
    async with AsyncExitStack() as stack:
        reading = Reading(is_file=job.read.has_items)
        work, end = await opened(job, RunOptions(), (around, rows, reading, sink), stack)
        await until_set(around.stop, work, end)
    if around.stopped_by:
        raise around.stopped_by[0]


async def opened(
    job: LoadedJob,
    options: RunOptions,
    run: tuple[Surroundings, Iterator[Row], Reading, Sink],
    stack: AsyncExitStack,
) -> tuple[Coroutine[None, None, None], Callable[[], Awaitable[None]]]:
    """What is to be done for all rows, and what before it is dropped; open until the stack closes."""
    around, rows, reading, sink = run
    if is_in_chunks(job):
        labeller = await stack.enter_async_context(Labeller(job, around))
        return label_all(chunks_to_label(job, options, run[:3], labeller), labeller, sink, around), at_once
    stations = await open_stations(job, around, sink.put_now, stack)
    asks_since = around.now() if options.refresh else stations.asks_since
    stations = replace(stations, is_offline=options.offline, asks_since=asks_since)
    chunks = chunks_of(rows, around.tally, reading, lambda: CHUNK_ROWS)
    errands = errands_of(chunks, options, job.fetch, around)
    return carry_all(errands, stations, sink.put, around), stations.end


async def at_once() -> None:
    """Nothing is to be waited for."""


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


async def carry_all(errands: AsyncIterator[Errand], stations: Stations, put: Put, around: Surroundings) -> None:
    """Feed the carriers until every errand has its outcome handed over, in their order where the job wants that."""
    carriers = max(map(carriers_of, (stations.job.fetch, *(asker.job.fetch for asker in stations.askers))))
    waiting: asyncio.Queue[tuple[Errand, Turn | None] | None] = asyncio.Queue(carriers)
    is_ordered = stations.job.write.order == "input"
    turns = Turns(put, goes_on_record=goes_on_record(stations)) if is_ordered else None
    async with asyncio.TaskGroup() as serving:
        if turns:
            serving.create_task(turns.serve())
        async with asyncio.TaskGroup() as group:
            for _ in range(carriers):
                group.create_task(carry_each(waiting, stations, put, around))
            async for errand in errands:
                await waiting.put((errand, await turns.take() if turns else None))
                if around.drain.is_set():
                    break
            for _ in range(carriers):
                await waiting.put(None)
        if turns:
            await turns.finish()


async def carry_each(
    waiting: asyncio.Queue[tuple[Errand, Turn | None] | None], stations: Stations, put: Put, around: Surroundings
) -> None:
    """Be a carrier: take one row after the other to its end, until there is none."""
    while taken := await waiting.get():
        (errand, turn), is_over = taken, False
        try:
            if not around.drain.is_set():
                let_go = partial(stations.owed.discard, errand.row.key)
                in_turn = partial(turn.put, let_go=let_go) if turn else put
                is_over = await carry_one(errand, stations, in_turn, around)
        except (Stopped, CredentialRefused) as error:  # what the other carriers hold is good, and is committed
            around.stopped_by.append(error)
            around.stop.set()
            return
        finally:
            if turn:
                turn.end(is_left=not is_over)


def goes_on_record(stations: Stations) -> bool:
    """Whether something is asked that has to be on record before."""
    return any(not may_repeat(one.fetch) for one in (stations.job, *(asker.job for asker in stations.askers)))


async def label_all(
    chunks: AsyncIterator[Chunk | Unkeyed], labeller: Labeller, sink: Sink, around: Surroundings
) -> None:
    """Have workers label chunk after chunk, and hand over what came of each in the order of the rows."""
    under_way: asyncio.Queue[tuple[Chunk | Unkeyed, asyncio.Task[Result]] | None] = asyncio.Queue(labeller.under_way)

    async def hand_over() -> None:
        while taken := await under_way.get():
            chunk, labelling = taken
            for outcome in await labeller.outcomes(chunk, await labelling):
                await sink.put(outcome)

    async with asyncio.TaskGroup() as group:
        group.create_task(hand_over())
        async for chunk in chunks:
            await under_way.put((chunk, group.create_task(labeller.label(chunk))))
            if around.drain.is_set():
                break
        await under_way.put(None)
    labeller.let_go()  # while the last rows are committed


async def carry_one(errand: Errand, stations: Stations, put: Put, around: Surroundings) -> bool:
    """Carry a row to its outcome, or to the page that it has reached when no further one is to be begun: False then."""
    outcome = None
    try:
        async with aclosing(carry(stations, errand)) as outcomes:
            async for outcome in outcomes:
                await put(outcome)
                stations.owed.discard(errand.row.key)
                if around.drain.is_set():
                    return outcome.is_end
    finally:
        stations.owed.discard(errand.row.key)
    is_over = outcome is not None and outcome.is_end
    if not is_over:
        count_left(errand, around.tally, has_moved=outcome is not None)
    return is_over or not around.drain.is_set()
