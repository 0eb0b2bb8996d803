"""Runs that nobody watches: overlapping, killed by the clock, without a home, read by others meanwhile. K01 to K10."""

import gzip
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from datetime import date, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from fetcher import read_records
from fetcher.ledger import Ledger, Settled
from fetcher.model import RowState, Standing
from fetcher.write.packing import PACKINGS
from tests.stories.conftest import MEASURE, ROOT, command, quiet_environment
from tests.stories.feeds import days, expected, in_order, make_job, parse_slowly, serving, sets, states, until

DEADLINE_S = 60
FIRST_REQUEST_S = 5.0
START_BYTES = 300e6
SECOND_START_S = 1.0


def frozen(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below, by what it holds and when it was changed. Not SQLite's index, which readers touch."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith("-shm")
    }


def unpacked(folder: Path) -> list[dict]:
    """Every published record, whatever it is packed in."""
    packings = {packing.suffix: packing for packing in PACKINGS.values()}
    found: list[dict] = []
    for path in sorted(folder.glob("records-*")):
        with packings[path.name[path.name.index(".") :]].lines(path) as lines:
            found += map(json.loads, lines)
    return found


def tear(folder: Path) -> None:
    """What a kill within an append leaves behind: bytes that no ledger vouches for."""
    for path in (folder / ".fetcher").glob("*.open"):
        with path.open("ab") as file:
            file.write(b'\x1f\x8b\x08{"day": "2019-')


def run_killed(start, job: Path, condition, *arguments: str) -> int:
    """Start a run and kill it as soon as the condition holds; returns 0 where it had ended by then."""
    process = start("run", job, *arguments)
    deadline = time.monotonic() + DEADLINE_S
    while process.poll() is None and not condition():
        assert time.monotonic() < deadline
    process.kill()
    process.communicate()
    return process.returncode


def test_k01_an_overlapping_start_leaves_within_a_second_and_writes_nothing(fetcher, start, tmp_path):
    """Exit 4, no request, no byte; the first run does not notice. The quickest of ten, for a busy machine's sake."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url)
        first = start("run", job, *sets('fetch.limits.rate="1/1 h"'))
        until(lambda: feed.asked and (tmp_path / "out" / ".fetcher" / "000001.open").exists(), first)
        until(lambda: states(tmp_path / "out"), first)
        before, took_s = frozen(tmp_path), [float(DEADLINE_S)]
        while min(took_s) > SECOND_START_S and len(took_s) <= 10:
            began = time.monotonic()
            ran = fetcher("run", job)
            took_s.append(time.monotonic() - began)
            assert ran.code == 4, ran.err
        assert min(took_s) <= SECOND_START_S
        assert frozen(tmp_path) == before
        assert first.poll() is None
        assert len(feed.asked) == 1


def test_k02_two_jobs_into_one_folder_do_not_run_together(fetcher, start, tmp_path):
    """The lock is the output's, not the job file's."""
    with serving() as feed, serving() as other:
        first = start(
            "run", make_job(tmp_path / "a", feed.url), *sets("write.folder='../out'", 'fetch.limits.rate="1/h"')
        )
        until(lambda: feed.asked, first)
        ran = fetcher("run", make_job(tmp_path / "b", other.url), *sets("write.folder='../out'"))
        assert ran.code == 4, ran.err
        assert other.asked == []


def test_k04_a_lock_file_that_was_left_behind_holds_nobody(fetcher, tmp_path):
    """The lock is the kernel's and ends with its holder: no file, and no number of a living process in it, is one."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 1)
        state = tmp_path / "out" / ".fetcher"
        state.mkdir(parents=True)
        (state / "lock").write_text(f"{os.getpid()}\n")
        assert fetcher("run", job).code == 0


def test_k05_in_crons_environment_the_same_bytes_come(output, tmp_path):
    """No PATH, no HOME, no terminal, LANG=C: names and records that are not ASCII are written as they are."""
    with serving(lambda day: web.json_response({"items": [{"day": day, "ort": "Zürich 東京 🌡"}]})) as feed:
        written = []
        for kind, environment in {"cron": {"LANG": "C"}, "posix": {"LC_ALL": "POSIX"}, "person": None}.items():
            job = make_job(tmp_path / kind, feed.url, 3)
            told = command("run", job, *sets("write.folder='Ausgänge 東京'"))
            ran = subprocess.run(
                ["/usr/bin/env", "-i", *(f"{k}={v}" for k, v in environment.items()), *told] if environment else told,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                cwd=ROOT,
                timeout=DEADLINE_S,
                check=False,
            )
            assert ran.returncode == 0, ran.stderr
            assert "Ausgänge" in ran.stderr.decode()
            written.append(sorted(output(tmp_path / kind / "Ausgänge 東京").lines()))
        assert written[0] == written[1] == written[2]
        assert "Zürich 東京 🌡".encode() in written[0][0]


def test_k06_a_run_that_is_killed_after_each_commit_comes_to_its_end(start, fetcher, output, tmp_path):
    """Every start goes on where the last one was killed; nothing that was answered is asked for again."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 30)
        slowly = sets('fetch.limits.rate="8/s"', "fetch.limits.concurrency=1")
        done = 0
        for _ in range(2):
            run_killed(start, job, lambda done=done: count_done(tmp_path / "out") > done, *slowly)
            tear(tmp_path / "out")
            before, done = done, count_done(tmp_path / "out")
            assert done > before
        assert fetcher("run", job).code == 0
        assert in_order(output(tmp_path / "out").records()) == expected(30)
        assert len(feed.asked) <= 30 + 2, "at most the one that was under way is asked for again"


def count_done(folder: Path) -> int:
    """Rows that are settled, read beside a run."""
    path = folder / ".fetcher" / "ledger.sqlite"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as ledger, suppress(sqlite3.OperationalError):
        return int(ledger.execute("SELECT COUNT(*) FROM rows").fetchone()[0])
    return 0


@pytest.mark.slow
def test_k06_timeout_kills_every_five_seconds_until_it_is_done(output, tmp_path):
    """`timeout -s KILL 5`, again and again: each start commits at least one batch, and none is doubled."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 150)
        told = command("run", job, *sets('fetch.limits.rate="8/s"', "fetch.limits.concurrency=1"))
        before, code, starts = 0, -signal.SIGKILL, 0
        while code in (-signal.SIGKILL, 137):
            code = subprocess.run(
                ["timeout", "-s", "KILL", "5", *told], cwd=ROOT, env=quiet_environment(), check=False
            ).returncode
            done = count_done(tmp_path / "out")
            assert done > before
            before, starts = done, starts + 1
        assert code == 0
        assert starts > 3
        assert in_order(output(tmp_path / "out").records()) == expected(150)


def test_k07_a_ledger_of_a_newer_program_is_refused_and_an_older_one_goes_on(fetcher, tmp_path):
    """Exit 65 from every command, no byte changed; an empty file is a ledger before its first version."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 2)
        ledger = tmp_path / "out" / ".fetcher" / "ledger.sqlite"
        ledger.parent.mkdir(parents=True)
        ledger.touch()
        assert fetcher("run", job).code == 0

        with closing(sqlite3.connect(ledger)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            connection.execute(f"PRAGMA user_version = {version + 1}")
        before, _ = frozen(tmp_path / "out"), feed.taken()
        for asked in (("run",), ("status",), ("failures", "retry")):
            ran = fetcher(*asked, job)
            assert ran.code == 65, ran.err
            assert "use the newer program" in ran.err
        after = frozen(tmp_path / "out")
        assert {name: held for name, (_, held) in after.items()} == {name: held for name, (_, held) in before.items()}
        assert feed.asked == []


@pytest.mark.parametrize("compress", ["none", "zstd"])
def test_k08_a_reader_sees_whole_final_files_only(fetcher, start, tmp_path, compress):
    """Globbing without a pause, through rotation and kills: files are whole and never change; the sum is exact."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 100, f'compress = "{compress}"\nrotate.records = 30\n')
        seen: dict[str, bytes] = {}
        faults: list[str] = []
        over = threading.Event()

        def read() -> None:
            while not over.is_set():
                for path in (tmp_path / "out").glob("records-*.jsonl*"):
                    held = path.read_bytes()
                    if seen.setdefault(path.name, held) != held:
                        faults.append(f"{path.name} changed")

        reader = threading.Thread(target=read)
        reader.start()
        try:
            slowly = sets('fetch.limits.rate="50/s"')
            for published_files in (1, 4):
                here = lambda n=published_files: len(list((tmp_path / "out").glob("records-*"))) >= n  # noqa: E731
                assert run_killed(start, job, here, *slowly) == -signal.SIGKILL
            ran = fetcher("run", job)
        finally:
            over.set()
            reader.join()
        assert ran.code == 0, ran.err
        assert faults == []
        assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("records-*")}.items() >= seen.items()
        for name, held in seen.items():
            (tmp_path / name).write_bytes(held)
        assert len(unpacked(tmp_path)) > 0, "the reader met no file"
        assert in_order(unpacked(tmp_path / "out")) == expected(100)
        assert fetcher("verify", job).code == 0


@pytest.mark.parametrize(
    ("compress", "unpack"), [("gzip", "zcat"), pytest.param("zstd", "zstdcat", marks=pytest.mark.slow)]
)
def test_packed_files_of_killed_runs_are_whole_for_everybodys_tools(fetcher, start, tmp_path, compress, unpack):
    """Cut at a commit and grown on: one file of many members or frames, which the usual tools read to its end."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 40, f'compress = "{compress}"\n')
        slowly = sets('fetch.limits.rate="10/s"', "fetch.limits.concurrency=1")
        for _ in range(2):
            done = count_done(tmp_path / "out")
            run_killed(start, job, lambda done=done: count_done(tmp_path / "out") > done, *slowly)
            tear(tmp_path / "out")
        assert fetcher("run", job).code == 0
        (file,) = (tmp_path / "out").glob("records-*")
        assert in_order(unpacked(tmp_path / "out")) == expected(40)
        if shutil.which(unpack):
            read = subprocess.run([unpack, str(file)], capture_output=True, check=True).stdout
            assert in_order(list(map(json.loads, read.splitlines()))) == expected(40)
        if compress == "gzip":
            assert len(gzip.decompress(file.read_bytes()).splitlines()) == 120
        assert sum(len(frame) for frame in read_records(tmp_path / "out")) == 120


@pytest.mark.parametrize("rows", [50_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_k09_a_start_with_many_rows_done_is_quick_and_small(tmp_path, rows):
    """The first request of the one row that is left comes within 5 s, at 300 MB at most."""
    with serving() as feed:
        first = date(1, 1, 1)
        job = make_job(tmp_path, feed.url)
        lines = job.read_text().replace('from = "2019-01-01"', f'from = "{first}"')
        job.write_text(lines.replace('to = "2019-01-10"', f'to = "{first + timedelta(rows)}"'))
        make_ledger(tmp_path / "out" / ".fetcher" / "ledger.sqlite", first, rows)
        peak = tmp_path / "peak"
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", MEASURE, str(peak), *command("run", job)],
            cwd=ROOT,
            env=quiet_environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        until(lambda: feed.asked, process)
        took_s = time.monotonic() - began
        _, errors = process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0, errors
        assert feed.asked == [str(first + timedelta(rows))]
        print(f"{rows:,} rows done: first request after {took_s:.2f} s, peak {int(peak.read_text()) / 1e3:.0f} MB")
        assert took_s <= FIRST_REQUEST_S
        assert int(peak.read_text()) * 1024 <= START_BYTES


def make_ledger(path: Path, first: date, rows: int) -> None:
    """A ledger in which so many days from the first on are done, without records."""
    path.parent.mkdir(parents=True)
    with Ledger(path) as ledger:
        done = Standing(RowState.EMPTY, settled_at=1.6e9)
        ledger.commit((Settled(str(first + timedelta(number)), done, "", 1) for number in range(rows)), ())


def test_k10_a_start_with_jitter_waits_without_the_lock_and_without_a_request(fetcher, start, tmp_path):
    """A hundred machines at :00 do not all ask at once; meanwhile another start is free to run."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 2)
        waiting = start("run", job, "--jitter", "300 days")
        until(lambda: "feed: begins in" in waiting.said()[1], waiting)
        assert feed.asked == []
        assert fetcher("run", job, "--jitter", "1 ms").code == 0
        assert waiting.poll() is None
        assert sorted(feed.asked) == days(2)


def test_a_worker_never_holds_the_lock(fetcher, start, tmp_path):
    """A parser that outlives its run by a moment keeps nobody out."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 4)
        process = start("run", job, "--set", parse_slowly(job, 60))
        until(lambda: len(feed.asked) == 4, process)
        workers = [
            int(child)
            for task in Path(f"/proc/{process.pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
        assert workers
        lock = str(tmp_path / "out" / ".fetcher" / "lock")
        for worker in workers:
            with suppress(OSError):
                assert lock not in {str(held.readlink()) for held in Path(f"/proc/{worker}/fd").iterdir()}
        assert lock in {str(held.readlink()) for held in Path(f"/proc/{process.pid}/fd").iterdir()}
