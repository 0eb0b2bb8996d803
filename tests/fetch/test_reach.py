"""Whether anybody is there: an API that nobody reached is given up soon, one that was reached is given time."""

from hypothesis import given
from hypothesis import strategies as st

from fetcher.fetch.reach import PATIENCE_S, TRIES, Reach

MOMENTS = st.lists(st.floats(0, 60), min_size=1, max_size=30).map(sorted)


@given(MOMENTS)
def test_an_api_that_nobody_reached_is_down_after_a_few_tries_over_a_few_seconds(moments):
    """Both: neither a burst of refused connections nor two slow ones are enough; from then on it stays down."""
    reach = Reach()
    for number, now in enumerate(moments, start=1):
        assert reach.failed(now) == (number >= TRIES and now - moments[0] >= PATIENCE_S)


def test_the_last_try_and_the_last_moment_count():
    """Five tries, four seconds, at any time of the clock."""
    for begin in (0.0, 86_400.0):
        reach = Reach()
        assert [reach.failed(begin + after) for after in (0, 1, 2, 3)] == [False] * 4
        assert reach.failed(begin + PATIENCE_S)
        reach = Reach()
        assert [reach.failed(begin) for _ in range(20)] == [False] * 20
        assert not reach.failed(begin + PATIENCE_S - 0.5)
        assert reach.failed(begin + PATIENCE_S)


@given(st.lists(st.floats(0, 60)), st.floats(0, 60), MOMENTS)
def test_an_api_that_was_reached_once_is_never_taken_for_down(before, reached_at, after):
    """It may come back: each row's own attempts decide."""
    reach = Reach()
    for now in sorted(before):
        reach.failed(now)
    reach.reached(reached_at)
    assert not any(reach.failed(reached_at + later) for later in after)


@given(MOMENTS, st.floats(0, 61))
def test_somebody_was_reached_since_a_moment_or_not(moments, asked):
    """The newest connection tells; before the first there is none."""
    reach = Reach()
    assert not reach.is_since(0.0)
    for now in moments:
        reach.reached(now)
    assert reach.is_since(asked) == (moments[-1] >= asked)


def test_a_failed_connection_reaches_nobody():
    """However often it is tried."""
    reach = Reach()
    reach.failed(1.0)
    assert not reach.is_since(0.0)
