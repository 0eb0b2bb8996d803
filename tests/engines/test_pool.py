"""How long an item is waited for."""

from hypothesis import given
from hypothesis import strategies as st

from fetcher.engines.notes import Mark, Notes, Spot
from fetcher.engines.pool import LATE_S, LOOK_EVERY_S, Patience

SOON = st.floats(0.001, LATE_S)


def spot(since, item=0, record=-1):
    """What a worker is at, and since when."""
    return Spot(item, record, since)


@given(st.floats(0.01, 100.0), st.lists(SOON, max_size=50))
def test_who_goes_on_to_the_next_in_time_is_never_stopped(timeout_s, delays):
    """The limit holds for an item, and for a record that is told of, never for the company that it is in."""
    patience, now, since = Patience(timeout_s, 0.0), 0.0, 0.0
    for delay_s in delays:
        now += patience.until_look_s + delay_s
        since = max(since, now - 0.9 * timeout_s)
        assert not patience.is_over(spot(since), now)


@given(st.floats(0.01, 100.0), st.lists(SOON, min_size=1))
def test_who_stays_at_one_is_stopped_by_the_second_look_after_its_time(timeout_s, delays):
    """Whenever the parent comes to look: late by a little each time."""
    patience, now, turn = Patience(timeout_s, 0.0), 0.0, 0
    while now < timeout_s:
        assert not patience.is_over(spot(0.0), now) or now >= timeout_s
        now += patience.until_look_s + delays[turn % len(delays)] * 0.1
        turn += 1
    assert patience.is_over(spot(0.0), now)
    assert now < timeout_s + LOOK_EVERY_S + LATE_S


def test_p13_time_during_which_everybody_was_stopped_does_not_count():
    """SIGSTOP for ten minutes, then SIGCONT: whoever was at work has what was left of its time, and no longer."""
    patience = Patience(30.0, now=0.0)
    assert not any(patience.is_over(spot(0.0), second) for second in range(1, 11))
    assert not any(patience.is_over(spot(0.0), second) for second in range(611, 630))
    assert patience.is_over(spot(0.0), 631.0)


def test_time_that_one_was_stopped_is_not_given_to_the_next():
    """It was the other's."""
    patience = Patience(5.0, now=0.0)
    assert not patience.is_over(spot(0.0), 600.0)
    assert not any(patience.is_over(spot(600.0, item=1), second) for second in range(601, 605))
    assert patience.is_over(spot(600.0, item=1), 605.0)


def test_whoever_hangs_is_stopped_although_the_parent_is_always_late():
    """On a machine that is too busy to look in time, it takes longer, and not for ever."""
    patience = Patience(30.0, now=0.0)
    assert any(patience.is_over(spot(0.0), 5.0 * look) for look in range(1, 32))


def test_what_waits_to_begin_has_all_its_time():
    """A batch behind others is at nothing yet."""
    patience = Patience(5.0, now=0.0)
    assert not any(patience.is_over(None, second) for second in range(1, 100))
    assert not any(patience.is_over(spot(99.0), second) for second in range(100, 104))
    assert patience.is_over(spot(99.0), 104.0)


def test_a_note_says_where_its_worker_is():
    """Batch, item, record; the time begins anew with each."""
    notes = Notes(3)
    mark = Mark(notes, 1)
    assert notes.spot(7) is None
    mark.begin(7)
    mark.item(2)
    first = notes.spot(7)
    mark.record(41)
    then = notes.spot(7)
    assert first and then
    assert (first.item, first.record) == (2, -1)
    assert (then.item, then.record) == (2, 41)
    assert then.since > first.since
    mark.item(3)
    assert mark.record_at == -1
    mark.begin(8)
    assert notes.spot(7) is None
