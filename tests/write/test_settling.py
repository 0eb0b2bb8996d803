"""What becomes of a row that was asked again: properties over any sequence of outcomes of any rows."""

import hashlib
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.ledger import Settled
from fetcher.model import Outcome, RowState, Standing
from fetcher.pieces import Piece
from fetcher.write.settling import Known, settled

ANSWERS = [b"", b'{"n":1}\n', b'{"n":2}\n', b'{"n":1}\n{"n":2}\n', b'{"n":3}\n{"n":4}\n{"n":5}\n']
CAME = (RowState.DONE, RowState.EMPTY)
FAILURES = sorted(set(RowState) - set(CAME))
KEYS = "abc"
ANSWERED = st.sampled_from(ANSWERS).map(
    lambda lines: Outcome("", RowState.DONE if lines else RowState.EMPTY, lines=lines, records=lines.count(b"\n"))
)
FAILED = st.builds(
    Outcome,
    st.just(""),
    st.sampled_from(FAILURES),
    st.sampled_from(["", "503"]),
    not_before=st.sampled_from([0.0, 9e9]),
    last_day=st.integers(0, 3),
)
STORY = st.lists(st.tuples(st.sampled_from(KEYS), ANSWERED | FAILED, st.integers(0, 5)))


@dataclass
class Shelf:
    """Rows and records as the writer and the ledger keep them."""

    lines: list[bytes] = field(default_factory=list)
    standings: dict[str, Standing] = field(default_factory=dict)
    superseded: list[tuple[int, int]] = field(default_factory=list)

    def settle(self, key: str, outcome: Outcome, attempts: int = 1, least: int = 0) -> tuple[Settled, bytes]:
        """One more outcome of a row, after all that it has been through; its records may begin at number `least`."""
        told = Outcome(
            key,
            outcome.state,
            outcome.reason,
            outcome.lines,
            outcome.records,
            attempts,
            outcome.not_before,
            self.standings.get(key),
            outcome.first_day,
            outcome.last_day,
        )
        row, fresh = settled(told, Known(len(self.lines), least_record=least), 1000.0 + len(self.lines))
        lines = fresh.lines
        self.lines += lines.splitlines(keepends=True)
        self.standings[key] = row.standing
        if row.superseded:
            self.superseded.append(row.superseded)
        return row, lines

    def held(self, key: str) -> bytes:
        """The records that stand for a row."""
        standing = self.standings[key]
        return b"".join(self.lines[standing.first_record : standing.first_record + standing.records])


@given(STORY)
def test_a_row_stands_for_the_records_it_brought_home_last(story):
    """Whatever answered or failed in between, and whatever other rows did."""
    shelf, newest = Shelf(), dict.fromkeys(KEYS, b"")
    for key, outcome, _ in story:
        shelf.settle(key, outcome)
        if outcome.state in CAME:
            newest[key] = outcome.lines
        assert all(shelf.held(known) == newest[known] for known in shelf.standings)


@given(STORY)
def test_every_record_belongs_to_one_row_or_to_one_revision(story):
    """The ranges that stand and those that are superseded never overlap, and leave no record out."""
    shelf = Shelf()
    for key, outcome, _ in story:
        shelf.settle(key, outcome)
        ranges = [(held.first_record, held.records) for held in shelf.standings.values()] + shelf.superseded
        taken = sorted(number for first, count in ranges for number in range(first, first + count))
        assert taken == list(range(len(shelf.lines)))


@given(STORY)
def test_only_an_answer_that_differs_is_written(story):
    """The same answer writes nothing and keeps range and revision; another one is the next revision of the row, and
    supersedes exactly the range before it."""
    shelf = Shelf()
    newest: dict[str, bytes] = {}
    for key, outcome, _ in story:
        if outcome.state not in CAME:
            shelf.settle(key, outcome)
            continue
        before, number = shelf.standings.get(key), len(shelf.lines)
        row, lines = shelf.settle(key, outcome)
        if newest.get(key) == outcome.lines:
            assert before is not None
            assert (lines, row.superseded) == (b"", None)
            assert row.standing[2:6] == before[2:6]
        else:
            assert lines == outcome.lines
            assert row.standing.revision == (before.revision + 1 if before and key in newest else 1)
            assert row.superseded == ((before.first_record, before.records) if before and newest.get(key) else None)
            assert (row.standing.records, row.standing.digest) == (outcome.records, hashlib.sha256(lines).digest())
            assert row.standing.first_record == number
        newest[key] = outcome.lines


@given(STORY, st.permutations(KEYS))
def test_records_that_are_not_behind_those_of_earlier_rows_are_written_anew(story, order):
    """Gone over in some order, all that stands is in that order; and a second time over nothing is written."""
    shelf = Shelf()
    for key, outcome, _ in story:
        shelf.settle(key, outcome)
    held = {key: shelf.held(key) for key in shelf.standings}
    for turn in range(2):
        least, lines_before = 0, len(shelf.lines)
        for key in (key for key in order if shelf.standings.get(key, Standing(RowState.WAITING)).digest):
            state = RowState.DONE if held[key] else RowState.EMPTY
            outcome = Outcome(key, state, lines=held[key], records=held[key].count(b"\n"))
            row, _ = shelf.settle(key, outcome, least=least)
            assert shelf.held(key) == held[key]
            if row.standing.records:
                assert row.standing.first_record >= least
                least = row.standing.first_record + row.standing.records
        assert not turn or len(shelf.lines) == lines_before


@given(STORY)
def test_a_failure_keeps_what_was_brought_home(story):
    """Its records, their digest and their revision stand; only where the row stands is news, and nothing is written."""
    shelf = Shelf()
    for key, outcome, _ in story:
        before = shelf.standings.get(key, Standing(outcome.state))
        row, lines = shelf.settle(key, outcome)
        if outcome.state not in CAME:
            assert (lines, row.superseded) == (b"", None)
            assert row.standing == before._replace(
                state=outcome.state,
                not_before=outcome.not_before,
                settled_at=row.standing.settled_at,
                last_day=outcome.last_day,
            )


@given(STORY)
def test_what_the_outcome_says_of_the_row_is_saved(story):
    """State, reason, attempts, wait and days are those of the newest outcome, the time is now."""
    shelf = Shelf()
    for key, outcome, attempts in story:
        now = 1000.0 + len(shelf.lines)
        row, _ = shelf.settle(key, outcome, attempts)
        assert (row.key, row.reason, row.attempts) == (key, outcome.reason, attempts)
        standing = row.standing
        assert (standing.state, standing.not_before, standing.settled_at) == (outcome.state, outcome.not_before, now)
        assert (standing.first_day, standing.last_day) == (outcome.first_day, outcome.last_day)


def test_a_wait_ends_with_the_answer():
    """A row that was parked and then answered waits no longer, also where its answer is the old one."""
    shelf = Shelf()
    done = Outcome("a", RowState.DONE, lines=ANSWERS[1], records=1)
    shelf.settle("a", done)
    shelf.settle("a", Outcome("a", RowState.WAITING, "429", not_before=9e9))
    row, _ = shelf.settle("a", done)
    assert (row.standing.state, row.standing.not_before, row.standing.revision) == (RowState.DONE, 0.0, 1)


@given(STORY, st.sampled_from(FAILURES), st.sampled_from(KEYS))
def test_what_is_taken_back_stands_no_more(story, state, key):
    """Its records are superseded, nothing is written for it, and the same answer is news again."""
    shelf = Shelf()
    for known, outcome, _ in story:
        shelf.settle(known, outcome)
    before, lines = shelf.standings.get(key), len(shelf.lines)
    told = Outcome(key, state, before=before, takes_back=True)
    row, fresh = settled(told, Known(lines), 2000.0)
    assert (fresh.lines, row.standing.records, row.standing.state) == (b"", 0, state)
    assert row.superseded == ((before.first_record, before.records) if before and before.records else None)
    again, fresh = settled(
        replace(told, state=RowState.DONE, lines=ANSWERS[1], records=1, before=row.standing), Known(9), 1
    )
    assert (fresh.lines, again.standing.records, again.standing.first_record) == (ANSWERS[1], 1, 9)


@pytest.mark.parametrize("page", [0, 1])
def test_records_that_were_made_again_the_same_are_no_news(page):
    """They differ in when their fields were added, which is in no digest; another version is news."""
    line = b'{"n":1,"_provenance":{"n":{"annotator":"rules","version":"%s","at":"%s"}}}\n'

    def after(before: tuple[Standing, Piece | None] | None, version: bytes, at: bytes) -> tuple[Settled, int]:
        standing, piece = before or (None, None)
        outcome = Outcome("a", RowState.DONE, lines=line % (version, at), records=1, before=standing, page=page)
        row, fresh = settled(outcome, Known(7, (piece,) if piece else ()), 0.0)
        return row, fresh.records

    first, written = after(None, b"1a", b"2024")
    held = (first.standing._replace(digest=first.standing.digest or b"whole"), first.piece)
    assert (written, after(held, b"1a", b"2025")[1], after(held, b"2b", b"2024")[1]) == (1, 0, 1)
