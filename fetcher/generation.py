"""A generation of records: what `--reparse` makes of kept answers, beside those that stand, until it takes their place.

It has a ledger of its own, `.fetcher/reparse.sqlite`, which begins as a copy of the job's; its segments keep their open
names. Once every row has been gone over, the segments get their final names, and the ledger becomes the copy in one
transaction. What a kill leaves before that is gone on with by the next `--reparse`, and is dropped by whatever else
writes the ledger, for then it is a copy no more.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import inf, nextafter
from pathlib import Path

from fetcher.errors import Contradiction, DiskFailed
from fetcher.ledger import Ledger, LedgerView
from fetcher.model import Segment, SegmentState
from fetcher.write.segments import Layout, name_finally, recover
from fetcher.write.whole import replace_summaries

MARK = "reparse"
"""The fact by which a copy is known: by which rules its rows are parsed, and since when."""


@contextmanager
def next_generation(layout: Layout, ledger: Ledger, rules: str, now: float) -> Iterator[tuple[Ledger, float]]:
    """The ledger of a generation by these rules, new or as it was left, and since when (epoch seconds) rows of it were
    settled by them. `ledger` may not change meanwhile. Raises as a `Ledger` does."""
    path = place_of(layout)
    since = begun_at(path, ledger, rules)
    if since is None:
        since = max(now, nextafter(ledger.newest(), inf))
        begin(layout, ledger, f"{rules} {since!r}")
    with Ledger(path) as copy:
        yield copy, since


async def take_over(layout: Layout, ledger: Ledger, copy: Ledger) -> None:
    """Put a generation in place of the one that stands. Whoever reads sees the one or the other."""
    try:
        sealed = [segment for segment in copy.segments() if segment.state is SegmentState.SEALED]
        for segment in sealed:
            name_finally(layout, segment)
        layout.disk.sync_folder(layout.folder)
        copy.commit((), [replace(segment, state=SegmentState.PUBLISHED) for segment in sealed])
        ledger.become(copy)
        recover(layout, ledger.segments())  # the open names go
        await replace_summaries(layout, ledger)
    except OSError as error:
        raise DiskFailed(f"{layout.folder}: {error}") from error


def drop(layout: Layout) -> None:
    """Give up the generation that was begun, if one was. Its segments go at the next recovery."""
    path = place_of(layout)
    names = (path.name, f"{path.name}-wal", f"{path.name}-shm")
    try:
        for name in (*names, *(f"new-{name}" for name in names)):  # a journal without its file is nothing
            path.with_name(name).unlink(missing_ok=True)
    except OSError as error:
        raise DiskFailed(f"{path}: {error}") from error


def place_of(layout: Layout) -> Path:
    """Where the ledger of a generation lies."""
    return layout.state / "reparse.sqlite"


def begun_at(path: Path, ledger: Ledger, rules: str) -> float | None:
    """Since when a generation by these rules goes on; None where there is none that can be gone on with."""
    if not path.exists():
        return None
    try:
        with LedgerView(path) as copy:
            marked_by, _, since = (copy.remembered(MARK) or "").partition(" ")
            is_copy = published(copy) == published(ledger) and copy.remembered("fetch") == ledger.remembered("fetch")
    except Contradiction:
        return None
    return float(since) if is_copy and marked_by == rules else None


def published(ledger: LedgerView) -> list[Segment]:
    """The segments that have their final names."""
    return [segment for segment in ledger.segments() if segment.state is SegmentState.PUBLISHED]


def begin(layout: Layout, ledger: Ledger, mark: str) -> None:
    """Copy the ledger; what has the copy's name is whole and marked."""
    drop(layout)
    path = place_of(layout)
    draft = path.with_name(f"new-{path.name}")
    with Ledger(draft, ledger.page_bytes) as copy:
        copy.become(ledger)
        copy.remember(MARK, mark)
    try:
        layout.disk.replace(draft, path)
        layout.disk.sync_folder(layout.state)
    except OSError as error:
        raise DiskFailed(f"{path}: {error}") from error
