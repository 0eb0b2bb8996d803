"""What is cheaper done here, and what in a worker."""

from hypothesis import given
from hypothesis import strategies as st

from fetcher.engines.scales import (
    HOP_S,
    HOP_S_PER_BYTE,
    LEAST_S,
    LONGEST_S,
    REMEMBERED,
    SHAPED_S_PER_BYTE,
    THREADS_S,
    THREADS_S_PER_BYTE,
    Scales,
)

SIZES = st.integers(1, 100_000_000)
COSTS = st.floats(1e-10, 1e-4)


def weighed(s_per_byte, hop=1.0):
    """Scales that have seen so much work that nothing is left of what they knew at first."""
    scales = Scales()
    for _ in range(100):
        scales.worked(REMEMBERED, REMEMBERED * s_per_byte)
        usual_s = 10 * THREADS_S + REMEMBERED * THREADS_S_PER_BYTE
        scales.hopped(10, REMEMBERED, hop * usual_s)
    return scales


@given(COSTS, SIZES, st.floats(0.1, 100.0))
def test_work_that_would_hold_the_loop_goes_out(s_per_byte, size, hop):
    """Whatever the hop costs; and work that is over at once never does."""
    scales = weighed(s_per_byte, hop)
    if size * s_per_byte > 1.001 * LONGEST_S:
        assert not scales.is_light(size)
    if size * s_per_byte < 0.999 * LEAST_S:
        assert scales.is_light(size)


@given(COSTS, SIZES)
def test_work_in_between_goes_out_where_it_is_worth_the_hop(s_per_byte, size):
    """A dear hop keeps more here, a cheap one less."""
    work_s = size * s_per_byte
    worth = work_s / (HOP_S + size * HOP_S_PER_BYTE)
    if LEAST_S < work_s < LONGEST_S:
        assert weighed(s_per_byte, hop=worth).is_light(size)
        assert not weighed(s_per_byte, hop=0.3 * worth).is_light(size)


def test_what_is_known_at_first_is_what_was_measured():
    """JSON as it is stays here up to some sixty kilobytes, JSON that is taken apart up to five."""
    assert Scales().is_light(55_000)
    assert not Scales().is_light(75_000)
    assert Scales(SHAPED_S_PER_BYTE).is_light(4_500)
    assert not Scales(SHAPED_S_PER_BYTE).is_light(5_500)


def test_one_odd_answer_does_not_decide_for_all_that_follow():
    """What went out tells of its cost too, so the way back is open."""
    scales = Scales()
    scales.worked(20_000, 0.5)
    assert not scales.is_light(20_000)
    for _ in range(2000):
        scales.worked(20_000, 20_000 * 10e-9)
    assert scales.is_light(20_000)


def test_work_that_turns_out_dear_goes_out():
    """A format that takes longer than JSON is known after a few answers."""
    scales = Scales()
    assert scales.is_light(10_000)
    for _ in range(20):
        scales.worked(10_000, 10_000 * 200e-9)
    assert not scales.is_light(10_000)
