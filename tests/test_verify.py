"""Ledger against files: every kind of damage is named, the exit code is 65, and nothing is touched."""

import gzip
import hashlib
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fetcher import verify
from fetcher.cli import main
from fetcher.job.units import Rate
from fetcher.launch import layout_of
from fetcher.ledger import Ledger
from fetcher.model import RowState
from fetcher.verify import LOG_ROUNDING_S, problems, rate_problems
from tests.settled_jobs import STATIONS, beside, done, everything, failed, job_in, settle

FIRST, OPEN, LEDGER = "records-000001.jsonl", ".fetcher/000003.open", ".fetcher/ledger.sqlite"


@pytest.fixture(params=["none", "gzip", "zstd"])
def job(request, tmp_path):
    """Two published files of three records, an open one of one record, an empty day, a failure, a revision."""
    job = job_in(tmp_path, f'write.compress="{request.param}"')
    settle(job, done(1, 2), done(2, 0), failed(3, RowState.REFUSED, "404"), done(4, 1))
    settle(job, done(1, 3, "revised"))
    settle(job, done(4, 1), done(5, 1), is_finished=False)
    return job


def file_of(job, name: str) -> Path:
    """A file of the job's folder; records files end as they are packed."""
    suffix = {"none": "", "gzip": ".gz", "zstd": ".zst"}[job.write.compress]
    return job.write.folder / (name + suffix if name.startswith("records") else name)


def flip(path: Path, at: int) -> None:
    """One bit of one byte."""
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def change(job, statement: str) -> None:
    """Somebody's hand in the ledger."""
    with closing(sqlite3.connect(file_of(job, LEDGER))) as connection, connection:
        connection.execute(statement)


def lose_a_line(job) -> None:
    """A line fewer, and a ledger that vouches for just that file: length and hash are right, the count is not."""
    path = file_of(job, FIRST)
    lines = b'{"day":1}\n{"day":4}\n'
    path.write_bytes(content := gzip.compress(lines) if job.write.compress == "gzip" else lines)
    packing = "gzip" if job.write.compress == "gzip" else "none"
    path.rename(path.with_name("records-000001.jsonl" + (".gz" if packing == "gzip" else "")))
    told = f"length = {len(content)}, sha256 = '{hashlib.sha256(content).hexdigest()}', packing = '{packing}'"
    change(job, f"UPDATE segments SET {told} WHERE number = 1")


def grow_sealed(job) -> None:
    """The power went between sealing and publishing; then somebody appended a line, which would be published too."""
    change(job, "UPDATE segments SET state = 'sealed' WHERE number = 3")
    assert list(problems(job)) == []
    file_of(job, OPEN).write_bytes(file_of(job, OPEN).read_bytes() + b"{}\n")


DAMAGES = {
    "one flipped byte": (
        lambda job: flip(file_of(job, FIRST), 20),
        r"records-000001\S+ its first \d+ bytes were changed",
    ),
    "a published file truncated": (
        lambda job: file_of(job, FIRST).write_bytes(file_of(job, FIRST).read_bytes()[:-1]),
        r"records-000001\S+ has \d+ bytes, the ledger vouches for \d+ bytes",
    ),
    "a published file longer": (
        lambda job: file_of(job, FIRST).write_bytes(file_of(job, FIRST).read_bytes() + b"{}\n"),
        r"records-000001\S+ it has \d+ bytes, the ledger vouches for \d+",
    ),
    "a published file missing": (lambda job: file_of(job, FIRST).unlink(), r"records-000001\S+ is missing, the ledger"),
    "the open file flipped": (
        lambda job: flip(file_of(job, OPEN), 15),
        r"000003\.open: its first \d+ bytes were changed",
    ),
    "the open file truncated": (lambda job: file_of(job, OPEN).write_bytes(b"{}"), r"000003\.open: has 2 bytes"),
    "the open file missing": (lambda job: file_of(job, OPEN).unlink(), r"000003\.open: is missing"),
    "a sealed file longer": (grow_sealed, r"000003\.open: longer than the \d+ bytes that the ledger vouches for"),
    "a foreign file": (
        lambda job: (job.write.folder / "records-000009.jsonl").write_bytes(b"{}\n"),
        r"records-000009\.jsonl: the ledger knows no such segment; move it away",
    ),
    "a foreign file of the open one's number": (
        lambda job: file_of(job, "records-000003.jsonl").write_bytes(b"{}\n"),
        r"records-000003\S+ the ledger knows no such segment; move it away",
    ),
    "a row that lost a record": (
        lambda job: change(job, "UPDATE rows SET records = records - 1 WHERE key = '2024-01-01'"),
        r"ledger: rows account for 6 records, segments for 7",
    ),
    "a revision that was forgotten": (
        lambda job: change(job, "DELETE FROM superseded"),
        r"ledger: rows account for 5 records, segments for 7",
    ),
    "a file that lost a line": (lose_a_line, r"records-000001\S+ holds 2 lines, the ledger vouches for 3 records"),
    "a damaged ledger": (
        lambda job: file_of(job, LEDGER).write_bytes(
            file_of(job, LEDGER).read_bytes()[:4096] + b"\xa5" * (file_of(job, LEDGER).stat().st_size - 4096)
        ),
        r"ledger\.sqlite: not a readable ledger \(.*\); restore it from a backup",
    ),
}


def test_a_folder_that_is_well_has_no_problems(job):
    """Published, open, superseded and failed: all of it adds up."""
    before = everything(job.write.folder)
    ran = CliRunner().invoke(main, ["verify", str(job.file)])
    assert (ran.exit_code, ran.output) == (0, "air: ledger and files agree, and no limit was exceeded\n")
    assert everything(job.write.folder) == before


@pytest.mark.parametrize("name", DAMAGES)
def test_every_damage_is_named_and_nothing_is_touched(job, name):
    """One line on standard error says which file and what is wrong; exit 65."""
    spoil, message = DAMAGES[name]
    spoil(job)
    before = everything(job.write.folder)
    ran = CliRunner().invoke(main, ["verify", str(job.file)])
    assert ran.exit_code == 65, ran.output
    assert re.search(message, ran.stderr), ran.stderr
    assert ran.stderr.count("\n") == 1, ran.stderr
    assert everything(job.write.folder) == before


def test_all_damages_are_told_at_once(job):
    """A person mends them in one go."""
    flip(file_of(job, FIRST), 20)
    file_of(job, "records-000002.jsonl").unlink()
    file_of(job, OPEN).unlink()
    change(job, "DELETE FROM superseded")
    assert len(list(problems(job))) == 4


SIDE_DAMAGES = {
    "one flipped byte": (
        lambda job: flip(job.write.folder / "stations-000001.jsonl", 5),
        r"stations-000001\.jsonl: its first \d+ bytes were changed",
    ),
    "a published file missing": (
        lambda job: (job.write.folder / "stations-000001.jsonl").unlink(),
        r"stations-000001\.jsonl: is missing, the ledger",
    ),
    "the open file missing": (
        lambda job: (job.write.folder / ".fetcher/stations-000002.open").unlink(),
        r"stations-000002\.open: is missing",
    ),
    "a foreign file": (
        lambda job: (job.write.folder / "stations-000007.jsonl").write_bytes(b"{}\n"),
        r"stations-000007\.jsonl: the ledger knows no such segment; move it away",
    ),
    "a row that lost a record": (
        lambda job: change(job, "UPDATE side_rows SET records = records - 1 WHERE row_key = '2024-01-01'"),
        r"ledger: rows account for 2 records of stations, segments for 3",
    ),
}


@pytest.fixture
def two_tables(tmp_path):
    """A published file and an open one in each of two tables."""
    job = job_in(tmp_path, STATIONS)
    settle(job, beside(done(1, 2), 7, 8))
    settle(job, beside(done(2, 1), 9), is_finished=False)
    return job


@pytest.mark.parametrize("name", SIDE_DAMAGES)
def test_a_damage_of_another_table_is_named(two_tables, name):
    """As it is in the main one, and nothing else is."""
    assert list(problems(two_tables)) == []
    spoil, message = SIDE_DAMAGES[name]
    spoil(two_tables)
    (found,) = problems(two_tables)
    assert re.search(message, found), found


def test_a_persons_file_with_a_number_is_no_segment(two_tables):
    """Only names of tables that the job has, or once had, are looked at."""
    (two_tables.write.folder / "notes-2024.jsonl").write_bytes(b"{}\n")
    assert list(problems(two_tables)) == []


def test_a_tail_that_nobody_vouches_for_is_no_damage(job):
    """A kill leaves one; the next run cuts it."""
    path = file_of(job, OPEN)
    path.write_bytes(path.read_bytes() + b'{"day":6,')
    assert list(problems(job)) == []


@pytest.mark.parametrize("outcomes", [[done(6, 1)], [done(6, 2)], [done(6, 9)]])
@pytest.mark.parametrize("moment", ["segment_problems", "foreign_files", "count_problems"])
def test_a_run_that_goes_on_meanwhile_is_no_damage(job, monkeypatch, outcomes, moment):
    """Rows settled, segments sealed and files published while it looks: the tale is that of one moment."""
    real = getattr(verify, moment)
    ran: list[bool] = []

    def look_when_a_run_has_gone_on(*arguments):
        if not ran:
            ran.append(True)
            settle(job, *outcomes)
        return real(*arguments)

    monkeypatch.setattr(verify, moment, look_when_a_run_has_gone_on)
    with Ledger(layout_of(job).state / "ledger.sqlite"):  # the run has begun: its journal is there
        assert list(problems(job)) == []


@given(st.integers(1, 5), st.lists(st.floats(0, 10), max_size=30).map(sorted))
def test_a_crowd_is_named_wherever_there_is_one(starts, times):
    """More than so many within a second, anywhere, and only then."""
    crowds = [a for a, b in zip(times, times[starts:], strict=False) if b - a < 1.0 - LOG_ROUNDING_S]
    found = list(rate_problems(Rate(starts, 1.0), times))
    assert bool(found) == bool(crowds)
    assert all(f"{starts} in 1 s are allowed" in text for text in found)


def test_requests_that_left_too_soon_are_a_problem_of_the_job(tmp_path):
    """Over all logs together: a run that began at once after another one counts with it."""
    job = job_in(tmp_path, 'fetch.limits.rate="2/10 s"')
    settle(job, done(1))
    runs = layout_of(job).state / "runs"
    runs.mkdir()
    (runs / "1.requests.jsonl").write_text("[100.0,0.1,200]\n[101.0,0.1,200]\n")
    (runs / "2.requests.jsonl").write_text("[111.0,0.1,200]\n[110.5,0.1,null]\n[109.5,0.1,20")
    assert list(problems(job)) == []
    (runs / "2.requests.jsonl").write_text("[111.0,0.1,200]\n[109.5,0.1,null]\n")
    assert list(problems(job)) == [
        "limits: 3 requests left within 9.500 s from 1970-01-01T00:01:40.000+00:00 on; 2 in 10 s are allowed"
    ]
