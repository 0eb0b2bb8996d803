"""The segments of one table: which grows, what is synced, when one is sealed."""

from pathlib import Path

import pytest

from fetcher.model import SegmentState
from fetcher.write.segments import Layout
from fetcher.write.series import Series
from tests.write.power_loss import ModelDisk
from tests.write.small_jobs import Rotate, Settings

FOLDER, STATE = Path("out"), Path("out/.fetcher")
PLAIN = Settings(Rotate(1000, None, 60.0), "none")
LINE = b'{"n":1}\n'


@pytest.fixture
def told() -> list[str]:
    """The operations on the disk, one after the other."""
    return []


@pytest.fixture
def layout(told) -> Layout:
    """On a disk in memory."""
    return Layout(FOLDER, STATE, ModelDisk(lambda operation, path: told.append(f"{operation} {path.name}")))


async def test_what_got_nothing_is_not_synced(layout, told):
    """One fsync for what was appended since the last one; none, and no word to the ledger, where nothing was."""
    series = Series(layout, PLAIN, "stations", [])
    assert await series.durable(0.0, is_last=False) is None
    assert told == []
    await series.append(LINE, 1, 0.0)
    await series.append(LINE, 1, 0.0)
    held = await series.durable(1.0, is_last=False)
    assert held is not None
    assert (held.table, held.number, held.records, held.length) == ("stations", 1, 2, 2 * len(LINE))
    assert told.count("sync stations-000001.open") == 1
    assert await series.durable(2.0, is_last=False) is None
    await series.append(b"", 0, 2.0)
    assert await series.durable(3.0, is_last=False) is None
    assert told.count("sync stations-000001.open") == 1
    await series.append(LINE, 1, 3.0)
    assert await series.durable(4.0, is_last=False) is not None
    assert told.count("sync stations-000001.open") == 2


@pytest.mark.parametrize(("now", "is_last"), [(60.0, False), (1.0, True)])
async def test_a_segment_is_sealed_when_it_is_old_or_the_run_ends(layout, now, is_last):
    """Also where nothing was appended since the last commit; the next one has the next number."""
    series = Series(layout, PLAIN, "stations", [])
    await series.append(LINE, 1, 0.0)
    await series.durable(0.5, is_last=False)
    sealed = await series.durable(now, is_last=is_last)
    assert sealed is not None
    assert (sealed.state, sealed.number) == (SegmentState.SEALED, 1)
    await series.append(LINE, 1, now)
    held = await series.durable(now, is_last=False)
    assert held is not None
    assert (held.number, held.records) == (2, 1)


async def test_numbers_go_on_where_the_ledger_stopped(layout):
    """Of segments and of records; an open one is carried on and counts as synced."""
    series = Series(layout, Settings(Rotate(1000, 2, None), "none"), "stations", [])
    (sealed,) = await series.append(3 * LINE, 3, 0.0)
    held = await series.durable(0.0, is_last=False)
    assert held is not None
    await series.close()
    after = Series(layout, PLAIN, "stations", [sealed, held])
    await after.carry_on()
    assert after.next_record == 3
    assert await after.durable(0.0, is_last=False) is None
    await after.append(LINE, 1, 0.0)
    grown = await after.durable(0.0, is_last=False)
    assert grown is not None
    assert (grown.number, grown.records, after.next_record) == (2, 2, 4)
