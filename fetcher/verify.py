"""Whether a job's ledger and files tell the same story, and whether it kept its limits. Touches nothing."""

from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from fetcher.committed import segment_lines
from fetcher.errors import Contradiction
from fetcher.fetch.calendars import period_of
from fetcher.fetch.request_log import logs, sent_in
from fetcher.job.load import LoadedJob
from fetcher.job.units import CalendarRate, Rate
from fetcher.launch import layout_of
from fetcher.ledger import LedgerView
from fetcher.model import MAIN, Segment, SegmentState
from fetcher.stations import runs_of
from fetcher.status import view
from fetcher.write.segments import Layout, check, check_sealed, is_named_early, published_name, published_of, tables_of

LOG_ROUNDING_S = 0.0002
"""Twice what a time in the log is rounded by."""


def problems(job: LoadedJob) -> Iterator[str]:
    """Everything that is wrong, a line each; nothing where all is well. Raises `Contradiction` where no ledger is."""
    layout, opened = layout_of(job), view(job)
    # In this order: what a run publishes meanwhile is known to the ledger before it has its name.
    names = layout.disk.names(layout.folder)
    with opened as ledger:
        segments = ledger.segments()
        for table in tables_of(layout, segments):
            yield from count_problems(ledger, table, segments)
    for segment in segments:
        yield from segment_problems(layout, segment)
    yield from foreign_files(layout, names, segments)
    yield from limit_problems(job, layout)
    for name, asking in job.asking.items():
        yield from (f"{name}: {problem}" for problem in limit_problems(asking, layout))


def limit_problems(job: LoadedJob, layout: Layout) -> Iterator[str]:
    """Where more was sent than a limit allows."""
    times = array("d", sorted(sent.at for log in logs(runs_of(job, layout)) for sent in sent_in(log)))
    keys = job.fetch.auth.count if job.fetch.auth else 1  # each of them may send so many
    for rate in (replace(rate, starts=keys * rate.starts) for rate in job.fetch.limits.rate):
        if isinstance(rate, CalendarRate):
            yield from calendar_problems(rate, job.fetch.limits.timezone, times)
        else:
            yield from rate_problems(rate, times)


def rate_problems(rate: Rate, times: Sequence[float]) -> Iterator[str]:
    """Where requests left closer together than a rate allows; of each such crowd the first moment."""
    crowded_until = float("-inf")
    for first, last in zip(times, times[rate.starts :], strict=False):
        if last - first < rate.per_s - LOG_ROUNDING_S and first > crowded_until:
            crowded_until = last
            when = datetime.fromtimestamp(first, UTC).isoformat(timespec="milliseconds")
            allowed = f"{rate.starts} in {rate.per_s:g} s are allowed"
            yield f"limits: {rate.starts + 1} requests left within {last - first:.3f} s from {when} on; {allowed}"


def calendar_problems(rate: CalendarRate, timezone: str, times: Sequence[float]) -> Iterator[str]:
    """Days or months in which more requests left than a rate allows."""
    for name, sent in Counter(period_of(rate, timezone, at).name for at in times).items():
        if sent > rate.starts:
            yield f"limits: {sent:,} requests left on {name}; {rate.starts:,} are allowed"


def count_problems(ledger: LedgerView, table: str, segments: list[Segment]) -> Iterator[str]:
    """Rows and segments must account for the same number of records of a table."""
    held = sum(segment.records for segment in segments if segment.table == table)
    vouched = ledger.vouched_records(table)
    if held != vouched:
        what = "records" if table == MAIN else f"records of {table}"
        yield f"ledger: rows account for {vouched:,} {what}, segments for {held:,}"


def segment_problems(layout: Layout, segment: Segment) -> Iterator[str]:
    """Length and hash of one segment, and of a published one its number of records."""
    try:
        if segment.state is SegmentState.SEALED:
            check_sealed(layout, segment)
        elif segment.length:
            check(layout.disk, place_of(layout, segment), segment)
        if segment.state is SegmentState.PUBLISHED:
            yield from line_problems(layout, segment)
    except (Contradiction, OSError) as error:
        yield str(error)


def place_of(layout: Layout, segment: Segment) -> Path:
    """Where a segment lies: a run may have published an open one since the ledger was read."""
    growing, published = layout.growing_path(segment), layout.published_path(segment)
    if segment.state is SegmentState.PUBLISHED:
        return published
    is_moved = layout.disk.size(growing) is None and layout.disk.size(published) is not None
    return published if is_moved else growing


def line_problems(layout: Layout, segment: Segment) -> Iterator[str]:
    """A published segment must hold as many lines as the ledger counts records."""
    lines = sum(1 for _ in segment_lines(layout, segment))
    if lines != segment.records:
        path = layout.published_path(segment)
        yield f"{path}: holds {lines:,} lines, the ledger vouches for {segment.records:,} records"


def foreign_files(layout: Layout, names: list[str], segments: list[Segment]) -> Iterator[str]:
    """Those of the files that look like records and that the ledger has not sealed."""
    known = {published_name(segment) for segment in segments if segment.state is not SegmentState.OPEN}
    tables = tables_of(layout, segments)
    for name in names:
        found = published_of(name, tables)
        if found and name not in known and not is_named_early(layout, name, *found):
            yield f"{layout.folder / name}: the ledger knows no such segment; move it away"
