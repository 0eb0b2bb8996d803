"""When a segment is full, and where a batch is cut. Pure."""

from collections.abc import Iterator
from typing import Protocol

from fetcher.model import Segment


class Rotation(Protocol):
    """The part of a job that says when a segment is sealed: whichever comes first of bytes, records and seconds."""

    @property
    def bytes(self) -> int: ...
    @property
    def records(self) -> int | None: ...
    @property
    def every(self) -> float | None: ...


def is_old(rotation: Rotation, opened_at: float, now: float) -> bool:
    """Whether a segment opened then has reached its age."""
    return rotation.every is not None and now - opened_at >= rotation.every


def is_full(rotation: Rotation, segment: Segment) -> bool:
    """Whether a segment takes no more."""
    return segment.length >= rotation.bytes or (rotation.records is not None and segment.records >= rotation.records)


def cut(rotation: Rotation, lines: bytes, records: int, segment: Segment) -> tuple[int, int]:
    """How much of `lines` (which hold `records` records) goes into this segment: (bytes, records), whole lines.

    A record is never split: one that is larger than a whole segment gets an empty one to itself. (0, 0) means that
    the segment has to be sealed first. How long packed lines will be shows only once they are packed, so a packed
    segment is cut by records alone and outgrows its bytes by one batch at most.
    """
    room_bytes = rotation.bytes - segment.length if segment.packing == "none" else len(lines)
    room_records = records if rotation.records is None else rotation.records - segment.records
    if len(lines) <= room_bytes and records <= room_records:
        return len(lines), records
    taken = count = 0
    for end in line_ends(lines):
        if count >= room_records or (end > room_bytes and segment.length + taken > 0):
            break
        taken, count = end, count + 1
    return taken, count


def line_ends(lines: bytes) -> Iterator[int]:
    """The offset behind each newline."""
    end = lines.find(b"\n") + 1
    while end:
        yield end
        end = lines.find(b"\n", end) + 1
