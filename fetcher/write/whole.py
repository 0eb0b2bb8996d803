"""The files that are replaced whole: `manifest.json` and `failures.jsonl`. Both only repeat what the ledger says."""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from fetcher.ledger import Ledger
from fetcher.model import MAIN, Failure, Segment, SegmentState
from fetcher.write.segments import Layout, published_name

BLOCK_BYTES = 1 << 20


async def replace_summaries(layout: Layout, ledger: Ledger) -> None:
    """Bring both files to what the ledger says now. Raises OSError."""
    await replace_whole(layout, "manifest.json", iter([manifest(ledger.segments())]))
    await replace_whole(layout, "failures.jsonl", map(failure_line, ledger.failures()))


async def replace_whole(layout: Layout, name: str, pieces: Iterable[bytes]) -> None:
    """Put a file in place of the one of that name: a reader, or a power cut, finds the old one or the new one."""
    disk, draft = layout.disk, layout.state / f"{name}.new"
    if disk.size(draft) is not None:
        disk.unlink(draft)
    file = await disk.create(draft)
    try:
        for block in blocks(pieces):
            await file.append(block)
        await file.sync()
    finally:
        await file.close()
    disk.replace(draft, layout.folder / name)
    await asyncio.to_thread(disk.sync_folder, layout.folder)


def blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of about a megabyte."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= BLOCK_BYTES:
            yield bytes(held)
            held.clear()
    yield bytes(held)


def manifest(segments: Iterable[Segment]) -> bytes:
    """`{"files": [{"name", "table", "bytes", "records", "sha256"}, ...], "records": N, "tables": {table: N}}` over the
    published segments; "records" are those of the main table, "tables" has each of the others."""
    published = [segment for segment in segments if segment.state is SegmentState.PUBLISHED]
    files = [
        {
            "name": published_name(segment),
            "table": segment.table,
            "bytes": segment.length,
            "records": segment.records,
            "sha256": segment.sha256,
        }
        for segment in published
    ]
    counts = dict.fromkeys([MAIN, *(segment.table for segment in published)], 0)
    for segment in published:
        counts[segment.table] += segment.records
    content = {"files": files, "records": counts.pop(MAIN), "tables": counts}
    return msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"


def failure_line(failure: Failure) -> bytes:
    """One line of `failures.jsonl`."""
    when = datetime.fromtimestamp(failure.settled_at, UTC).isoformat(timespec="seconds")
    content = {
        "row": failure.key,
        "state": failure.state,
        "reason": failure.reason,
        "attempts": failure.attempts,
        "at": when,
    }
    return msgspec.json.encode(content) + b"\n"
