"""Files beside the records, which records name: durable before the ledger vouches for those."""

import asyncio
from pathlib import Path

import pytest

from fetcher.errors import DiskFailed
from fetcher.ledger import Ledger
from fetcher.model import Outcome, RowState
from fetcher.tally import Tally
from fetcher.write.disk import RealDisk
from fetcher.write.segments import Layout
from fetcher.write.writer import Writer
from tests.write.small_jobs import Rotate, Settings


class ToldDisk(RealDisk):
    """Notes what is synced as a whole, or fails at it."""

    def __init__(self, told: list[str], fails: bool = False) -> None:
        self.told = told
        self.fails = fails

    def sync_all(self, folder: Path) -> None:
        self.told.append(f"sync {folder.name}")
        if self.fails:
            raise OSError(5, "Input/output error")
        super().sync_all(folder)


class ToldLedger(Ledger):
    """Notes each row that it vouches for."""

    told: list[str]

    def commit(self, rows, segments=()) -> None:
        self.told += [row.key for row in rows]
        super().commit(rows, segments)


def run(folder: Path, beside: tuple[Path, ...], told: list[str], fails: bool = False) -> None:
    layout = Layout(folder / "out", folder / "out" / ".fetcher", ToldDisk(told, fails), beside=beside)
    layout.state.mkdir(parents=True, exist_ok=True)

    async def write(ledger: Ledger) -> None:
        settings = Settings(Rotate(10**8, None, None), "none")
        async with Writer(layout, settings, ledger, Tally(), now=lambda: 1.0) as writer, asyncio.TaskGroup() as group:
            group.create_task(writer.serve())
            await writer.put_now(Outcome("a", RowState.DONE, lines=b"{}\n", records=1))
            await writer.put(Outcome("b", RowState.DONE, lines=b"{}\n", records=1))
            await writer.finish()

    with ToldLedger(layout.state / "ledger.sqlite") as ledger:
        ledger.told = told
        asyncio.run(write(ledger))


def test_what_records_name_is_durable_before_they_are(tmp_path):
    """Each commit with rows is preceded by a sync of each folder; one that is not there yet holds nothing."""
    told: list[str] = []
    (tmp_path / "small").mkdir()
    run(tmp_path, (tmp_path / "small", tmp_path / "missing"), told)
    assert told == ["sync small", "sync missing", "a", "sync small", "sync missing", "b"]


def test_nothing_is_vouched_for_where_that_fails(tmp_path):
    """The disk's fault ends the run."""
    told: list[str] = []
    with pytest.raises(ExceptionGroup) as caught:
        run(tmp_path, (tmp_path,), told, fails=True)
    assert caught.group_contains(DiskFailed, match="Input/output error")
    assert told == [f"sync {tmp_path.name}"]


def test_a_job_without_such_folders_pays_nothing(tmp_path):
    """As it was."""
    told: list[str] = []
    run(tmp_path, (), told)
    assert told == ["a", "b"]
