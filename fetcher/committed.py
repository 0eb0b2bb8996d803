"""The records that a job's folder vouches for, line by line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from fetcher.errors import Contradiction
from fetcher.ledger import LedgerView
from fetcher.model import MAIN, Segment, SegmentState
from fetcher.write.packing import DAMAGES, PACKINGS
from fetcher.write.segments import MENDING, Layout


@dataclass(frozen=True, slots=True)
class Published:
    """The records of a table that were published at one moment, line by line, as often as they are wanted: a published
    file never changes. Ranges of `left_out` (first, how many) are of records that no longer stand."""

    layout: Layout
    segments: tuple[Segment, ...]
    left_out: tuple[tuple[int, int], ...] = ()

    def __iter__(self) -> Iterator[bytes]:
        lines = (line for segment in self.segments for line in segment_lines(self.layout, segment))
        return without(lines, self.left_out) if self.left_out else lines


def published_lines(folder: Path, latest: bool = False, table: str = MAIN) -> Iterator[bytes]:
    """Every line of every published segment of a table; with `latest`, only those that no later revision replaced.

    Raises `Contradiction` where there is no ledger, or one that knows of no such table.
    """
    return iter(published(folder, latest, table))


def published(folder: Path, latest: bool = False, table: str = MAIN) -> Published:
    """The same, to be gone through more than once."""
    layout = Layout(folder, folder / ".fetcher")
    path = layout.state / "ledger.sqlite"
    if not path.is_file():
        raise Contradiction(f"{folder}: no ledger here; name the folder that the job writes to (write.folder)")
    with LedgerView(path) as ledger:
        if not ledger.knows(table):
            raise Contradiction(f"{folder}: no row has had records for a table '{table}'; see write.tables of the job")
        segments = [segment for segment in ledger.segments() if segment.table == table]
        found = tuple(segment for segment in segments if segment.state is SegmentState.PUBLISHED)
        superseded = ledger.superseded(before=sum(segment.records for segment in found), table=table) if latest else ()
    return Published(layout, found, tuple(superseded))


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


def without(lines: Iterator[bytes], ranges: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """The lines whose number lies in none of the ranges (first, how many), which are in order and do not overlap."""
    number = 0
    for first, count in ranges:
        yield from islice(lines, first - number)
        for _ in islice(lines, count):
            pass
        number = first + count
    yield from lines
