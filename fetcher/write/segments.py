"""One folder of segments: which names they have, how they grow, how they are published and how they are recovered.

    .fetcher/000007.open             the open segment; a reader never looks here
    records-000007.jsonl[.zst]       published: complete, and never changed again
    .fetcher/stations-000002.open    the same of a table beside the main one, which numbers its own
    stations-000002.jsonl[.zst]

The rule: bytes are durable before the ledger vouches for them, and a name is durable before the other one goes. So
recovery only ever cuts a tail that nobody vouches for, or repeats the last step of a publication.
"""

import asyncio
import errno
import hashlib
import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fetcher.errors import Contradiction
from fetcher.model import MAIN, Segment, SegmentState
from fetcher.write.disk import Disk, OpenFile, RealDisk, sha256_of
from fetcher.write.packing import PACKINGS

PUBLISHED_NAME = re.compile(r"(\w[\w-]*)-(\d+)\.jsonl(\.gz|\.zst)?", re.ASCII)
MENDING = "put the file back from a backup, or move the whole folder away and start anew"
OPEN_NAME = re.compile(r"(?:(\w[\w-]*)-)?(\d+)\.open", re.ASCII)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where segments lie: `folder` is the job's output, `state` its `.fetcher`, both on `disk`.

    `tables` are the names of those that the job has beside the main one. Where it `publishes` nothing, sealed segments
    stay at their open names, and nothing but these is touched: the folder is that of another ledger. `beside` are
    other folders, whose files records name.
    """

    folder: Path
    state: Path
    disk: Disk = field(default_factory=RealDisk)
    tables: tuple[str, ...] = ()
    publishes: bool = True
    beside: tuple[Path, ...] = ()

    def open_path(self, number: int, table: str = MAIN) -> Path:
        """`.fetcher/000007.open`, or `.fetcher/stations-000007.open`"""
        return self.state / (f"{number:06}.open" if table == MAIN else f"{table}-{number:06}.open")

    def growing_path(self, segment: Segment) -> Path:
        """Where it lies until it is published."""
        return self.open_path(segment.number, segment.table)

    def published_path(self, segment: Segment) -> Path:
        """Where a reader finds it."""
        return self.folder / published_name(segment)


def published_name(segment: Segment) -> str:
    """`records-000007.jsonl`, or its like for a packed one or another table."""
    return f"{segment.table}-{segment.number:06}{PACKINGS[segment.packing].suffix}"


def published_of(name: str, tables: Container[str]) -> tuple[str, int] | None:
    """Table and number of a file that has the name of a segment of one of these tables."""
    match = PUBLISHED_NAME.fullmatch(name)
    return (match[1], int(match[2])) if match and match[1] in tables else None


def tables_of(layout: Layout, segments: Iterable[Segment]) -> list[str]:
    """All tables whose files can lie there: the main one, those of the job, those that it once had."""
    return list(dict.fromkeys([MAIN, *layout.tables, *(segment.table for segment in segments)]))


class GrowingSegment:
    """The open segment: a file, and what the ledger will be told of it."""

    def __init__(self, layout: Layout, segment: Segment, file: OpenFile, digest: "hashlib._Hash") -> None:
        self.segment = segment
        self._layout = layout
        self._file = file
        self._digest = digest

    async def append(self, lines: bytes, records: int) -> None:
        """Add whole lines, packed as one piece. Nobody vouches for them before `durable`."""
        held = self.segment
        data = await asyncio.to_thread(self._packed, lines)
        await self._file.append(data)
        self.segment = replace(
            held, length=held.length + len(data), records=held.records + records, sha256=self._digest.hexdigest()
        )

    def _packed(self, lines: bytes) -> bytes:
        """As they are written: what is not is vouched for by nobody, so the digest may know of it before."""
        data = PACKINGS[self.segment.packing].pack(lines)
        self._digest.update(data)
        return data

    async def durable(self, is_sealed: bool) -> Segment:
        """What the ledger may vouch for now: all that was appended is on the disk, and where it belongs."""
        await self._file.sync()
        path = self._layout.growing_path(self.segment)
        if self._layout.disk.size(path) != self.segment.length:
            raise FileNotFoundError(
                errno.ENOENT, "the open segment was moved or changed while it was written", str(path)
            )
        if is_sealed:
            self.segment = replace(self.segment, state=SegmentState.SEALED)
        return self.segment

    async def close(self) -> None:
        """Give the file back; what was not vouched for is cut at the next start."""
        await self._file.close()


async def begin(layout: Layout, number: int, packing: str, now: float, *, table: str = MAIN) -> GrowingSegment:
    """A new, empty segment whose name is durable before anything is vouched for in it."""
    digest = hashlib.sha256()
    segment = Segment(number, SegmentState.OPEN, packing, 0, 0, digest.hexdigest(), now, table)
    file = await layout.disk.create(layout.growing_path(segment))
    await asyncio.to_thread(layout.disk.sync_folder, layout.state)
    return GrowingSegment(layout, segment, file, digest)


async def carry_on(layout: Layout, segment: Segment) -> GrowingSegment:
    """The open segment of an earlier run, checked and cut by `recover` before."""
    path = layout.growing_path(segment)
    digest = await asyncio.to_thread(sha256_of, layout.disk, path, segment.length)
    return GrowingSegment(layout, segment, await layout.disk.reopen(path), digest)


def publish(layout: Layout, segment: Segment) -> Segment:
    """Move a sealed segment to its final name; repeating it does no harm. The caller tells the ledger."""
    source = layout.growing_path(segment)
    if name_finally(layout, segment):
        layout.disk.sync_folder(layout.folder)
        layout.disk.unlink(source)
        layout.disk.sync_folder(layout.state)
    return replace(segment, state=SegmentState.PUBLISHED)


def name_finally(layout: Layout, segment: Segment) -> bool:
    """Give a sealed segment its final name beside the open one; False where the open one is gone already."""
    source, target = layout.growing_path(segment), layout.published_path(segment)
    check_sealed(layout, segment)
    if layout.disk.size(source) is None:
        return False
    if layout.disk.size(target) is None:
        layout.disk.link(source, target)
    return True


def check_sealed(layout: Layout, segment: Segment) -> None:
    """Raise `Contradiction` unless the segment lies, whole and with nothing behind it, where `publish` can take it."""
    source, target = layout.growing_path(segment), layout.published_path(segment)
    is_open, is_named = layout.disk.size(source) is not None, layout.disk.size(target) is not None
    if is_open and is_named and not layout.disk.same(source, target):
        raise Contradiction(f"{target}: a file that fetcher did not write has this name; move it away")
    path = source if is_open else target
    check(layout.disk, path, segment)
    if layout.disk.size(path) != segment.length:
        raise Contradiction(f"{path}: longer than the {segment.length} bytes that the ledger vouches for; {MENDING}")


def check(disk: Disk, path: Path, segment: Segment) -> None:
    """Raise `Contradiction` unless the first bytes of the file are those that the ledger vouches for."""
    size = disk.size(path)
    if size is None or size < segment.length:
        found = "is missing" if size is None else f"has {size} bytes"
        raise Contradiction(f"{path}: {found}, the ledger vouches for {segment.length} bytes; {MENDING}")
    if sha256_of(disk, path, segment.length).hexdigest() != segment.sha256:
        raise Contradiction(f"{path}: its first {segment.length} bytes were changed since (SHA-256 differs); {MENDING}")


def contradictions(layout: Layout, segments: Sequence[Segment]) -> None:
    """Raise `Contradiction` where files and ledger cannot both be right. Touches nothing."""
    tops = dict.fromkeys(tables_of(layout, segments), 0)
    for segment in segments:
        tops[segment.table] = max(tops[segment.table], segment.number)
    for name in layout.disk.names(layout.folder):
        found = published_of(name, tops)
        if found and found[1] > tops[found[0]] and not is_named_early(layout, name, *found):
            raise Contradiction(
                f"{layout.folder / name}: the ledger knows no such segment; was .fetcher/ledger.sqlite deleted or put "
                "back from an older copy? Put the right one back, or move the records away and start anew"
            )
    for segment in segments:
        path = layout.published_path(segment)
        if segment.state is SegmentState.PUBLISHED and (size := layout.disk.size(path)) != segment.length:
            raise Contradiction(
                f"{path}: expected {segment.length} bytes, found {'none' if size is None else size}; {MENDING}"
            )
        if segment.state is SegmentState.OPEN and segment.length:
            check(layout.disk, layout.growing_path(segment), segment)
        if segment.state is SegmentState.SEALED:
            check_sealed(layout, segment)


def recover(layout: Layout, segments: Sequence[Segment]) -> list[Segment]:
    """Bring the folder to what the ledger says; returns the segments as they are now, for the caller to tell it.

    Cuts the open segment at its vouched length, drops open files that nothing vouches for, with the final names that
    they were given early, and publishes what is sealed. Raises `Contradiction`, with nothing touched, where the two
    cannot both be right.
    """
    contradictions(layout, segments)
    growing = {layout.growing_path(s).name: s for s in segments if s.state is SegmentState.OPEN and s.length}
    sealed = {layout.growing_path(s).name for s in segments if s.state is SegmentState.SEALED}
    known = {published_name(s) for s in segments if s.state is not SegmentState.OPEN}
    for name in layout.disk.names(layout.state):
        if name in sealed or not OPEN_NAME.fullmatch(name):
            continue
        path = layout.state / name
        for early in early_names(layout, name, known):
            layout.disk.unlink(early)
            layout.disk.sync_folder(layout.folder)
        if (segment := growing.get(name)) is None:
            layout.disk.unlink(path)
        elif layout.disk.size(path) != segment.length:
            layout.disk.truncate(path, segment.length)
    layout.disk.sync_folder(layout.state)
    if not layout.publishes:
        return list(segments)
    return [publish(layout, s) if s.state is SegmentState.SEALED else s for s in segments]


def early_names(layout: Layout, open_name: str, known: Container[str]) -> Iterator[Path]:
    """The final names, but for known ones, of a file that still has its open name."""
    if match := OPEN_NAME.fullmatch(open_name):
        table, number = match[1] or MAIN, int(match[2])
        for packing in PACKINGS.values():
            name = f"{table}-{number:06}{packing.suffix}"
            if name not in known and is_named_early(layout, name, table, number):
                yield layout.folder / name


def is_named_early(layout: Layout, name: str, table: str, number: int) -> bool:
    """Whether the file of a final name is there under its open one, too: a generation was about to be published."""
    source, target = layout.open_path(number, table), layout.folder / name
    is_there = layout.disk.size(source) is not None and layout.disk.size(target) is not None
    return is_there and layout.disk.same(source, target)
