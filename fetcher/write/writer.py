"""The one writer: gathers outcomes into batches and commits each batch once, files first, ledger second.

    append -> fsync -> ledger (rows, length, hash in one transaction) -> publish what is sealed

The segments of all tables take each step together: one transaction vouches for all of them.

An error on the way is final: no second fsync (the kernel may have dropped the pages and call the second one good), no
commit; the next start recovers.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType

from fetcher.errors import DiskFailed
from fetcher.ledger import Ledger
from fetcher.model import DoneRows, Outcome, Segment, SegmentState
from fetcher.tally import Tally
from fetcher.write.batch import Batch
from fetcher.write.segments import Layout, publish, recover, tables_of
from fetcher.write.series import Series, WriteSettings
from fetcher.write.whole import replace_summaries

GROUP_BYTES = 8 << 20
GROUP_S = 1.0
SETTLED_AT_ONCE, SETTLED_BYTES = 16, 60_000
"""Outcomes, or their bytes. A whole batch takes the loop tens of milliseconds, and the limiter feels a request that
leaves one of them late."""

PORTION_BYTES = 1 << 18
"""Written at once where nothing is packed: a whole batch in one go keeps a processor from everybody else for ten
milliseconds and more. Packed it is small, and portions would be larger."""

WAITING_OUTCOMES = 32


@dataclass(slots=True, eq=False)
class _Put:
    """An outcome in the queue; `committed` is set for whoever waits for it."""

    outcome: Outcome | DoneRows
    committed: "asyncio.Future[None] | None" = None


class Writer:
    """`async with Writer(...)` recovers the folder; `put` outcomes while `serve` runs as a task; `finish` ends it.

    `now` gives epoch seconds. Raises `Contradiction` at the start, `DiskFailed` from then on.
    """

    def __init__(
        self, layout: Layout, settings: WriteSettings, ledger: Ledger, tally: Tally, *, now: Callable[[], float]
    ) -> None:
        self._layout = layout
        self._settings = settings
        self._ledger = ledger
        self._tally = tally
        self._now = now
        self._least_records: dict[str, int] | None = None
        self._portion_bytes = PORTION_BYTES if settings.compress == "none" else GROUP_BYTES
        self._queue: asyncio.Queue[_Put | None] = asyncio.Queue(WAITING_OUTCOMES)
        self._series: dict[str, Series] = {}

    async def __aenter__(self) -> "Writer":
        try:
            before = self._ledger.segments()
            after = await asyncio.to_thread(recover, self._layout, before)
            self._ledger.commit((), [s for s, old in zip(after, before, strict=True) if s != old])
            for table in tables_of(self._layout, after):
                held = [segment for segment in after if segment.table == table]
                self._series[table] = Series(self._layout, self._settings, table, held)
                await self._series[table].carry_on()
        except OSError as error:
            raise DiskFailed(f"{self._layout.folder}: {error}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for series in self._series.values():
            await series.close()

    def write_anew(self, least_records: dict[str, int]) -> None:
        """From the first outcome on, write records again that are not where the order of the outcomes has them, and
        behind `least_records` (by table)."""
        self._least_records = least_records

    async def put(self, outcome: Outcome | DoneRows) -> None:
        """Hand over an outcome, or those of many rows; waits while the disk is behind. It is settled after the next
        commit."""
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
            size += put.outcome.size
            now = asyncio.get_running_loop().time()
            until = now if put.committed else until or now + GROUP_S
        return batch, False

    async def _commit(self, outcomes: Sequence[Outcome | DoneRows], is_last: bool) -> None:
        now = self._now()
        next_records = {table: series.next_record for table, series in self._series.items()}
        batch = Batch(self._ledger, next_records, self._least_records)
        count = size = 0
        for outcome in outcomes:
            batch.settle(outcome, self._layout.tables, now)
            if isinstance(outcome, DoneRows):  # which are not gone through
                continue
            count, size = count + 1, size + outcome.size
            if count >= SETTLED_AT_ONCE or size >= SETTLED_BYTES:
                await asyncio.sleep(0)
                count = size = 0
        vouched = await self._write(batch, is_last, now)
        if batch.rows or vouched:
            await asyncio.to_thread(self._ledger.commit, batch.rows, vouched)
            self._tally.commits += 1
        self._tally.write(batch.records, batch.repeats)
        for outcome in outcomes:
            self._tally.settle(outcome)
        for segment in vouched:
            if segment.state is SegmentState.SEALED and self._layout.publishes:
                published = await asyncio.to_thread(publish, self._layout, segment)
                await asyncio.to_thread(self._ledger.commit, (), [published])
        if is_last and self._layout.publishes:
            await replace_summaries(self._layout, self._ledger)

    async def _write(self, batch: Batch, is_last: bool, now: float) -> list[Segment]:
        """Bring the lines of a batch, and the files that they name, to the disk; returns the segments that the ledger
        may vouch for then."""
        vouched = []
        for folder in self._layout.beside if batch.rows else ():
            await asyncio.to_thread(self._layout.disk.sync_all, folder)
        for table, lines in batch.lines.items():
            for some, records in in_portions(lines, self._portion_bytes):
                joined = some[0] if len(some) == 1 else await asyncio.to_thread(b"".join, some)
                vouched += await self._series[table].append(joined, records, now)
        for series in self._series.values():
            if segment := await series.durable(now, is_last=is_last):
                vouched.append(segment)
        return vouched


def in_portions(lines: Sequence[tuple[bytes, int]], portion_bytes: int) -> Iterator[tuple[list[bytes], int]]:
    """Lines that are to be written together, and how many they are: of that size, or larger by less than the outcome
    that fills them; the last may be smaller."""
    held: list[bytes] = []
    size = records = 0
    for some, count in lines:
        held.append(some)
        size, records = size + len(some), records + count
        if size >= portion_bytes:
            yield held, records
            held, size, records = [], 0, 0
    if held:
        yield held, records
