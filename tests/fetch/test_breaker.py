"""A realm that fails is left alone but for single probes, and is asked as before once one of them is answered."""

import random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fetcher.fetch.breaker import (
    GOODS_AT_FIRST,
    LONGEST_PROBE_WAIT_S,
    LONGEST_WAIT_IF_BROKEN_S,
    PATIENCE_S,
    PATIENCE_UNPROVEN_S,
    STRAY_AFTER,
    STRAYS_MOST,
    TRIALS,
    Breaker,
    Call,
    Sign,
    State,
    sign_of,
)

ALWAYS, NEVER = float("-inf"), float("inf")
FAILURES = [Sign.BAD, Sign.BROKEN]


def breaker_of(seed=0, first_wait_s=0.5, longest_wait_s=60.0):
    """One that has seen nothing yet."""
    return Breaker(first_wait_s, longest_wait_s, random.Random(seed))


def called(breaker, sign, now):
    """A call that is over at once; returns it."""
    call = breaker.begin(now)
    breaker.ended(call, sign, now)
    return call


def opened(sign=Sign.BAD, is_proven=True, **settings):
    """A breaker that opened at 100 s; it had answered before, if `is_proven`."""
    breaker = breaker_of(**settings)
    if is_proven:
        called(breaker, Sign.GOOD, 0.0)
    while breaker.state is State.CLOSED:
        called(breaker, sign, 100.0)
    return breaker


class Realm(RuleBasedStateMachine):
    """Any calls, ended in any order and in any way, some of them hours later."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.breaker = breaker_of()
        self.open_calls = []
        self.since_good = 0

    @property
    def is_ready(self):
        return self.breaker.ready_at() <= self.now

    @rule(pause_s=st.sampled_from([0.0, 0.1, 1.0, 40.0, 4000.0]))
    def wait(self, pause_s):
        self.now += pause_s

    @precondition(lambda self: self.is_ready)
    @rule()
    def begin(self):
        was = self.breaker.state
        self.open_calls.append(self.breaker.begin(self.now))
        assert self.breaker.state is (State.CLOSED if was is State.CLOSED else State.HALF_OPEN)

    @precondition(lambda self: self.open_calls)
    @rule(sign=st.sampled_from(Sign), which=st.integers(0))
    def end(self, sign, which):
        call = self.open_calls.pop(which % len(self.open_calls))
        is_late = call.generation != self.breaker.generation
        before = (self.breaker.state, self.breaker.failures, self.breaker.ready_at())
        self.breaker.ended(call, sign, self.now)
        if is_late:
            assert (self.breaker.state, self.breaker.failures, self.breaker.ready_at()) == before
        elif sign is Sign.GOOD:
            assert self.breaker.state is State.CLOSED
            assert self.breaker.failures == 0
        elif sign is Sign.STOP:
            assert self.breaker.state is State.OPEN
            assert self.breaker.ready_at() > self.now

    @invariant()
    def only_one_call_at_a_time_gets_through_a_breaker_that_has_opened(self):
        if self.breaker.state is not State.CLOSED:
            mine = [call for call in self.open_calls if call.generation == self.breaker.generation]
            assert len(mine) == (self.breaker.state is State.HALF_OPEN)

    @invariant()
    def somebody_can_always_go_on(self):
        """A wait without end is for the end of a call that is still under way."""
        if self.breaker.ready_at() == NEVER:
            assert self.breaker.under_way > 0
            assert any(call.generation == self.breaker.generation for call in self.open_calls)
        else:
            assert self.breaker.ready_at() <= self.now + LONGEST_PROBE_WAIT_S

    @invariant()
    def calls_under_way_are_counted(self):
        mine = [call for call in self.open_calls if call.generation == self.breaker.generation]
        assert self.breaker.under_way == len(mine)

    @invariant()
    def few_failures_leave_it_closed(self):
        if self.breaker.state is State.CLOSED:
            assert self.breaker.failures < TRIALS


TestRealm = Realm.TestCase


@given(st.lists(st.sampled_from([*FAILURES, Sign.NONE]), min_size=TRIALS), st.integers(1, 200))
def test_a_realm_that_was_never_well_gets_few_calls(signs, at_once):
    """No more than the trials, or those that were under way when the first failed, until it has opened."""
    breaker = breaker_of()
    calls: list[Call] = []
    for sign in signs:
        while len(calls) < at_once and breaker.ready_at() == ALWAYS:
            calls.append(breaker.begin(0.0))
        assert breaker.failures + len(calls) <= max(TRIALS, at_once)
        breaker.ended(calls.pop(), sign, 0.0)
        if breaker.state is not State.CLOSED:
            break
    assert (breaker.state is State.OPEN) == (sum(sign is not Sign.NONE for sign in signs) >= TRIALS)


@given(st.lists(st.lists(st.sampled_from(FAILURES), max_size=TRIALS - 1), max_size=20))
def test_a_good_answer_in_every_twelve_keeps_it_closed(stretches):
    """What counts is failures in a row, not their share."""
    breaker = breaker_of()
    for stretch in stretches:
        for sign in [*stretch, Sign.GOOD]:
            assert breaker.ready_at() == ALWAYS
            called(breaker, sign, 0.0)
    assert breaker.state is State.CLOSED


def test_a_realm_that_is_well_has_as_many_calls_under_way_as_it_likes():
    """The trials bind only where there is doubt."""
    breaker = breaker_of()
    called(breaker, Sign.GOOD, 0.0)
    calls = [breaker.begin(0.0) for _ in range(100)]
    for call in calls[:4]:
        breaker.ended(call, Sign.BAD, 1.0)
    assert breaker.ready_at() == ALWAYS
    breaker.ended(calls[4], Sign.BAD, 1.0)
    assert breaker.ready_at() == NEVER
    breaker.ended(calls[5], Sign.GOOD, 1.0)
    assert breaker.ready_at() == ALWAYS


@given(st.integers(), st.floats(0.001, 10), st.floats(0.001, 600), st.sampled_from(FAILURES))
def test_probes_come_at_growing_intervals(seed, first_s, longest_s, sign):
    """Each between half of a step and all of it; the step doubles up to the longest."""
    breaker = opened(sign, seed=seed, first_wait_s=first_s, longest_wait_s=longest_s)
    cap_s = LONGEST_PROBE_WAIT_S if sign is Sign.BAD else LONGEST_WAIT_IF_BROKEN_S
    now = 100.0
    for failed in range(20):
        wait_s = breaker.ready_at() - now
        step_s = min(longest_s, cap_s, first_s * 2.0**failed)
        assert step_s / 2 - 1e-9 <= wait_s <= step_s + 1e-9
        now = breaker.ready_at()
        called(breaker, sign, now)


def test_probes_are_spread_by_chance():
    """Clients that saw the same outage begin do not return together."""
    waits = [opened(seed=seed, first_wait_s=8.0).ready_at() - 100.0 for seed in range(1000)]
    eighths = [int((wait_s - 4) * 2) for wait_s in waits]
    assert min(eighths.count(part) for part in range(8)) > 80


def test_a_stop_opens_at_once():
    """A 429 that does not say when needs no second."""
    breaker = breaker_of()
    called(breaker, Sign.GOOD, 0.0)
    called(breaker, Sign.STOP, 1.0)
    assert breaker.state is State.OPEN
    assert 1.25 <= breaker.ready_at() <= 1.5


def test_a_stop_among_many_good_answers_is_a_short_one():
    """One request came a moment early: a fiftieth of the wait. A probe that is refused too waits as ever."""
    breaker = breaker_of()
    for _ in range(2 * STRAY_AFTER):
        called(breaker, Sign.GOOD, 0.0)
    called(breaker, Sign.STOP, 1.0)
    assert breaker.state is State.OPEN
    assert 1.005 <= breaker.ready_at() <= 1.01
    called(breaker, Sign.STOP, 2.0)
    assert 2.5 <= breaker.ready_at() <= 3.0


@given(st.integers(0, 8 * STRAY_AFTER))
def test_as_many_stops_are_strays_as_there_were_hundreds_of_good_answers(goods):
    """Up to five at once. An API that allows less than the job says is asked less."""
    breaker = breaker_of()
    for _ in range(goods):
        called(breaker, Sign.GOOD, 0.0)
    strays = 0
    for now in range(1, 20):
        called(breaker, Sign.STOP, float(now))
        if breaker.ready_at() > now + 0.01:
            break
        strays += 1
        called(breaker, Sign.GOOD, breaker.ready_at())
    least = min((goods + STRAY_AFTER - GOODS_AT_FIRST) // STRAY_AFTER, STRAYS_MOST)
    assert least <= strays <= min(least + 1, STRAYS_MOST)  # answered probes are good answers, too
    assert breaker.ready_at() >= now + 0.25


def test_an_answered_probe_closes_it():
    """And everything is as if nothing had been."""
    breaker = opened()
    for _ in range(5):
        called(breaker, Sign.BAD, breaker.ready_at())
    seen = [breaker.state]
    now = breaker.ready_at()
    probe = breaker.begin(now)
    seen.append(breaker.state)
    assert breaker.ready_at() == NEVER
    breaker.ended(probe, Sign.GOOD, now + 1)
    seen.append(breaker.state)
    assert seen == [State.OPEN, State.HALF_OPEN, State.CLOSED]
    assert breaker.ready_at() == ALWAYS
    for failed in range(TRIALS):
        assert breaker.failures == failed
        called(breaker, Sign.BAD, now + 2)
    assert now + 2.25 <= breaker.ready_at() <= now + 2.5


def test_a_probe_that_told_nothing_leaves_its_turn_to_the_next():
    """Its row was dropped, or was never sent: the wait is over all the same."""
    breaker = opened()
    now = breaker.ready_at()
    called(breaker, Sign.NONE, now)
    assert breaker.state is State.OPEN
    assert breaker.ready_at() == now
    assert breaker.failed_probes == 0


@given(st.sampled_from(Sign))
def test_calls_from_before_it_opened_change_nothing(sign):
    """A timeout that ends half a minute late neither closes it nor opens it again."""
    breaker = breaker_of()
    called(breaker, Sign.GOOD, 0.0)
    late = breaker.begin(50.0)
    for _ in range(TRIALS):
        called(breaker, Sign.BAD, 100.0)
    due_at = breaker.ready_at()
    breaker.ended(late, sign, 100.1)
    assert (breaker.state, breaker.ready_at()) == (State.OPEN, due_at)


@given(st.booleans(), st.sampled_from([Sign.BAD, Sign.BROKEN, Sign.STOP]))
def test_patience_depends_on_whether_somebody_is_there(is_proven, sign):
    """Long for a realm that has answered, short for one that has never."""
    breaker = opened(sign, is_proven)
    is_there = is_proven or sign is not Sign.BAD
    assert breaker.hopeless_at() == 100.0 + (PATIENCE_S if is_there else PATIENCE_UNPROVEN_S)


@given(st.integers(0, 30))
def test_failed_probes_do_not_renew_patience(probes):
    """It is counted from when the breaker opened; one that is closed is never hopeless."""
    breaker = opened()
    hopeless_at = breaker.hopeless_at()
    for _ in range(probes):
        called(breaker, Sign.BAD, breaker.ready_at())
    assert breaker.hopeless_at() == hopeless_at
    called(breaker, Sign.GOOD, breaker.ready_at())
    assert breaker.hopeless_at() == NEVER


@given(st.integers(100, 599), st.one_of(st.none(), st.floats(0, 100)))
def test_only_what_speaks_against_the_server_counts_against_it(status, hint_s):
    """An answer is an answer, a 404 too, and a 429 that says when to come back."""
    assume(status < 500 and not (status == 429 and hint_s is None))
    assert sign_of(status, hint_s) is Sign.GOOD


@pytest.mark.parametrize(
    ("status", "hint_s", "sign"),
    [
        *((status, hint_s, Sign.BAD) for status in (502, 503, 504, 520, 524, 529, 599) for hint_s in (None, 5.0)),
        (500, None, Sign.BROKEN),
        (501, None, Sign.GOOD),
        (505, None, Sign.GOOD),
        (429, None, Sign.STOP),
        (429, 0.0, Sign.GOOD),
    ],
)
def test_a_status_says_how_the_server_is(status, hint_s, sign):
    """Down, failing, overrun, or well enough to refuse."""
    assert sign_of(status, hint_s) is sign
