"""Records out of a job's folder."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fetcher.errors import Contradiction
from fetcher.ledger import LedgerView, Segment, SegmentState
from fetcher.model import MAIN
from fetcher.write.packing import DAMAGES, PACKINGS
from fetcher.write.segments import MENDING, Layout

if TYPE_CHECKING:
    import pandas as pd

CHUNK_RECORDS = 50_000


def read_records(
    folder: str | Path, *, chunk_records: int = CHUNK_RECORDS, latest: bool = False, table: str = MAIN
) -> "Iterator[pd.DataFrame]":
    """The published records of a job's folder as pandas frames of at most `chunk_records` rows, in order of writing.

    `table` names one of those that the job has beside the main one (write.tables). With `latest`, records that a later
    revision of their row replaced are left out. A column whose integers pandas would round (large ones beside a missing
    value) keeps them as objects. Reading changes nothing in the folder, and may go on beside a run.

    Raises `Contradiction` where the folder holds no ledger, its ledger knows no such table, or a published file is not
    as it was published.
    """
    if chunk_records < 1:
        raise ValueError(f"chunk_records is {chunk_records}, expected 1 or more")
    return _frames(Path(folder), chunk_records, latest, table)


def _frames(folder: Path, chunk_records: int, latest: bool, table: str) -> "Iterator[pd.DataFrame]":
    import pandas as pd

    decode = msgspec.json.Decoder(dict[str, object]).decode
    lines = published_lines(folder, latest, table)
    while chunk := _decoded(folder, decode, islice(lines, chunk_records)):
        frame = pd.DataFrame(chunk)
        for name in frame.columns[frame.dtypes == "float64"]:
            values = [record.get(name) for record in chunk]
            if any(type(value) is int and int(float(value)) != value for value in values):
                frame[name] = pd.Series(values, dtype=object)
        yield frame


def _decoded(
    folder: Path, decode: Callable[[bytes], dict[str, object]], lines: Iterator[bytes]
) -> list[dict[str, object]]:
    try:
        return [decode(line) for line in lines]
    except msgspec.DecodeError as error:
        raise Contradiction(
            f"{folder}: a published line is no record ({error}); fetcher verify names its file"
        ) from error


def published_lines(folder: Path, latest: bool = False, table: str = MAIN) -> Iterator[bytes]:
    """Every line of every published segment of a table; with `latest`, only those that no later revision replaced.

    Raises `Contradiction` where there is no ledger, or one that knows of no such table.
    """
    layout = Layout(folder, folder / ".fetcher")
    path = layout.state / "ledger.sqlite"
    if not path.is_file():
        raise Contradiction(f"{folder}: no ledger here; name the folder that the job writes to (write.folder)")
    with LedgerView(path) as ledger:
        if not ledger.knows(table):
            raise Contradiction(f"{folder}: no row has had records for a table '{table}'; see write.tables of the job")
        segments = [segment for segment in ledger.segments() if segment.table == table]
        published = [segment for segment in segments if segment.state is SegmentState.PUBLISHED]
        superseded = ledger.superseded(before=sum(segment.records for segment in published), table=table)
    lines = (line for segment in published for line in segment_lines(layout, segment))
    return without(lines, superseded) if latest else lines


def segment_lines(layout: Layout, segment: Segment) -> Iterator[bytes]:
    """The lines of one published segment, unpacked."""
    path = layout.published_path(segment)
    if (size := layout.disk.size(path)) != segment.length:
        found = "it is missing" if size is None else f"it has {size} bytes"
        raise Contradiction(f"{path}: {found}, the ledger vouches for {segment.length}")
    try:
        with PACKINGS[segment.packing].lines(path) as lines:
            yield from lines
    except DAMAGES as error:
        raise Contradiction(f"{path}: cannot be unpacked ({error}); {MENDING}") from error


def without(lines: Iterator[bytes], ranges: list[tuple[int, int]]) -> Iterator[bytes]:
    """The lines whose number lies in none of the ranges (first, how many), which are in order and do not overlap."""
    number = 0
    for first, count in ranges:
        yield from islice(lines, first - number)
        for _ in islice(lines, count):
            pass
        number = first + count
    yield from lines
