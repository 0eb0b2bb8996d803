"""What the ledger keeps of pages and of record keys. Whole histories of them are told in tests/write."""

import sqlite3
from contextlib import closing

import pytest

from fetcher.ledger import MIGRATIONS, Ledger, Settled
from fetcher.model import RowState, Standing
from fetcher.pieces import Holder, Piece

OLD_ROW = "INSERT INTO rows VALUES ('a', 'done', '', 1, 3, 7, x'00ff', 2, 0.0, 1.5, 5, 9)"
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
