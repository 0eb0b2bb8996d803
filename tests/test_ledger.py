"""The ledger: one call is one transaction, and what is not a ledger is refused."""

import dataclasses
import sqlite3
import stat
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from fetcher.errors import Contradiction, DiskFailed
from fetcher.ledger import VERSION, Ledger, Segment, SegmentState, Standing
from fetcher.model import Outcome, RowState

SEGMENT = Segment(1, SegmentState.OPEN, 120, 3, "ab" * 32, 1000.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a ledger will be."""
    return tmp_path / "ledger.sqlite"


class SmallLedger(Ledger):
    """A ledger on a disk that has no room for another page."""

    def _connect(self) -> sqlite3.Connection:
        connection = super()._connect()
        connection.execute("PRAGMA max_page_count = 1")
        return connection


def test_a_new_ledger_is_empty_and_private(path):
    """Mode 0600: reasons may quote what a server said."""
    with Ledger(path) as ledger:
        assert ledger.segments() == []
        assert ledger.counts() == Counter()
        assert ledger.standings(["a"]) == {}
        assert ledger.remembered("fetch") is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_committed_is_there_after_a_restart(path):
    """Rows, segments and facts."""
    with Ledger(path) as ledger:
        ledger.commit([Outcome("a", RowState.DONE), Outcome("b", RowState.WAITING, not_before=99.5)], [SEGMENT], 1.0)
        ledger.remember({"fetch": "one", "parse": "two"})
        ledger.remember({"fetch": "three"})
    with Ledger(path) as ledger:
        assert ledger.standings(["a", "b", "c"]) == {
            "a": Standing(RowState.DONE, 0.0),
            "b": Standing(RowState.WAITING, 99.5),
        }
        assert ledger.segments() == [SEGMENT]
        assert ledger.counts() == {RowState.DONE: 1, RowState.WAITING: 1}
        assert (ledger.remembered("fetch"), ledger.remembered("parse")) == ("three", "two")


def test_standings_of_a_thousand_rows_come_in_one_call(path):
    """The rows of one chunk; a key is data, whatever it looks like."""
    keys = [f'2024-01-01|o\'Neill "{number}"; --' for number in range(1000)]
    with Ledger(path) as ledger:
        ledger.commit([Outcome(key, RowState.DONE) for key in keys], [], 1.0)
        assert list(ledger.standings(keys)) == sorted(keys)
        assert set(ledger.standings([*keys[:500], "other"])) == set(keys[:500])
        assert ledger.standings([]) == {}


def test_attempts_add_up_over_runs_and_the_rest_is_the_newest(path):
    """Three gave up, then two more were needed: five requests were sent for this row."""
    with Ledger(path) as ledger:
        ledger.commit([Outcome("a", RowState.GAVE_UP, "HTTP 503", attempts=3, not_before=7.0)], [], 1.0)
        ledger.commit([Outcome("a", RowState.DONE, records=4, attempts=2)], [], 2.0)
        assert ledger.standings(["a"]) == {"a": Standing(RowState.DONE, 0.0)}
        assert ledger.counts() == {RowState.DONE: 1}
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT * FROM rows").fetchall() == [("a", "done", "", 5, 4, 0.0, 2.0)]
    connection.close()


def test_segments_come_in_order_and_are_replaced_whole(path):
    """Each as it was last committed."""
    second = Segment(2, SegmentState.SEALED, 10, 1, "cd" * 32, 2000.0)
    grown = Segment(1, SegmentState.PUBLISHED, 240, 6, "ef" * 32, 1000.0)
    with Ledger(path) as ledger:
        ledger.commit([], [second, SEGMENT], 1.0)
        assert ledger.segments() == [SEGMENT, second]
        ledger.commit([], [grown], 2.0)
        assert ledger.segments() == [grown, second]


def test_a_commit_that_fails_leaves_nothing_of_itself(path):
    """Rows and segment come together or not at all, and the ledger can be used on."""
    with Ledger(path) as ledger:
        ledger.commit([Outcome("a", RowState.DONE)], [], 1.0)
        nothing: Any = None
        broken = dataclasses.replace(SEGMENT, length=nothing)
        with pytest.raises(DiskFailed, match=r"ledger\.sqlite"):
            ledger.commit([Outcome("b", RowState.DONE)], [broken], 2.0)
        assert ledger.counts() == {RowState.DONE: 1}
        ledger.commit([Outcome("c", RowState.DONE)], [SEGMENT], 3.0)
        assert ledger.counts() == {RowState.DONE: 2}


@pytest.mark.parametrize(
    "write",
    [
        lambda ledger: ledger.commit([Outcome(f"{n}", RowState.DONE, "x" * 99) for n in range(999)], [], 1.0),
        lambda ledger: ledger.remember({"fetch": "x" * 99_999}),
    ],
    ids=["commit", "remember"],
)
def test_a_full_disk_ends_the_run_and_what_was_committed_stays(path, write):
    """`DiskFailed` names the file; nothing of the failed call is kept."""
    with Ledger(path) as ledger:
        ledger.commit([Outcome("a", RowState.DONE)], [], 1.0)
    with SmallLedger(path) as ledger:
        with pytest.raises(DiskFailed, match=r"ledger\.sqlite: database or disk is full"):
            write(ledger)
        assert ledger.counts() == {RowState.DONE: 1}
        assert ledger.remembered("fetch") is None


def test_a_ledger_of_a_newer_program_is_refused_and_left_alone(path):
    """An old program must not write what it does not understand."""
    with Ledger(path) as ledger:
        ledger.commit([Outcome("a", RowState.DONE)], [], 1.0)
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    with (
        pytest.raises(
            Contradiction,
            match=f"version {VERSION + 1} of the ledger, this program knows {VERSION}; use the newer program",
        ),
        Ledger(path),
    ):
        pass
    assert path.read_bytes() == before


def test_a_file_that_is_no_ledger_is_refused_and_left_alone(path):
    """A person's file stays what it is."""
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(Contradiction, match=r"ledger\.sqlite: not a readable ledger .* restore it from a backup"):
        Ledger(path).__enter__()
    assert path.read_bytes() == b"not a database " * 100


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_damaged_ledger_is_refused_at_the_start(path, page):
    """Found before a request is sent, not by an error in the middle of the run."""
    with Ledger(path) as ledger:
        ledger.commit([Outcome(f"{n}", RowState.DONE, "x" * 99) for n in range(999)], [SEGMENT], 1.0)
    content = bytearray(path.read_bytes())
    content[page * 4096 : (page + 1) * 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    with pytest.raises(Contradiction, match=r"(?s)ledger\.sqlite: .* restore it from a backup"), Ledger(path) as ledger:
        ledger.segments()
        ledger.counts()
        ledger.remembered("fetch")


def test_a_ledger_that_cannot_be_opened_is_the_disks_fault(tmp_path):
    """A folder where the file should be."""
    with pytest.raises((DiskFailed, OSError)):
        Ledger(tmp_path).__enter__()


def test_readers_of_other_processes_see_whole_commits(path):
    """While it is open here: a second connection reads what was committed, at once."""
    with Ledger(path) as ledger:
        ledger.commit([Outcome("a", RowState.DONE)], [SEGMENT], 1.0)
        with Ledger(path) as other:
            assert other.segments() == [SEGMENT]
            ledger.commit([Outcome("b", RowState.EMPTY)], [], 2.0)
            assert other.counts() == {RowState.DONE: 1, RowState.EMPTY: 1}
