"""The ledger: one call is one transaction, what is read is of one moment, and what is not a ledger is refused."""

import dataclasses
import os
import sqlite3
import stat
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fetcher import ledger as ledger_module
from fetcher.errors import Contradiction, DiskFailed
from fetcher.ledger import MIGRATIONS, Ledger, LedgerView, Settled
from fetcher.model import FAILED, Failure, RowState, Segment, SegmentState, Standing

ROOT = Path(__file__).parents[1]
SEGMENT = Segment(1, SegmentState.OPEN, "zstd", 120, 3, "ab" * 32, 1000.0)
DONE = RowState.DONE
WIDE = "x" * 99
EXTRA = """
CREATE TABLE notes (key TEXT PRIMARY KEY);
UPDATE rows SET reason = 'migrated';
"""
KILLED = f"""
import os, pathlib, sys
from fetcher import ledger
class Dying(ledger.Ledger):
    def _connect(self):
        connection = super()._connect()
        connection.create_function("die", 0, lambda: os._exit(9))
        return connection
ledger.MIGRATIONS = (*ledger.MIGRATIONS, {EXTRA + "SELECT die();"!r})
Dying(pathlib.Path(sys.argv[1])).__enter__()
"""


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


def row(key: str, state: RowState = DONE, reason: str = "", attempts: int = 1, **held: Any) -> Settled:
    """A row as a commit saves it."""
    superseded = held.pop("superseded", None)
    return Settled(key, Standing(state, **held), reason, attempts, superseded)


def test_a_new_ledger_is_empty_and_private(path):
    """Mode 0600: reasons may quote what a server said."""
    with Ledger(path) as ledger:
        assert ledger.segments() == []
        assert ledger.counts() == Counter()
        assert ledger.standings(["a"]) == {}
        assert ledger.superseded(before=1000) == []
        assert ledger.vouched_records() == 0
        assert list(ledger.failures()) == []
        assert ledger.remembered("fetch") is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_was_committed_is_there_after_a_restart(path):
    """Rows, segments and facts, for the next run and for a reader."""
    first = row("a", records=3, first_record=7, digest=b"\x00\xff", revision=2, settled_at=1.5, first_day=5, last_day=9)
    with Ledger(path) as ledger:
        ledger.commit(iter([first, row("b", RowState.WAITING, "429", not_before=99.5)]), iter([SEGMENT]))
        ledger.remember("fetch", "one")
        ledger.remember("parse", "two")
        ledger.remember("fetch", "three")
    for kind in (Ledger, LedgerView):
        with kind(path) as ledger:
            assert ledger.standings(["a", "b", "c"]) == {
                "a": Standing(DONE, 0.0, 3, 7, b"\x00\xff", 2, 1.5, 5, 9),
                "b": Standing(RowState.WAITING, 99.5),
            }
            assert ledger.segments() == [SEGMENT]
            assert ledger.counts() == {(DONE, ""): 1, (RowState.WAITING, "429"): 1}
            assert (ledger.remembered("fetch"), ledger.remembered("parse")) == ("three", "two")


def test_standings_of_a_thousand_rows_come_in_one_call(path):
    """The rows of one chunk; a key is data, whatever it looks like."""
    keys = [f'2024-01-01|o\'Neill "{number}"; --' for number in range(1000)]
    with Ledger(path) as ledger:
        ledger.commit([row(key) for key in keys], [])
        assert list(ledger.standings(keys)) == sorted(keys)
        assert set(ledger.standings([*keys[:500], "other"])) == set(keys[:500])
        assert ledger.standings([]) == {}


def test_attempts_add_up_over_runs_and_the_rest_is_the_newest(path):
    """Three gave up, then two more were needed: five requests were sent for this row."""
    with Ledger(path) as ledger:
        ledger.commit([row("a", RowState.GAVE_UP, "HTTP 503", 3, not_before=7.0, settled_at=1.0)], [])
        assert list(ledger.failures()) == [Failure("a", RowState.GAVE_UP, "HTTP 503", 3, 1.0)]
        newest = row("a", attempts=2, records=4, first_record=9, digest=b"x", revision=2, settled_at=2.0, last_day=9)
        ledger.commit([newest], [])
        assert ledger.standings(["a"]) == {"a": newest.standing}
        assert ledger.counts() == {(DONE, ""): 1}
        ledger.commit([row("a", RowState.REFUSED, attempts=1)], [])
        assert [failure.attempts for failure in ledger.failures()] == [6]


def test_segments_come_in_order_and_are_replaced_whole(path):
    """Each as it was last committed."""
    second = Segment(2, SegmentState.SEALED, "none", 10, 1, "cd" * 32, 2000.0)
    grown = Segment(1, SegmentState.PUBLISHED, "zstd", 240, 6, "ef" * 32, 1000.0)
    with Ledger(path) as ledger:
        ledger.commit([], [second, SEGMENT])
        assert ledger.segments() == [SEGMENT, second]
        ledger.commit([], [grown])
        assert ledger.segments() == [grown, second]


def test_a_commit_that_fails_leaves_nothing_of_itself(path):
    """Rows, superseded ranges and segment come together or not at all, and the ledger can be used on."""
    with Ledger(path) as ledger:
        ledger.commit([row("a", records=2)], [])
        nothing: Any = None
        broken = dataclasses.replace(SEGMENT, length=nothing)
        with pytest.raises(DiskFailed, match=r"ledger\.sqlite"):
            ledger.commit([row("a", records=1, first_record=2, superseded=(0, 2)), row("b")], [broken])
        assert ledger.counts() == {(DONE, ""): 1}
        assert (ledger.vouched_records(), ledger.superseded(before=9)) == (2, [])
        ledger.commit([row("c")], [SEGMENT])
        assert ledger.counts() == {(DONE, ""): 2}


def test_failures_are_the_failed_rows_in_order_of_key(path):
    """Those that make a run exit 3, and no others."""
    with Ledger(path) as ledger:
        ledger.commit([row(f"{state}", state, "why", 2, settled_at=5.0) for state in RowState], [])
        assert list(ledger.failures()) == [Failure(str(state), state, "why", 2, 5.0) for state in sorted(FAILED)]


def test_superseded_ranges_come_in_order_once_what_replaced_them_is_published(path):
    """A reader that leaves the old records out must find the new ones."""
    with Ledger(path) as ledger:
        ledger.commit([row("a", records=2, first_record=0), row("b", records=3, first_record=2)], [])
        ledger.commit([row("b", records=1, first_record=5, revision=2, superseded=(2, 3))], [])
        ledger.commit([row("a", records=2, first_record=6, revision=2, superseded=(0, 2))], [])
        left_out = [ledger.superseded(before=published) for published in (5, 6, 7, 8)]
        assert left_out == [[], [(2, 3)], [(2, 3)], [(0, 2), (2, 3)]]
        assert ledger.vouched_records() == 8


def test_a_row_that_has_become_empty_supersedes_without_a_record_of_its_own(path):
    """Nothing has to be published for it, but for what was written before it."""
    with Ledger(path) as ledger:
        ledger.commit([row("a", records=2)], [])
        ledger.commit([row("a", RowState.EMPTY, first_record=2, revision=2, superseded=(0, 2))], [])
        assert [ledger.superseded(before=published) for published in (1, 2)] == [[], [(0, 2)]]


def test_restating_moves_failed_rows_alone(path):
    """All of them or those named, each counted once; reasons, attempts and records stay, waits are over."""
    with Ledger(path) as ledger:
        ledger.commit([row(state.name, state, "why", 2, records=1, not_before=9.0) for state in RowState], [])
        before = ledger.standings([state.name for state in RowState])
        assert ledger.restate(RowState.DISCARDED, ["REFUSED", "REFUSED", "DONE", "WAITING", "nobody"]) == 1
        assert ledger.restate(RowState.GAVE_UP, []) == 0
        assert ledger.restate(RowState.GAVE_UP, ["GAVE_UP", "GAVE_UP"]) == 1
        assert ledger.restate(RowState.GAVE_UP, [state.name for state in RowState]) == 3
        moved = {
            "REFUSED": RowState.DISCARDED,
            **dict.fromkeys(("GAVE_UP", "QUARANTINED", "UNKNOWN"), RowState.GAVE_UP),
        }
        expected = {key: before[key]._replace(state=state, not_before=0.0) for key, state in moved.items()}
        assert ledger.standings(list(before)) == {**before, **expected}
        assert [failure.attempts for failure in ledger.failures()] == [2, 2, 2]


@pytest.mark.parametrize(
    "write",
    [
        lambda ledger: ledger.commit([row(f"{n}", reason=WIDE) for n in range(999)], []),
        lambda ledger: ledger.remember("fetch", "x" * 99_999),
    ],
    ids=["commit", "remember"],
)
def test_a_full_disk_ends_the_run_and_what_was_committed_stays(path, write):
    """`DiskFailed` names the file; nothing of the failed call is kept."""
    with Ledger(path) as ledger:
        ledger.commit([row("a")], [])
    with SmallLedger(path) as ledger:
        with pytest.raises(DiskFailed, match=r"ledger\.sqlite: database or disk is full"):
            write(ledger)
        assert ledger.counts() == {(DONE, ""): 1}
        assert ledger.remembered("fetch") is None


def test_a_disk_without_room_for_a_ledger_fails_at_the_start(path):
    """The first migration is the first thing written; once there is room, the next start makes it whole."""
    with pytest.raises(DiskFailed, match=r"ledger\.sqlite: database or disk is full"):
        SmallLedger(path).__enter__()
    with Ledger(path) as ledger:
        assert ledger.segments() == []


def version(path: Path) -> int:
    """The number in the file's head."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def tables(path: Path) -> set[str]:
    """What the file has."""
    with closing(sqlite3.connect(path)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


@pytest.fixture
def older(path: Path) -> Path:
    """A ledger as the present program writes it, which the next one will know as an older version."""
    with Ledger(path) as ledger:
        ledger.commit([row(f"{number}", RowState.REFUSED, "404") for number in range(50)], [SEGMENT])
    return path


def test_a_ledger_of_an_older_version_is_brought_to_the_present_one(older, monkeypatch):
    """Its rows are those it had; only the missing steps are done, and once."""
    monkeypatch.setattr(ledger_module, "MIGRATIONS", (*MIGRATIONS, EXTRA))
    for _ in range(2):
        with Ledger(older) as ledger:
            assert ledger.counts() == {(RowState.REFUSED, "migrated"): 50}
            assert ledger.segments() == [SEGMENT]
    assert (version(older), "notes" in tables(older)) == (len(MIGRATIONS) + 1, True)


def test_a_migration_that_is_killed_in_its_middle_leaves_the_older_version(older):
    """All steps are one transaction: the old program can still use it, and the new one migrates it again."""
    ran = subprocess.run([sys.executable, "-c", KILLED, str(older)], cwd=ROOT, check=False)
    assert ran.returncode == 9
    assert (version(older), "notes" in tables(older)) == (len(MIGRATIONS), False)
    with Ledger(older) as ledger:
        assert ledger.counts() == {(RowState.REFUSED, "404"): 50}


def test_a_migration_that_fails_leaves_the_older_version(older, monkeypatch):
    """A full disk, or a step that is wrong: nothing of any step is kept."""
    monkeypatch.setattr(ledger_module, "MIGRATIONS", (*MIGRATIONS, EXTRA, "SELECT 1 FROM nowhere;"))
    with pytest.raises(DiskFailed, match=r"ledger\.sqlite: no such table: nowhere"):
        Ledger(older).__enter__()
    assert (version(older), "notes" in tables(older)) == (len(MIGRATIONS), False)


@pytest.mark.parametrize("kind", [Ledger, LedgerView])
def test_a_ledger_of_a_newer_program_is_refused_and_left_alone(older, kind):
    """An old program must neither write nor explain what it does not understand, nor hold it open."""
    known = len(MIGRATIONS)
    with closing(sqlite3.connect(older)) as connection:
        connection.execute(f"PRAGMA user_version = {known + 1}")
    before = older.read_bytes()
    expected = f"version {known + 1} of the ledger, this program knows {known}; use the newer program"
    with pytest.raises(Contradiction, match=expected) as _:
        kind(older).__enter__()
    assert older.read_bytes() == before
    assert not is_held_open(older)


def is_held_open(path: Path) -> bool:
    """Whether this process still has the file; asked while the error, and whatever it refers to, is alive."""
    return any(os.path.realpath(held) == str(path.resolve()) for held in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize("kind", [Ledger, LedgerView])
def test_a_file_that_is_no_ledger_is_refused_and_left_alone(path, kind):
    """A person's file stays what it is."""
    path.write_bytes(b"not a database " * 100)
    with pytest.raises(Contradiction, match=r"ledger\.sqlite: not a readable ledger .* restore it from a backup"):
        kind(path).__enter__()
    assert path.read_bytes() == b"not a database " * 100


def damage(path: Path, page: int) -> None:
    """A page of a ledger of a thousand rows is not what it was."""
    with Ledger(path) as ledger:
        ledger.commit([row(f"{n}", RowState.REFUSED, WIDE + str(n)) for n in range(999)], [SEGMENT])
    content = bytearray(path.read_bytes())
    assert len(content) > 20 * 4096
    content[page * 4096 : (page + 1) * 4096] = b"\xa5" * 4096
    path.write_bytes(content)


@pytest.mark.parametrize("page", [1, 2, 3, 20])
def test_a_damaged_ledger_is_refused_at_the_start(path, page):
    """Found before a request is sent, not by an error in the middle of the run; and nothing is written to it."""
    damage(path, page)
    before = path.read_bytes()
    with pytest.raises(Contradiction, match=r"(?s)ledger\.sqlite: not a readable ledger .* restore it from a backup"):
        Ledger(path).__enter__()
    assert path.read_bytes() == before


def test_a_reader_of_a_damaged_ledger_is_told_so(path):
    """Where it comes upon the damage: a contradiction like any other, and no error of SQLite's."""
    damage(path, 20)
    with (
        pytest.raises(Contradiction, match=r"ledger\.sqlite: not a readable ledger .*; restore it from a backup"),
        LedgerView(path) as ledger,
    ):
        ledger.vouched_records()
        ledger.counts()
        list(ledger.failures())


def test_a_ledger_that_cannot_be_opened_is_the_disks_fault(tmp_path):
    """A folder where the file should be."""
    with pytest.raises(DiskFailed):
        Ledger(tmp_path).__enter__()


def test_readers_of_other_processes_see_whole_commits(path):
    """Each reader sees what was committed when it began, and nothing of what comes while it reads."""
    with Ledger(path) as ledger:
        ledger.commit([row("a", records=3)], [SEGMENT])
        with LedgerView(path) as view:
            assert view.segments() == [SEGMENT]
            ledger.commit([row("b", RowState.EMPTY), row("c", records=5)], [dataclasses.replace(SEGMENT, records=8)])
            assert view.vouched_records() == 3
            assert view.counts() == {(DONE, ""): 1}
        with LedgerView(path) as view:
            assert (view.vouched_records(), view.segments()[0].records) == (8, 8)
            assert view.counts() == {(DONE, ""): 2, (RowState.EMPTY, ""): 1}


def test_a_ledger_becomes_another_in_one_transaction(path, tmp_path):
    """Rows, facts and segments; who has begun to read goes on reading what was."""
    with Ledger(path) as ledger, Ledger(tmp_path / "other.sqlite") as other:
        ledger.commit([row("a"), row("b")], [SEGMENT])
        other.become(ledger)
        other.commit([row("a", records=7)], [])
        other.remember("parse", "new")
        with LedgerView(path) as reader:
            assert reader.standings(["a"])["a"].records == 0
            ledger.become(other)
            assert (reader.standings(["a"])["a"].records, reader.remembered("parse")) == (0, None)
        assert (ledger.standings(["a"])["a"].records, ledger.remembered("parse")) == (7, "new")
        assert (ledger.segments(), set(ledger.standings(["a", "b"]))) == ([SEGMENT], {"a", "b"})
        ledger.commit([row("c")], [])
        assert set(other.standings(["a", "b", "c"])) == {"a", "b"}
