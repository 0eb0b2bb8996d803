"""How the lines of a batch are put together before they go to the disk."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.ledger import Ledger
from fetcher.model import Outcome, RowState
from fetcher.tally import Tally
from fetcher.write.disk import RealDisk, RealFile
from fetcher.write.segments import Layout
from fetcher.write.writer import PORTION_BYTES, Writer, in_portions
from tests.write.small_jobs import Rotate, Settings

LINES = st.lists(st.integers(0, 5).map(lambda count: (b"line\n" * count, count)))


@given(LINES, st.integers(1, 60))
def test_portions_hold_every_line_once_in_order_and_none_is_small_but_the_last(lines, portion_bytes):
    """One is full as soon as it has its size, so it is larger by less than the outcome that filled it."""
    portions = [(b"".join(some), records) for some, records in in_portions(lines, portion_bytes)]
    assert b"".join(some for some, _ in portions) == b"".join(some for some, _ in lines)
    assert all(some.count(b"\n") == records for some, records in portions)
    largest = max((len(some) for some, _ in lines), default=0)
    assert all(portion_bytes <= len(some) < portion_bytes + largest for some, _ in portions[:-1])


@pytest.mark.parametrize(("packing", "expected"), [("none", 3), ("zstd", 1)])
async def test_a_batch_goes_to_the_disk_in_portions_unless_it_is_packed(packing, expected, tmp_path, monkeypatch):
    """All in one go keeps a processor from everybody else for some time; all are committed together."""
    appended, synced = [], []
    append, sync = RealFile.append, RealFile.sync

    async def told_append(self, data):
        if self._handle.name.endswith(".open"):
            appended.append(len(data))
        await append(self, data)

    async def told_sync(self):
        if self._handle.name.endswith(".open"):
            synced.append(len(appended))
        await sync(self)

    monkeypatch.setattr(RealFile, "append", told_append)
    monkeypatch.setattr(RealFile, "sync", told_sync)
    layout = Layout(tmp_path, tmp_path / ".fetcher", RealDisk())
    layout.state.mkdir()
    line = b'{"x":"' + b"x" * (PORTION_BYTES // 2) + b'"}\n'
    with Ledger(layout.state / "ledger.sqlite") as ledger:
        settings = Settings(Rotate(10**8, None, None), packing)
        async with Writer(layout, settings, ledger, Tally(), now=lambda: 1.0) as writer, asyncio.TaskGroup() as group:
            for row in "abcde":
                await writer.put(Outcome(row, RowState.DONE, lines=line, records=1))
            await writer.finish()
            group.create_task(writer.serve())
    assert len(appended) == expected
    assert synced == [expected]
