"""How long an item is waited for."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.engines.notes import LOADING, Mark, Notes, Spot
from fetcher.engines.patience import LATE_S, LOOK_EVERY_S, Died, Limits, Patience, Seen, Watch
from fetcher.errors import RunStopped

SOON = st.floats(0.001, LATE_S)


def spot(since, item=0, record=-1):
    """What a worker is at, and since when."""
    return Spot(item, record, since, pid=0)


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


def test_a_batch_whose_worker_is_gone_is_given_up_at_the_second_look():
    """The pool has until then to say how the worker ended."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    watch, seen = Watch(Limits(60.0), 0.0), Seen(Spot(0, -1, 0.0, gone.pid), is_taken=True)
    watch.look(seen, 1.0)
    with pytest.raises(Died):
        watch.look(seen, 2.0)


def test_a_batch_that_was_taken_up_and_never_begun_is_given_up():
    """By then any worker has begun; before, and while none has taken it, it is waited for."""
    watch = Watch(Limits(60.0, load_s=10.0), 0.0)
    for second in range(1, 100):
        watch.look(Seen(None), second)
    for second in range(100, 111):
        watch.look(Seen(None, is_taken=True), second)
    with pytest.raises(Died):
        watch.look(Seen(None, is_taken=True), 111.0)


def test_a_worker_that_is_never_ready_ends_the_run():
    """Whoever has begun is no reason for that, however long the others take."""
    watch, at_start = Watch(Limits(600.0, load_s=10.0), 0.0), Spot(0, -1, 0.0, 1)
    for second in range(1, 30):
        watch.look(Seen(Spot(0, -1, 0.0, os.getpid()), is_taken=True, at_start=at_start), second)
    for second in range(30, 32):
        with pytest.raises(RunStopped, match="not ready after 10 s"):
            watch.look(Seen(None, at_start=at_start), second)


def test_a_worker_that_died_at_its_start_is_waited_for_by_nobody():
    """Its note is still there."""
    notes = Notes(2)
    Mark(notes, 0).begin(LOADING)
    assert notes.at_start()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    notes.numbers[4] = gone.pid
    assert notes.at_start() is None
    Mark(notes, 1).begin(LOADING)
    assert notes.at_start()
