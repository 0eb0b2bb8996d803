"""The request log: every request that left, with its own distances, in a file a run."""

import asyncio
import os
import stat
import sys

import pytest

from fetcher.errors import DiskFailed
from fetcher.fetch.request_log import LOGS_KEPT, RequestLog, Sent, logs, sent_in
from fetcher.testing.clock import VirtualClock, run_virtual

EPOCH = 1_700_000_000.0


def written(folder, *requests, began=EPOCH, clock=None):
    """The log of a run that sent these."""
    clock = clock or VirtualClock(50.0)

    async def run():
        async with RequestLog(folder, began, clock.now) as log:
            for request in requests:
                log.note(*request)

    run_virtual(run(), clock)
    return logs(folder)[-1]


def test_times_are_epoch_seconds_by_the_runs_own_clock(tmp_path):
    """The distance of two requests is exact, whatever is done to the wall's clock meanwhile."""
    log = written(tmp_path / "runs", (50.0, 50.25, 200), (51.5, 53.5, None))
    assert list(sent_in(log)) == [Sent(EPOCH, 0.25, 200), Sent(EPOCH + 1.5, 2.0, None)]


def test_a_log_is_its_owners_alone(tmp_path):
    """0600 in 0700."""
    log = written(tmp_path / "runs")
    assert [stat.S_IMODE(path.stat().st_mode) for path in (log, log.parent)] == [0o600, 0o700]


def test_a_kill_costs_about_a_second_of_it(tmp_path):
    """What is older is on the disk while the run goes on, and a line that was cut is passed over."""
    clock = VirtualClock()

    async def run():
        async with RequestLog(tmp_path, EPOCH, clock.now) as log:
            log.note(0.0, 0.5, 200)
            await asyncio.sleep(3)
            found = list(sent_in(logs(tmp_path)[0]))
            with logs(tmp_path)[0].open("ab") as file:
                file.write(b"[1.0, 0.")
            assert list(sent_in(logs(tmp_path)[0])) == found
            return found

    assert run_virtual(run(), clock) == [Sent(EPOCH, 0.5, 200)]


def test_old_logs_go(tmp_path):
    """The newest stay, in order of time."""
    for run in range(LOGS_KEPT + 5):
        written(tmp_path, (50.0, 51.0, run), began=EPOCH + run * 1000)
    kept = [next(sent_in(log)).status for log in logs(tmp_path)]
    assert kept == list(range(5, LOGS_KEPT + 5))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a disk that is always full")
def test_a_log_that_cannot_be_written_ends_the_run(tmp_path):
    """Like any other file of ours: what was sent must be known."""
    clock, full = VirtualClock(), os.open("/dev/full", os.O_WRONLY)

    async def run():
        async with RequestLog(tmp_path, EPOCH, clock.now) as log:
            os.dup2(full, log._file)
            log.note(0.0, 1.0, 200)
            await asyncio.sleep(3)
            log.note(3.0, 4.0, 200)

    with pytest.raises(DiskFailed, match="No space left"):
        run_virtual(run(), clock)
    os.close(full)
