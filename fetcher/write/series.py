"""The segments of one table: which of them grows, and which number comes next."""

from collections.abc import Sequence
from typing import Protocol

from fetcher.model import Segment, SegmentState
from fetcher.write.rotation import Rotation, cut, is_full, is_old
from fetcher.write.segments import GrowingSegment, Layout, begin, carry_on


class WriteSettings(Protocol):
    """The part of a job that says how records are written; `compress` names a packing."""

    @property
    def rotate(self) -> Rotation: ...
    @property
    def compress(self) -> str: ...


class Series:
    """A table's segments, one after another. `segments` are those that the ledger knows, recovered.

    Raises OSError, after which nothing more may be asked of it but to be closed.
    """

    def __init__(self, layout: Layout, settings: WriteSettings, table: str, segments: Sequence[Segment]) -> None:
        self.next_record = sum(segment.records for segment in segments)
        self._layout = layout
        self._settings = settings
        self._table = table
        self._held = segments
        self._next_number = max((segment.number for segment in segments), default=0) + 1
        self._growing: GrowingSegment | None = None
        self._is_durable = True

    async def carry_on(self) -> None:
        """Go on with the segment that an earlier run has left open, if there is one."""
        for segment in self._held:
            if segment.state is SegmentState.OPEN and segment.length:
                self._growing = await carry_on(self._layout, segment)

    async def append(self, lines: bytes, records: int, now: float) -> list[Segment]:
        """Spread lines over as many segments as they need; returns those that are full, durable and sealed."""
        sealed = []
        self.next_record += records
        while lines:
            growing = self._growing = self._growing or await self._begin(now)
            taken, count = cut(self._settings.rotate, lines, records, growing.segment)
            await growing.append(lines[:taken], count)
            self._is_durable = False
            lines, records = lines[taken:], records - count
            if lines or is_full(self._settings.rotate, growing.segment):
                sealed.append(await self._seal(growing))
        return sealed

    async def durable(self, now: float, *, is_last: bool) -> Segment | None:
        """What the ledger may vouch for of the segment that grows: sealed where its time has come; None where it knows
        all of it already, for then there is nothing to sync."""
        if self._growing is None:
            return None
        if is_last or is_old(self._settings.rotate, self._growing.segment.opened_at, now):
            return await self._seal(self._growing)
        if self._is_durable:
            return None
        self._is_durable = True
        return await self._growing.durable(is_sealed=False)

    async def close(self) -> None:
        """Give the file back; what was not vouched for is cut at the next start."""
        if self._growing:
            await self._growing.close()

    async def _begin(self, now: float) -> GrowingSegment:
        packing = self._settings.compress
        growing = await begin(self._layout, self._next_number, packing, now, table=self._table)
        self._next_number += 1
        return growing

    async def _seal(self, growing: GrowingSegment) -> Segment:
        segment = await growing.durable(is_sealed=True)
        await growing.close()
        self._growing = None
        self._is_durable = True
        return segment
