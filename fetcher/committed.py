"""The records that a job's folder vouches for, line by line."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from fetcher.errors import Contradiction
from fetcher.ledger import LedgerView, Segment, SegmentState
from fetcher.model import MAIN
from fetcher.write.packing import DAMAGES, PACKINGS
from fetcher.write.segments import MENDING, Layout


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
