"""What a run counts: every row is in exactly one state, and the numbers add up."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from fetcher.model import FAILED, SETTLED, Outcome, RowState
from fetcher.tally import Tally

outcomes = st.lists(
    st.builds(
        Outcome,
        row_key=st.text(max_size=3),
        state=st.sampled_from(RowState),
        reason=st.sampled_from(["", "HTTP 403", "HTTP 500"]),
        records=st.integers(0, 100),
        not_before=st.floats(0, 1e10),
    )
)
earlier = st.dictionaries(st.sampled_from(sorted(SETTLED)), st.integers(0, 1000))


def counted(settled, before, unsettled) -> Tally:
    """A tally of rows that ended now, ended earlier, and have not ended."""
    tally = Tally(settled_before=Counter(before), rows_read=len(settled) + sum(before.values()) + unsettled)
    for outcome in settled:
        tally.settle(outcome)
    return tally


@given(outcomes, earlier, st.integers(0, 1000))
def test_rows_by_state_add_up_to_the_rows_read(settled, before, unsettled):
    """Promise one: every row is accounted for, whatever became of the rows and in whatever order."""
    counts = counted(settled, before, unsettled).by_state()
    assert sum(counts.values()) == len(settled) + sum(before.values()) + unsettled
    assert set(counts) == set(RowState)
    now = Counter(outcome.state for outcome in settled)
    assert counts[RowState.WAITING] == unsettled + now[RowState.WAITING]
    assert all(counts[state] == now[state] + before.get(state, 0) for state in SETTLED)


@given(outcomes, earlier)
def test_failed_is_the_sum_of_the_failed_states(settled, before):
    """Rows of this run and of earlier ones: what an exit code of 3 stands for."""
    tally = counted(settled, before, 0)
    assert tally.failed == sum(count for state, count in tally.by_state().items() if state in FAILED)


@given(outcomes)
def test_reasons_add_up_to_the_rows_that_have_one(settled):
    """Each row that ended with a reason is counted once under it, with its state before it."""
    tally = counted(settled, {}, 0)
    told = Counter((outcome.state, outcome.reason) for outcome in settled if outcome.reason)
    assert {(group.state, group.first): group.rows for group in tally.reasons} == told


@given(outcomes)
def test_the_longest_wait_is_kept(settled):
    """A run that ends early is asked for again after the last of the server's waits."""
    tally = counted(settled, {}, 0)
    assert tally.not_before == max((outcome.not_before for outcome in settled), default=0.0)
