"""The one writer: gathers outcomes into batches and commits each batch once, files first, ledger second.

    append -> fsync -> ledger (rows, length, hash in one transaction) -> publish what is sealed

An error on the way is final: no second fsync (the kernel may have dropped the pages and call the second one good), no
commit; the next start recovers.
"""

import asyncio
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from fetcher.errors import DiskFailed
from fetcher.ledger import Ledger, Segment, SegmentState, Settled
from fetcher.model import Outcome
from fetcher.pieces import Holder
from fetcher.tally import Tally
from fetcher.write.rotation import Rotation, cut, is_full, is_old
from fetcher.write.segments import GrowingSegment, Layout, begin, carry_on, publish, recover
from fetcher.write.settling import Known, keys_of, revision_of, settled
from fetcher.write.whole import replace_summaries

GROUP_BYTES = 8 << 20
GROUP_S = 1.0
WAITING_OUTCOMES = 32
KEYS_A_LOOK = 500


class WriteSettings(Protocol):
    """The part of a job that says how records are written; `compress` names a packing."""

    @property
    def rotate(self) -> Rotation: ...
    @property
    def compress(self) -> str: ...


@dataclass(slots=True, eq=False)
class _Put:
    """An outcome in the queue; `committed` is set for whoever waits for it."""

    outcome: Outcome
    committed: "asyncio.Future[None] | None" = None


class Writer:
    """`async with Writer(...)` recovers the folder; `put` outcomes while `serve` runs as a task; `finish` ends it.

    `now` gives epoch seconds. Raises `Contradiction` at the start, `DiskFailed` from then on.
    """

    def __init__(
        self, layout: Layout, settings: WriteSettings, ledger: Ledger, tally: Tally, *, now: Callable[[], float]
    ) -> None:
        self._layout = layout
        self._rotation = settings.rotate
        self._packing = settings.compress
        self._ledger = ledger
        self._tally = tally
        self._now = now
        self._queue: asyncio.Queue[_Put | None] = asyncio.Queue(WAITING_OUTCOMES)
        self._growing: GrowingSegment | None = None
        self._next_number = 1
        self._next_record = 0

    async def __aenter__(self) -> "Writer":
        try:
            before = self._ledger.segments()
            after = await asyncio.to_thread(recover, self._layout, before)
            self._ledger.commit((), [s for s, old in zip(after, before, strict=True) if s != old])
            self._next_number = max((segment.number for segment in after), default=0) + 1
            self._next_record = sum(segment.records for segment in after)
            for segment in after:
                if segment.state is SegmentState.OPEN and segment.length:
                    self._growing = await carry_on(self._layout, segment)
        except OSError as error:
            raise DiskFailed(f"{self._layout.folder}: {error}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._growing:
            await self._growing.close()

    async def put(self, outcome: Outcome) -> None:
        """Hand over one outcome; waits while the disk is behind. It is settled after the next commit."""
        await self._queue.put(_Put(outcome))

    async def put_now(self, outcome: Outcome) -> None:
        """Have an outcome committed at once; returns when it would survive a power cut."""
        committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        await self._queue.put(_Put(outcome, committed))
        await committed

    async def finish(self) -> None:
        """No outcome follows: `serve` commits what it has, seals the open segment and ends."""
        await self._queue.put(None)

    async def serve(self) -> None:
        """Commit batches until `finish`: at most 8 MiB or one second apart."""
        is_last = False
        while not is_last:
            batch, is_last = await self._gather()
            began = asyncio.get_running_loop().time()
            try:
                await self._commit([put.outcome for put in batch], is_last)
            except OSError as error:
                raise DiskFailed(f"{self._layout.folder}: {error}; nothing after the last commit is kept") from error
            for put in batch:
                if put.committed and not put.committed.done():
                    put.committed.set_result(None)
            self._tally.commit_s += asyncio.get_running_loop().time() - began

    async def _gather(self) -> tuple[list[_Put], bool]:
        """The next batch, and whether it is the last. What is to be committed at once waits for nobody."""
        batch: list[_Put] = []
        size, until = 0, None
        while size < GROUP_BYTES:
            try:
                async with asyncio.timeout_at(until):
                    put = await self._queue.get()
            except TimeoutError:
                break
            if put is None:
                return batch, True
            batch.append(put)
            size += len(put.outcome.lines)
            now = asyncio.get_running_loop().time()
            until = now if put.committed else until or now + GROUP_S
        return batch, False

    async def _commit(self, batch: list[Outcome], is_last: bool) -> None:
        first = self._next_record
        rows, lines = self._settle(batch)
        sealed = await self._append(lines, self._next_record - first)
        vouched = list(sealed)
        if self._growing and (is_last or is_old(self._rotation, self._growing.segment.opened_at, self._now())):
            sealed.append(await self._seal(self._growing))
            vouched.append(sealed[-1])
        elif self._growing:
            vouched.append(await self._growing.durable(is_sealed=False))
        if rows or vouched:
            await asyncio.to_thread(self._ledger.commit, rows, vouched)
            self._tally.commits += 1
        self._tally.records += self._next_record - first
        for outcome in batch:
            if outcome.is_end:
                self._tally.settle(outcome)
        for segment in sealed:
            published = await asyncio.to_thread(publish, self._layout, segment)
            await asyncio.to_thread(self._ledger.commit, (), [published])
        if is_last:
            await replace_summaries(self._layout, self._ledger)

    def _settle(self, batch: list[Outcome]) -> tuple[list[Settled], bytes]:
        """What the ledger will be told of a batch, and the lines that are to be written for it."""
        rows, news = [], []
        claimed: dict[bytes, Holder] = {}
        dropped: set[Holder] = set()
        for outcome in batch:
            if outcome.begins_anew:
                dropped.add(Holder(outcome.row_key, revision_of(outcome)))
            pieces = self._ledger.pieces(outcome.row_key, outcome.page) if outcome.page and outcome.before else ()
            holders = self._holders(keys_of(outcome), claimed, dropped)
            row, fresh = settled(outcome, Known(self._next_record, pieces, holders), self._now())
            rows.append(row)
            news.append(fresh.lines)
            self._next_record += fresh.records
            self._tally.repeats += fresh.repeats
            revision = row.piece.revision if row.piece else row.standing.revision
            if row.superseded or row.is_whole:
                dropped.add(Holder(row.key, revision - 1))
            claimed.update(dict.fromkeys(row.record_keys, Holder(row.key, revision)))
        return rows, b"".join(news)

    def _holders(
        self, keys: list[bytes], claimed: Mapping[bytes, Holder], dropped: Set[Holder]
    ) -> Mapping[bytes, list[Holder]]:
        """Who holds records of these keys, by the batch at hand and by the ledger, which still knows what the batch
        has `dropped`."""
        holders = {key: [claimed[key]] for key in keys if key in claimed}
        for at in range(0, len(keys), KEYS_A_LOOK):
            for key, held in self._ledger.holders(keys[at : at + KEYS_A_LOOK]).items():
                holders[key] = [*holders.get(key, ()), *(holder for holder in held if holder not in dropped)]
        return holders

    async def _append(self, lines: bytes, records: int) -> list[Segment]:
        """Spread lines over as many segments as they need; returns those that are full, durable and sealed."""
        sealed = []
        while lines:
            growing = self._growing = self._growing or await self._begin()
            taken, count = cut(self._rotation, lines, records, growing.segment)
            await growing.append(lines[:taken], count)
            lines, records = lines[taken:], records - count
            if lines or is_full(self._rotation, growing.segment):
                sealed.append(await self._seal(growing))
        return sealed

    async def _begin(self) -> GrowingSegment:
        growing = await begin(self._layout, self._next_number, self._packing, self._now())
        self._next_number += 1
        return growing

    async def _seal(self, growing: GrowingSegment) -> Segment:
        segment = await growing.durable(is_sealed=True)
        await growing.close()
        self._growing = None
        return segment
