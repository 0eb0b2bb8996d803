"""Which rows a run asks for: a table of what a person means, and rules that hold for every row."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.model import CAME, FAILED, SETTLED, Row, RowState, Standing
from fetcher.selection import RunOptions, Verdict, verdict

NOW = 1000.0
ASKED = {Verdict.ASK, Verdict.ASK_ANEW}
PLAIN, ONLY_FAILED, REPARSE = RunOptions(), RunOptions(only_failed=True), RunOptions(reparse=True)
DAYS = st.integers(0, 2)
ROWS = st.builds(Row, st.just("2024-01-01"), st.just({}), st.booleans(), DAYS, DAYS)
STANDINGS = st.builds(
    Standing,
    st.sampled_from(RowState),
    not_before=st.sampled_from([0.0, NOW - 1, NOW, NOW + 1, NOW + 86_400]),
    records=st.integers(0, 3),
    digest=st.sampled_from([b"", b"digest"]),
    settled_at=st.sampled_from([0.0, NOW]),
    first_day=DAYS,
    last_day=DAYS,
)
OPTIONS = st.builds(RunOptions, st.booleans(), st.booleans(), st.booleans(), st.none() | st.floats(1, 1e6))

done, empty, refused = Standing(RowState.DONE, digest=b"x"), Standing(RowState.EMPTY, digest=b"y"), RowState.REFUSED
LEFT = Verdict.LEAVE_SETTLED
TABLE = [
    ("a new row is asked for", None, False, PLAIN, Verdict.ASK),
    ("a done row is left", done, False, PLAIN, Verdict.LEAVE_SETTLED),
    ("an empty row is left", empty, False, PLAIN, Verdict.LEAVE_SETTLED),
    ("a refused row is left", Standing(refused), False, PLAIN, Verdict.LEAVE_SETTLED),
    ("a row that gave up is asked for again", Standing(RowState.GAVE_UP), False, PLAIN, Verdict.ASK),
    ("a row whose wait is over is asked for", Standing(RowState.WAITING, NOW), False, PLAIN, Verdict.ASK),
    ("a row that waits is left", Standing(RowState.WAITING, NOW + 1), False, PLAIN, Verdict.LEAVE_WAITING),
    ("a recent row is asked for anew", done, True, PLAIN, Verdict.ASK_ANEW),
    ("a recent row was refused too early", Standing(refused), True, PLAIN, Verdict.ASK_ANEW),
    ("a recent row that waits is left", Standing(RowState.WAITING, NOW + 1), True, PLAIN, Verdict.LEAVE_WAITING),
    ("a row with pages to come is gone on with", Standing(RowState.WAITING, position="2"), False, PLAIN, Verdict.ASK),
    ("so is one that stands meanwhile", done._replace(position="2"), False, PLAIN, Verdict.ASK),
    ("pages that came are parsed again too", Standing(RowState.WAITING, position="2"), False, REPARSE, Verdict.REPARSE),
    ("a page that was lost is not parsed again", Standing(RowState.UNKNOWN, position="2"), False, REPARSE, LEFT),
    ("nor one that a person gave up", Standing(RowState.DISCARDED, position="2"), False, REPARSE, LEFT),
    ("what a person gave up stays so", Standing(RowState.DISCARDED), False, PLAIN, Verdict.LEAVE_SETTLED),
    ("what a person gave up stays so, recent", Standing(RowState.DISCARDED), True, PLAIN, Verdict.LEAVE_SETTLED),
    ("a refused row is asked for by --only failed", Standing(refused), False, ONLY_FAILED, Verdict.ASK),
    ("a new row is left by --only failed", None, False, ONLY_FAILED, Verdict.LEAVE_WAITING),
    ("a recent row is left by --only failed", done, True, ONLY_FAILED, Verdict.LEAVE_SETTLED),
    ("a waiting row is left by --only failed", Standing(RowState.WAITING), False, ONLY_FAILED, Verdict.LEAVE_WAITING),
    ("a done row is parsed again", done, False, REPARSE, Verdict.REPARSE),
    ("an empty row is parsed again", empty, False, REPARSE, Verdict.REPARSE),
    ("a row that this reparse has parsed is left", done, False, RunOptions(reparse=True, reparsed_since=0.0), LEFT),
    (
        "but not where more of its pages are to come",
        done._replace(position="2"),
        False,
        RunOptions(reparse=True, reparsed_since=0.0),
        Verdict.REPARSE,
    ),
    ("a row that could not be parsed is", Standing(RowState.QUARANTINED), False, REPARSE, Verdict.REPARSE),
    (
        "a row that failed at its second look is not: its kept answer is older than that",
        Standing(RowState.GAVE_UP, digest=b"x"),
        False,
        REPARSE,
        Verdict.LEAVE_SETTLED,
    ),
    ("a row that gave up stays a failure", Standing(RowState.GAVE_UP), False, REPARSE, Verdict.LEAVE_SETTLED),
    ("what a person gave up is not", Standing(RowState.DISCARDED, digest=b"x"), False, REPARSE, Verdict.LEAVE_SETTLED),
    ("a refused row is not", Standing(refused), False, REPARSE, Verdict.LEAVE_SETTLED),
    ("a new row is not", None, False, REPARSE, Verdict.LEAVE_WAITING),
]


@pytest.mark.parametrize(
    ("standing", "is_recent", "options", "expected"), [line[1:] for line in TABLE], ids=[line[0] for line in TABLE]
)
def test_a_row_is_treated_as_a_person_means_it(standing, is_recent, options, expected):
    """The table is the rule."""
    assert verdict(Row("2024-01-01", {}, is_recent), standing, options, NOW) is expected


@given(ROWS, STANDINGS, OPTIONS)
def test_no_row_is_asked_for_before_its_time(row, standing, options):
    """A wait that a server asked for is never cut short, by no option, and to the second."""
    if standing.not_before > NOW:
        assert verdict(row, standing, options, NOW) not in ASKED


@given(ROWS, STANDINGS, st.booleans())
def test_settled_rows_are_left_alone_unless_their_answers_may_still_change(row, standing, as_is):
    """Nothing is asked for twice; and what may change is asked of the API, not of what was kept."""
    found = verdict(row, standing, RunOptions(as_is=as_is), NOW)
    has_grown = row.first_day < standing.first_day or row.last_day > standing.last_day
    may_change = row.is_recent or has_grown
    is_halfway = standing.position != "" and standing.state in CAME
    if standing.state in SETTLED and not may_change and not is_halfway:
        assert found not in ASKED
    if may_change:
        assert found is not Verdict.ASK


@given(ROWS, STANDINGS | st.none(), OPTIONS)
def test_parsing_again_sends_nothing(row, standing, options):
    """Whatever else is asked for; and without it nothing is parsed again."""
    found = verdict(row, standing, options, NOW)
    if options.reparse:
        assert found not in ASKED
    else:
        assert found is not Verdict.REPARSE


@given(ROWS, STANDINGS | st.none())
def test_only_failed_asks_for_failed_rows_alone(row, standing):
    """All whose time has come, but those that may have been carried out: a person has to decide about them."""
    is_asked = verdict(row, standing, ONLY_FAILED, NOW) in ASKED
    may_be_asked = standing is not None and standing.state in FAILED - {RowState.UNKNOWN}
    assert is_asked == (standing is not None and may_be_asked and standing.not_before <= NOW)


@given(ROWS, STANDINGS, OPTIONS)
def test_what_may_have_been_carried_out_is_only_looked_for(row, standing, options):
    """Whatever the run asks for: a request that may have been paid for is not sent again without a person's word."""
    found = verdict(row, standing._replace(state=RowState.UNKNOWN), options, NOW)
    assert found not in ASKED
    if standing.not_before <= NOW and not options.reparse:
        assert found is Verdict.LOOK


@given(ROWS, STANDINGS | st.none(), OPTIONS)
def test_a_row_that_is_left_is_counted_where_it_stands(row, standing, options):
    """Only a row that has no outcome yet, or must wait, counts as waiting: the counts add up to the rows read."""
    found = verdict(row, standing, options, NOW)
    if found is Verdict.LEAVE_SETTLED:
        assert standing is not None
        assert standing.state is not RowState.WAITING
    if found is Verdict.LEAVE_WAITING:
        assert standing is None or standing.state is RowState.WAITING or standing.not_before > NOW


def test_a_window_that_has_grown_is_asked_for_anew():
    """Its last days were not in the answer, however long ago that was; once they were, it is left alone."""
    window = Row("2024-01-01+7d", {}, first_day=10, last_day=16)
    asked = done._replace(first_day=10, last_day=16)
    assert verdict(window, asked._replace(last_day=15), PLAIN, NOW) is Verdict.ASK_ANEW
    assert verdict(window, asked._replace(first_day=11), PLAIN, NOW) is Verdict.ASK_ANEW
    assert verdict(window, asked, PLAIN, NOW) is Verdict.LEAVE_SETTLED
    assert verdict(window, asked._replace(first_day=5, last_day=20), PLAIN, NOW) is Verdict.LEAVE_SETTLED
    assert verdict(window, Standing(RowState.DISCARDED), PLAIN, NOW) is Verdict.LEAVE_SETTLED


@pytest.mark.parametrize(
    ("state", "known", "found"),
    [
        (RowState.DONE, 4, Verdict.ASK),
        (RowState.REFUSED, 4, Verdict.ASK),
        (RowState.DISCARDED, 4, Verdict.LEAVE_SETTLED),
        (RowState.DONE, 5, Verdict.LEAVE_SETTLED),
    ],
)
def test_a_line_is_asked_again_when_it_changes_under_its_key(state, known, found):
    """Larger or smaller, a digest is no day; what a person has given up stays so."""
    row = Row("key", {}, first_day=-1, last_day=5)
    for other in (known, 2 * row.last_day - known):
        assert verdict(row, Standing(state, first_day=-1, last_day=other), RunOptions(), 0.0) is found


@given(ROWS, STANDINGS)
def test_a_reparse_that_goes_on_leaves_rows_that_it_has_parsed(row, standing):
    """But for those of which it has only the first pages."""
    found = verdict(row, standing, RunOptions(reparse=True, reparsed_since=NOW), NOW)
    is_parsed = standing.settled_at >= NOW and not standing.position
    assert found is (left_as(standing) if is_parsed else verdict(row, standing, REPARSE, NOW))


def left_as(standing: Standing) -> Verdict:
    return Verdict.LEAVE_WAITING if standing.state is RowState.WAITING else Verdict.LEAVE_SETTLED
