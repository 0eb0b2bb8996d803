"""Whether a job's ledger and files tell the same story, byte by byte. Reads everything and touches nothing."""

from collections.abc import Iterator

from fetcher.errors import Contradiction
from fetcher.export import segment_lines
from fetcher.job.load import LoadedJob
from fetcher.launch import layout_of
from fetcher.ledger import LedgerView, Segment, SegmentState
from fetcher.status import view
from fetcher.write.segments import PUBLISHED_NAME, Layout, check, published_name


def problems(job: LoadedJob) -> Iterator[str]:
    """Everything that is wrong, a line each; nothing where all is well. Raises `Contradiction` where no ledger is."""
    layout = layout_of(job)
    with view(job) as ledger:
        segments = ledger.segments()
        yield from count_problems(ledger, segments)
    for segment in segments:
        yield from segment_problems(layout, segment)
    yield from foreign_files(layout, segments)


def count_problems(ledger: LedgerView, segments: list[Segment]) -> Iterator[str]:
    """Rows and segments must account for the same number of records."""
    held, vouched = sum(segment.records for segment in segments), ledger.vouched_records()
    if held != vouched:
        yield f"ledger: rows account for {vouched:,} records, segments for {held:,}"


def segment_problems(layout: Layout, segment: Segment) -> Iterator[str]:
    """Length, hash and number of records of one segment."""
    is_published = segment.state is SegmentState.PUBLISHED
    path = layout.published_path(segment) if is_published else layout.open_path(segment.number)
    try:
        check(layout.disk, path, segment)
        if is_published and (lines := sum(1 for _ in segment_lines(layout, segment))) != segment.records:
            yield f"{path}: holds {lines:,} lines, the ledger vouches for {segment.records:,} records"
    except (Contradiction, OSError) as error:
        yield str(error)


def foreign_files(layout: Layout, segments: list[Segment]) -> Iterator[str]:
    """Files that look like records and that the ledger does not know."""
    known = {published_name(segment) for segment in segments}
    for name in layout.disk.names(layout.folder):
        if PUBLISHED_NAME.fullmatch(name) and name not in known:
            yield f"{layout.folder / name}: the ledger knows no such segment; move it away"
