"""Rows as they come: read by the chunk, looked up in the ledger, and told apart by whether this run asks for them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from itertools import islice

from fetcher.chunks import Chunk, Labeller
from fetcher.errands import Errand, errand_of, without_network
from fetcher.job.load import LoadedJob
from fetcher.job.sections import Fetch
from fetcher.listing import CHUNK_ROWS, unkeyed_of
from fetcher.model import Row, Standing
from fetcher.read.aside import aside
from fetcher.read.tables import Reading, Unkeyed
from fetcher.selection import RunOptions, Verdict, verdict
from fetcher.stations import Surroundings
from fetcher.tally import Tally


def count_left(errand: Errand, tally: Tally, has_moved: bool) -> None:
    """Count a row that no answer was kept for: it stays where it stood, unless some of its first pages were kept."""
    is_first_pass = not (errand.before and errand.before.digest)
    tally.not_kept += not errand.is_lost and not (has_moved and is_first_pass)
    if errand.before and not (errand.is_lost and has_moved):  # what was lost and is found waits for its rest
        tally.settled_before[errand.before.state] += 1


async def chunks_of(
    rows: Iterator[Row], tally: Tally, reading: Reading, size: Callable[[], int]
) -> AsyncIterator[list[Row]]:
    """The rows, so many at a time. A file may be slow, and a pipe may never give: both are waited for in a thread."""

    def read() -> list[Row]:
        return list(islice(rows, size()))

    while chunk := await aside(read) if reading.is_file else read():
        tally.skipped = reading.skipped
        tally.rows_read += len(chunk)
        yield chunk
        await asyncio.sleep(0)
    tally.skipped = reading.skipped
    note_end(tally, reading)


async def unkeyed_chunks(found: Iterator[Unkeyed], tally: Tally, reading: Reading) -> AsyncIterator[Unkeyed]:
    """The same of rows without keys, as they come."""
    while chunk := await aside(partial(next, found, None)):
        tally.rows_read += chunk.rows
        if chunk.rows:
            yield chunk
    note_end(tally, reading)


def note_end(tally: Tally, reading: Reading) -> None:
    """Count that all rows were read, if nobody has written to their files meanwhile."""
    tally.changed = reading.changed
    tally.is_read_whole = not tally.changed


async def errands_of(
    chunks: AsyncIterator[list[Row]], options: RunOptions, fetch: Fetch, around: Surroundings
) -> AsyncIterator[Errand]:
    """The rows that this run asks for, in order; the others are counted and left."""
    async for chunk in chunks:
        for errand in asked_in(chunk, options, fetch, around):
            if not options.offline:
                yield errand
            elif (kept := without_network(errand)) is not None:
                yield kept
            else:
                count_left(errand, around.tally, has_moved=False)


def chunks_to_label(
    job: LoadedJob, options: RunOptions, run: tuple[Surroundings, Iterator[Row], Reading], labeller: Labeller
) -> AsyncIterator[Chunk | Unkeyed]:
    """The rows that this run labels, in order: without keys where they are all the lines of a table, and none has to
    be looked up."""
    around, rows, reading = run
    is_whole = around.witness is None and is_new(options, around)
    if is_whole and labeller.is_quick and (found := unkeyed_of(job, around.ledger, reading)):
        return unkeyed_chunks(found, around.tally, reading)
    chunks = chunks_of(rows, around.tally, reading, lambda: labeller.rows)
    return asked_chunks(chunks, options, job.fetch, around)


def is_new(options: RunOptions, around: Surroundings) -> bool:
    """Whether no row was ever settled, so that there is nothing to look up."""
    return around.ledger.is_new() and not (options.only_failed or options.reparse)


async def asked_chunks(
    chunks: AsyncIterator[list[Row]], options: RunOptions, fetch: Fetch, around: Surroundings
) -> AsyncIterator[Chunk]:
    """The same, chunk by chunk."""
    is_first = is_new(options, around)
    async for chunk in chunks:
        if is_first:
            yield Chunk(chunk)
            continue
        errands = list(asked_in(chunk, options, fetch, around))
        before = {errand.row.key: errand for errand in errands if errand.before}
        yield Chunk([errand.row for errand in errands], before)


def asked_in(chunk: list[Row], options: RunOptions, fetch: Fetch, around: Surroundings) -> Iterator[Errand]:
    """The rows of a chunk that this run asks for."""
    tally, standings = around.tally, dict[str, Standing]()
    for at in range(0, len(chunk), CHUNK_ROWS):
        standings |= around.ledger.standings([row.key for row in chunk[at : at + CHUNK_ROWS]])
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
