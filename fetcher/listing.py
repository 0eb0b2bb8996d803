"""Which rows a job lists, under the keys that its ledger knows them by."""

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

from fetcher.committed import published_lines
from fetcher.errors import Fault, JobError
from fetcher.job.fingerprints import fetch_fingerprint
from fetcher.job.load import LoadedJob
from fetcher.ledger import LedgerView
from fetcher.model import Row
from fetcher.read.rows import source_rows
from fetcher.read.tables import Reading, Unkeyed, is_plain, unkeyed_rows
from fetcher.tabular.lines import UnreadableTable

Found = TypeVar("Found")

CHUNK_ROWS = 200
"""So many rows are looked up in the ledger at once."""


def rows_of(job: LoadedJob, ledger: LedgerView, now: float, reading: Reading | None = None) -> Iterator[Row]:
    """The job's rows at a time (epoch seconds), under the keys that the ledger knows them by; `reading` counts what
    is no row. Raises `JobError` where a table cannot be read."""
    generation = generation_of(ledger, fetch_fingerprint(job))
    lines = lines_of(job.parent) if job.parent else ()
    for row in readable(job, source_rows(job.read, datetime.fromtimestamp(now, UTC), reading or Reading(), lines)):
        yield row if generation == 1 else row._replace(key=f"{row.key}#{generation}")


def unkeyed_of(job: LoadedJob, ledger: LedgerView, reading: Reading) -> Iterator[Unkeyed] | None:
    """The job's rows, where each is just a line of a table; None where they have to be read one by one."""
    told = job.read
    if not told.table or told.dates or told.values or not is_plain(told.table, told.key):
        return None
    if generation_of(ledger, fetch_fingerprint(job)) > 1:
        return None
    return readable(job, unkeyed_rows(told.table, reading))


def readable(job: LoadedJob, found: Iterable[Found]) -> Iterator[Found]:
    """What is read of the job's sources. Raises `JobError` where a table cannot be read."""
    try:
        yield from found
    except UnreadableTable as error:
        raise JobError(str(job.file), [Fault(0, 0, "read.table", str(error))]) from error


def listed_of(job: LoadedJob, ledger: LedgerView, keys: Collection[str], now: float) -> set[str]:
    """Those of the keys that are rows of the job at a time (epoch seconds). Standard input tells its rows only once, so
    there all of them count as such. Raises `JobError` where a table cannot be read."""
    left = set(keys)
    if job.read.table and any(file.path is None for file in job.read.table.files()):
        return left
    for row in rows_of(job, ledger, now) if left else ():
        left.discard(row.key)
        if not left:
            break
    return set(keys) - left


def listed_or_all(job: LoadedJob, ledger: LedgerView, keys: Collection[str], now: float) -> set[str]:
    """The same, and all of them where the job's rows cannot be read now."""
    with suppress(JobError):
        return listed_of(job, ledger, keys, now)
    return set(keys)


def lines_of(parent: LoadedJob) -> Iterator[bytes]:
    """The records of a job that stand now. Raises `JobError` where it has not been run."""
    folder = parent.write.folder
    if not (folder / ".fetcher" / "ledger.sqlite").is_file():
        message = "has not been run yet: its records are the rows of the job that names it"
        raise JobError(str(parent.file), [Fault(0, 0, "", message)])
    return published_lines(folder, latest=True)


def generation_of(ledger: LedgerView, fingerprint: str) -> int:
    """Which number the request part of the job has among all that this ledger has seen, from 1.

    Rows of another request are other rows: from the second generation on their keys end in `#2`, `#3`, ...
    """
    known = requests_seen(ledger)
    return known.index(fingerprint) + 1 if fingerprint in known else len(known) + 1


def requests_seen(ledger: LedgerView) -> list[str]:
    """The fingerprints of every request part that rows were fetched by, oldest first."""
    return (ledger.remembered("fetch") or "").split()
