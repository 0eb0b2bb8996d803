"""The records of a job that stand, as one file: CSV, TSV, Parquet or JSON Lines."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import IO

from fetcher.committed import published
from fetcher.export.columnar import JSON, kinds_in, write_parquet
from fetcher.export.delimited import delimited_blocks, names_in
from fetcher.job.load import LoadedJob
from fetcher.listing import listed_or_all
from fetcher.model import MAIN, RowState, SegmentState
from fetcher.status import view
from fetcher.tabular.lines import UnreadableTable
from fetcher.tabular.reading import columns_of
from fetcher.write.packing import packed_whole

DELIMITERS = {"csv": ",", "tsv": "\t"}
LINES_A_BLOCK = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an export is to be: `format` csv, tsv, jsonl or parquet, `packing` none, gzip or zstd, of which `table`, and
    whether cells that a spreadsheet would take for formulas are guarded."""

    format: str
    packing: str = "none"
    table: str = MAIN
    is_guarded: bool = False


@dataclass(slots=True)
class Exported:
    """What was written: so many `records`; `mixed` are columns of a Parquet file that hold JSON text because their
    values have no type in common. What was not: rows of the job that `failed`, by state, and records that are not
    published yet.
    """

    records: int = 0
    mixed: list[str] = field(default_factory=list)
    failed: Counter[RowState] = field(default_factory=Counter)
    unpublished: int = 0

    def counted(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The lines, counted as they pass."""
        for line in lines:
            self.records += 1
            yield line


def export(job: LoadedJob, wanted: Wanted, file: IO[bytes], now: float) -> Exported:
    """Write the records of one of the job's tables that are published and that no later revision has replaced, in the
    order of its files. All that is read is of one moment, also while a run goes on; rows that failed are those that
    the job lists `now` (epoch seconds).

    CSV and Parquet take a first pass for their columns: those of the job's own table, then what was added. Raises
    `Contradiction` where there are no records to be had, and OSError.
    """
    found = Exported()
    with view(job) as ledger:
        failed = {failure.key: failure.state for failure in ledger.failures()}
        found.failed = Counter(failed[key] for key in listed_or_all(job, ledger, failed, now))
        held = (segment for segment in ledger.segments() if segment.table == wanted.table)
        found.unpublished = sum(one.records for one in held if one.state is not SegmentState.PUBLISHED)
    records = published(job.write.folder, latest=True, table=wanted.table)
    first = columns_of_rows(job) if wanted.table == MAIN else ()
    if wanted.format == "parquet":
        kinds = kinds_in(records, first)
        found.mixed = [name for name, kind in kinds.items() if kind == JSON]
        write_parquet(found.counted(records), kinds, file)
        return found
    if wanted.format == "jsonl":
        blocks = blocks_of(found.counted(records))
    else:
        delimiter, columns = DELIMITERS[wanted.format], names_in(records, first)
        blocks = delimited_blocks(found.counted(records), columns, delimiter, wanted.is_guarded)
    with packed_whole(wanted.packing, file) as write:
        for block in blocks:
            write(block)
    return found


def columns_of_rows(job: LoadedJob) -> Sequence[str]:
    """The columns of the table whose lines are records, in its order; none where its rows are asked about, or it cannot
    be read now."""
    if job.asks or not job.read.table:
        return ()
    try:
        files = [file for file in job.read.table.files() if file.path]
        return list(dict.fromkeys(name for file in files for name in columns_of(file)))
    except UnreadableTable:
        return ()


def blocks_of(lines: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, many lines at a time."""
    while some := list(islice(lines, LINES_A_BLOCK)):
        yield b"".join(some)
