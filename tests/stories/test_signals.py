"""Ends that come from outside: signals, a terminal that goes, streams that are closed. P06 to P09."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.stories.conftest import ROOT, command, quiet_environment
from tests.stories.feeds import (
    expected,
    in_order,
    make_job,
    parse_slowly,
    pending_signals,
    published,
    serving,
    sets,
    until,
)

DEADLINE_S = 30
END_S = 10.0
"""What the issue allows between a signal and the end."""


DEEP_IN_C = """\
import os
import re
from pathlib import Path

def parse(body, row):
    Path(__file__).with_name(f"busy-{os.getpid()}").touch()
    re.fullmatch("(a+)+b", "a" * 60)
"""
"""A parser that no signal handler and no thread of its process can get a word in with."""


async def never(_: str) -> web.Response:
    await asyncio.Event().wait()
    raise AssertionError


def open_bytes(folder: Path) -> bytes:
    """What the open segment holds."""
    with suppress(FileNotFoundError):
        return b"".join(path.read_bytes() for path in (folder / ".fetcher").glob("*.open"))
    return b""


def children(pid: int) -> list[int]:
    """Of every thread of that process."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        found += map(int, task.read_text().split())
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def ended(process) -> tuple[int, str, float]:
    """Code, standard error and the seconds until the end."""
    began = time.monotonic()
    _, errors = process.communicate(timeout=DEADLINE_S)
    return process.returncode, errors, time.monotonic() - began


@pytest.fixture
def in_group():
    """`in_group(arguments)` starts the command line as a terminal does: a group of its own."""
    running = []

    def begin(*arguments: object, prefix: tuple[str, ...] = (), **streams: Any) -> subprocess.Popen:
        told: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
        process = subprocess.Popen(
            [*prefix, *command(*arguments)],
            text=True,
            cwd=ROOT,
            env=quiet_environment(),
            start_new_session=True,
            **told,
        )
        running.append(process)
        return process

    yield begin
    for process in running:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def test_p06_sigterm_with_a_hundred_in_flight(fetcher, in_group, output, tmp_path):
    """What came is committed, what is under way is dropped, nothing more is sent; the next run loses nothing."""
    with serving(lambda day: published(day) if day < "2019-02" else never(day)) as feed:
        job = make_job(tmp_path, feed.url, 300)
        process = in_group("run", job, *sets("fetch.limits.concurrency=100"))
        until(lambda: len(feed.asked) == 131 and b"2019-01-31" in open_bytes(tmp_path / "out"), process)

        process.send_signal(signal.SIGTERM)
        code, errors, took_s = ended(process)

        assert code == 143, errors
        assert took_s <= END_S
        assert "Traceback" not in errors
        assert len(feed.taken()) == 131
        assert in_order(output(tmp_path / "out").records()) == expected(31)

        feed.answer = published
        assert fetcher("run", job).code == 0
        assert len(feed.asked) == 300 - 31
        assert in_order(output(tmp_path / "out").records()) == expected(300)


def test_p06_a_second_signal_ends_at_once_although_the_commit_hangs(fetcher, in_group, output, tmp_path):
    """The first one waits for the ledger, which somebody holds; the second waits for nothing."""
    with serving(lambda day: published(day) if day < "2019-01-04" else never(day)) as feed:
        job = make_job(tmp_path, feed.url, 5)
        process = in_group("run", job)
        until(lambda: len(feed.asked) == 5, process)
        with closing(sqlite3.connect(tmp_path / "out" / ".fetcher" / "ledger.sqlite")) as holder:
            holder.execute("BEGIN IMMEDIATE")
            process.send_signal(signal.SIGTERM)
            until(lambda: not pending_signals(process.pid), process)
            process.send_signal(signal.SIGTERM)
            code, errors, took_s = ended(process)
        assert code == 143
        assert errors == ""
        assert took_s <= 1.0

        feed.answer = published
        assert fetcher("run", job).code == 0
        assert in_order(output(tmp_path / "out").records()) == expected(5)


@pytest.mark.parametrize("moment", ["starting", "parsing"])
def test_p07_ctrl_c_in_a_terminal_reaches_the_workers_too_and_they_say_nothing(
    fetcher, in_group, output, tmp_path, moment
):
    """SIGINT to the whole group, while workers start and while they are busy: exit 130 and no traceback of anybody."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 100)
        slow = parse_slowly(job, 0.1)
        process = in_group("run", job, "--set", slow)
        until(lambda: len(feed.asked) >= (1 if moment == "starting" else 20), process)
        if moment == "parsing":
            until(lambda: any((tmp_path / "out" / ".fetcher").glob("*.open")), process)

        os.killpg(process.pid, signal.SIGINT)
        code, errors, took_s = ended(process)

        assert code == 130, errors
        assert took_s <= END_S
        assert "Traceback" not in errors
        assert "KeyboardInterrupt" not in errors
        assert "interrupted: everything received is committed" in errors

        assert fetcher("run", job, "--set", slow).code == 0
        assert in_order(output(tmp_path / "out").records()) == expected(100)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_p07_a_start_that_waits_for_its_turn_is_interrupted_like_a_run(in_group, tmp_path, number, code):
    """During `--jitter` as well: no word of Python's, and a shell sees 130 or 143."""
    job = make_job(tmp_path, "http://127.0.0.1:9")
    process = in_group("run", job, "--jitter", "300 days")
    assert "feed: begins in" in process.stderr.readline()
    process.send_signal(number)
    assert ended(process)[:2] == (code, "")
    assert not (tmp_path / "out").exists()


def test_p08_workers_end_with_a_killed_parent_and_hold_nothing(fetcher, in_group, output, tmp_path):
    """SIGKILL while they parse: the lock is free at once, and soon they are gone."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 10)
        in_two = parse_slowly(job, 0)
        (tmp_path / "slow.py").write_text(DEEP_IN_C)
        process = in_group("run", job, "--set", in_two)
        until(lambda: len(list(tmp_path.glob("busy-*"))) == 2, process)
        workers = [int(path.name.removeprefix("busy-")) for path in tmp_path.glob("busy-*")]
        assert all(map(is_alive, workers))

        try:
            process.kill()
            process.wait()
            again = fetcher("run", job, "--set", parse_slowly(job, 0))

            assert again.code == 0, again.err
            until(lambda: not any(map(is_alive, workers)))
        finally:
            for worker in filter(is_alive, workers):
                os.kill(worker, signal.SIGKILL)
        assert in_order(output(tmp_path / "out").records()) == expected(10)


def test_p09_a_terminal_that_goes_ends_the_run_and_nothing_is_lost(fetcher, in_group, output, tmp_path):
    """SIGHUP ends it like a kill; under nohup it goes on."""
    with serving(lambda day: published(day) if day < "2019-01-04" else never(day)) as feed:
        job = make_job(tmp_path, feed.url, 5)
        process = in_group("run", job)
        until(lambda: len(feed.asked) == 5, process)
        process.send_signal(signal.SIGHUP)
        code, errors, _ = ended(process)
        assert code == -signal.SIGHUP
        assert "Traceback" not in errors

        process = in_group("run", job, prefix=("nohup",))
        feed.taken()
        until(lambda: feed.asked, process)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert ended(process)[0] == 143

        feed.answer = published
        assert fetcher("run", job).code == 0
        assert in_order(output(tmp_path / "out").records()) == expected(5)


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
@pytest.mark.parametrize("workers", [False, True])
def test_p09_closed_streams_change_nothing(output, tmp_path, closed, workers):
    """No file of ours may take the number of a stream, and get what is meant for the screen."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 3)
        told = command("run", job, *(["--set", parse_slowly(job, 0)] if workers else []))
        ran = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}', "sh", *told],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=quiet_environment(),
            timeout=DEADLINE_S,
            check=False,
        )
        assert (ran.returncode, len(feed.asked)) == (0, 3), ran.stderr
        assert in_order(output(tmp_path / "out").records()) == expected(3)
        assert ran.stdout == ""


def test_p09_a_reader_that_has_seen_enough_does_not_change_the_exit_code(fetcher, in_group, output, tmp_path):
    """`fetcher run JOB 2>&1 | head -1` tells of the run, not of the pipe."""
    with serving(lambda day: web.Response(status=404) if day == "2019-01-02" else published(day)) as feed:
        job = make_job(tmp_path, feed.url, 3)
        process = in_group("run", job, stdout=subprocess.DEVNULL)
        process.stderr.close()
        process.stderr = None
        assert process.wait(DEADLINE_S) == 3
        assert len(output(tmp_path / "out").records()) == 6
