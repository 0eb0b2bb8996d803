"""What the ledger keeps of pages and of record keys. Whole histories of them are told in tests/write."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from fetcher import ledger as ledger_module
from fetcher.errors import DiskFailed
from fetcher.ledger import MIGRATIONS, Ledger, LedgerView, Settled
from fetcher.model import CAME, RowState, Segment, SegmentState, Standing
from fetcher.pieces import TABLES, Holder, Piece

OLD_ROW = "INSERT INTO rows VALUES ('a', 'done', '', 1, 3, 7, x'00ff', 2, 0.0, 1.5, 5, 9)"
SECOND_VERSION = f"""
    {MIGRATIONS[0]}; {MIGRATIONS[1]};
    INSERT INTO rows VALUES ('a', 'done', '', 1, 3, 7, x'00ff', 2, 0.0, 1.5, 5, 9, '', 4);
    INSERT INTO rows VALUES ('b', 'done', '', 1, 3, -1, x'01', 1, 0.0, 1.5, 0, 0, '', 1);
    INSERT INTO pieces VALUES ('b', 1, 1, 10, 2, x'02'), ('b', 1, 2, 12, 1, x'03'), ('b', 2, 1, 13, 1, x'04');
    INSERT INTO superseded VALUES (0, 7, 9);
    INSERT INTO record_keys VALUES (x'05', 'b', 1);
    INSERT INTO segments VALUES (1, 'published', 'zstd', 120, 10, 'ab', 1.0), (2, 'open', 'none', 40, 4, 'cd', 2.0);
    PRAGMA user_version = 2;
"""
KILLED = """
import os, pathlib, sys
from fetcher import ledger, pieces
class Dying(ledger.Ledger):
    def _connect(self):
        connection = super()._connect()
        connection.create_function("die", 0, lambda: os._exit(9))
        return connection
ledger.MIGRATIONS = (*ledger.MIGRATIONS[:2], pieces.TABLES + "SELECT die();")
Dying(pathlib.Path(sys.argv[1])).__enter__()
"""
KEYS = [bytes([number]) * 16 for number in range(4)]


@pytest.fixture
def ledger(tmp_path):
    """An empty one."""
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


def page(number: int, revision: int, first: int, records: int, **told) -> Settled:
    """Page `number` of row `a`, as a commit saves it; its digest says which records it has."""
    before = told.pop("before", Standing(RowState.WAITING))
    content = told.pop("content", f"{revision} {number}").encode()
    position = "" if told.get("is_whole") else str(number + 1)
    state = RowState.DONE if told.get("is_whole") else before.state
    standing = before._replace(state=state, position=position)
    return Settled("a", standing, "", 1, piece=Piece(revision, number, first, records, content), **told)


def two_pages(ledger: Ledger) -> Standing:
    """The first pass: two records on a page, then one; returns where the row stands."""
    ledger.commit([page(1, 1, 0, 2)], [])
    assert ledger.halfway() == 1
    ledger.commit([page(2, 1, 2, 1, is_whole=True)], [])
    assert ledger.halfway() == 0
    return ledger.standings(["a"])["a"]


def test_a_ledger_of_the_version_before_keeps_its_rows(tmp_path):
    """K07: it is migrated when it is opened, and no row changes by that."""
    path = tmp_path / "ledger.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(f"{MIGRATIONS[0]}; {OLD_ROW}; PRAGMA user_version = 1;")
    with Ledger(path) as ledger:
        assert ledger.standings(["a"]) == {"a": Standing(RowState.DONE, 0.0, 3, 7, b"\x00\xff", 2, 1.5, 5, 9)}
        assert ledger.vouched_records() == 3


@pytest.fixture
def second(tmp_path) -> Path:
    """A ledger as the second version left it: a row, one of pages with a pending revision, keys, segments."""
    path = tmp_path / "second.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(SECOND_VERSION)
    return path


def check_second(ledger: LedgerView) -> None:
    """All that it knew it knows of the main table."""
    whole = Standing(RowState.DONE, 0.0, 3, 7, b"\x00\xff", 2, 1.5, 5, 9, "", 4)
    assert ledger.standings(["a"]) == {"a": whole}
    assert ledger.pieces("b", 1) == [Piece(1, 1, 10, 2, b"\x02"), Piece(2, 1, 13, 1, b"\x04")]
    assert ledger.superseded(before=10) == [(0, 7), (13, 1)]
    assert ledger.holders([b"\x05"]) == {b"\x05": [Holder("b", 1)]}
    assert ledger.vouched_records() == 14
    assert ledger.segments() == [
        Segment(1, SegmentState.PUBLISHED, "zstd", 120, 10, "ab", 1.0),
        Segment(2, SegmentState.OPEN, "none", 40, 4, "cd", 2.0),
    ]
    assert (ledger.sides("a", RowState.DONE), ledger.vouched_records("stations")) == ({}, 0)


def test_k07_a_ledger_from_before_there_were_tables_keeps_all_it_knows(second):
    """Rows, pages, replaced ranges, keys and segments are those of the main table, and the run goes on with them."""
    for _ in range(2):
        with Ledger(second) as ledger:
            check_second(ledger)


@pytest.mark.parametrize("is_killed", [True, False])
def test_g14_a_ledger_is_brought_to_tables_at_once_or_not_at_all(second, monkeypatch, is_killed):
    """A kill at its last step, or a step that fails, leaves the second version, which the next start migrates."""
    if is_killed:
        told = [sys.executable, "-c", KILLED, str(second)]
        assert subprocess.run(told, cwd=Path(__file__).parents[1], check=False).returncode == 9
    else:
        with monkeypatch.context() as patch:
            patch.setattr(ledger_module, "MIGRATIONS", (*MIGRATIONS[:2], f"{TABLES} SELECT 1 FROM nowhere;"))
            with pytest.raises(DiskFailed, match="no such table: nowhere"):
                Ledger(second).__enter__()
    with closing(sqlite3.connect(second)) as old:
        assert old.execute("PRAGMA user_version").fetchone() == (2,)
        assert old.execute("SELECT COUNT(*) FROM pieces").fetchone() == (3,)
        assert (
            old.execute("SELECT name FROM sqlite_master WHERE name LIKE 'side_%' OR name LIKE '%before'").fetchall()
            == []
        )
    with Ledger(second) as ledger:
        check_second(ledger)


def test_no_count_of_rows_sees_what_they_have_in_other_tables(ledger):
    """States, failures, restating and halves of rows are the row's alone."""
    side = Standing(RowState.GAVE_UP, records=2, digest=b"x")
    ledger.commit([Settled("a", side, "why", 3, table="stations"), Settled("a", Standing(RowState.DONE), "", 1)], [])
    assert ledger.counts() == {(RowState.DONE, ""): 1}
    assert (list(ledger.failures()), ledger.halfway(), ledger.restate(RowState.DISCARDED, ["a"])) == ([], 0, 0)
    assert (ledger.vouched_records(), ledger.vouched_records("stations")) == (0, 2)
    assert ledger.sides("a", RowState.DONE) == {"stations": Standing(RowState.DONE, records=2, digest=b"x")}
    assert [ledger.knows(table) for table in ("records", "stations", "units")] == [True, True, False]


def test_a_row_is_whole_with_its_last_page(ledger):
    """Its records are those of all its pages, and are counted once."""
    standing = two_pages(ledger)
    assert (standing.state, standing.records, standing.revision) == (RowState.DONE, 3, 1)
    assert ledger.vouched_records() == 3
    assert ledger.pieces("a", 2) == [Piece(1, 2, 2, 1, b"1 2")]


def test_the_same_pages_again_change_nothing(ledger):
    """The pass leaves no trace but its attempts."""
    before = two_pages(ledger)
    ledger.commit([page(1, 2, 0, 2, before=before, content="1 1", begins_anew=True)], [])
    ledger.commit([page(2, 2, 2, 1, before=before, content="1 2", is_whole=True)], [])
    assert ledger.standings(["a"]) == {"a": before}
    assert ledger.pieces("a", 1) == [Piece(1, 1, 0, 2, b"1 1")]
    assert ledger.superseded(before=99) == []


def test_another_page_takes_the_place_of_its_own_only(ledger):
    """And is shown once the last page has come."""
    before = two_pages(ledger)
    ledger.commit([page(1, 2, 0, 2, before=before, content="1 1", begins_anew=True)], [])
    ledger.commit([page(2, 2, 3, 4, before=before)], [])
    assert ledger.superseded(before=99) == [(3, 4)]
    ledger.commit([page(3, 2, 7, 0, before=before, is_whole=True)], [])
    assert ledger.superseded(before=99) == [(2, 1)]
    assert ledger.standings(["a"])["a"]._replace(digest=b"") == before._replace(records=6, revision=2, digest=b"")
    assert ledger.vouched_records() == 7


def test_a_pass_that_begins_anew_supersedes_what_was_unfinished(ledger):
    """Nothing of it is shown, and every record is accounted for."""
    ledger.commit([page(1, 1, 0, 2)], [])
    ledger.commit([page(1, 1, 2, 2, begins_anew=True, content="other", is_whole=True)], [])
    assert ledger.superseded(before=99) == [(0, 2)]
    assert (ledger.standings(["a"])["a"].records, ledger.vouched_records()) == (2, 4)


def test_a_row_holds_the_keys_of_the_revision_that_stands(ledger):
    """Those of a pass that is under way too, until it is whole; those before are free then."""
    ledger.commit([page(1, 1, 0, 2, is_whole=True, record_keys=KEYS[:2])], [])
    before = ledger.standings(["a"])["a"]
    ledger.commit([page(1, 2, 2, 2, before=before, begins_anew=True, record_keys=KEYS[1:3])], [])
    first, second = Holder("a", 1), Holder("a", 2)
    assert ledger.holders(KEYS) == {KEYS[0]: [first], KEYS[1]: [first, second], KEYS[2]: [second]}
    ledger.commit([page(2, 2, 4, 0, before=before, is_whole=True)], [])
    assert ledger.holders(KEYS) == {KEYS[1]: [second], KEYS[2]: [second]}


def test_a_whole_row_holds_the_keys_of_its_newest_records(ledger):
    """A row that answers at once, in two revisions."""
    first = Standing(RowState.DONE, records=2, digest=b"x")
    ledger.commit([Settled("a", first, "", 1, record_keys=KEYS[:2])], [])
    second = first._replace(first_record=2, revision=2, digest=b"y")
    ledger.commit([Settled("a", second, "", 1, (0, 2), record_keys=KEYS[1:3])], [])
    assert ledger.holders(KEYS) == {KEYS[1]: [Holder("a", 2)], KEYS[2]: [Holder("a", 2)]}


@pytest.mark.parametrize("state", [state for state in RowState if state not in CAME])
def test_rows_whose_answers_have_not_come_say_nothing_of_how_far_records_reach(ledger, state):
    """One that is parked in a later run keeps its old records, which may be behind those of all other rows."""
    done = Standing(RowState.DONE, records=3, first_record=7, digest=b"x", settled_at=20.0)
    ledger.commit(
        [
            Settled("a", done, "", 1),
            Settled("b", done._replace(state=state, first_record=5000), "", 1),
            Settled("c", done._replace(first_record=6000, settled_at=10.0), "", 1),
        ],
        [],
    )
    for row in ("a", "b"):
        ledger.commit([Settled(row, Standing(RowState.DONE, records=1, first_record=4), "", 1, table="side")], [])
    assert ledger.reached(15.0) == {"records": 10, "side": 5}
