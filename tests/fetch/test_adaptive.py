"""Slots fall where answers become slow or fail, and come back where they do not."""

import random
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.fetch.adaptive import COMES_BACK_S, Adaptive
from fetcher.fetch.breaker import Breaker
from fetcher.fetch.health import Health

DECLARED = st.integers(1, 200)
LATENCIES_S = st.sampled_from([None, 0.1, 0.3, 2.0, 60.0])


@dataclass
class End:
    """How long after the last one a call ended, how long before that it began, what it took unless it failed."""

    pause_s: float
    age_s: float
    latency_s: float | None


ENDS = st.lists(
    st.tuples(
        st.builds(End, st.sampled_from([0.05, 0.5, 30.0, 4000.0, 0.0]), st.sampled_from([0.0, 0.1, 60.0]), LATENCIES_S),
        st.integers(1, 60),
    ),
    max_size=20,
).map(lambda stretches: [end for end, times in stretches for _ in range(times)])


def tell(adaptive, ends, now=0.0):
    """Tell of the ends; yields (the end, slots in use before it, after it)."""
    for end in ends:
        now += end.pause_s
        before = adaptive.limit
        adaptive.ended(now - end.age_s, end.latency_s, now)
        yield end, before, adaptive.limit


def steadily(adaptive, latency_s, begin_s, end_s, failed_share=0.0):
    """An API that always takes so long, asked by every slot in use all the time; returns the (time, slots)."""
    begin_s = begin_s if adaptive.told_at == float("inf") else max(begin_s, adaptive.told_at)
    chance, now, seen = random.Random(0), begin_s, []
    while now < end_s:
        now += (latency_s or 0.1) / adaptive.slots
        adaptive.ended(now - latency_s, None if chance.random() < failed_share else latency_s, now)
        seen.append((now, adaptive.slots))
    return seen


def first_full(adaptive, seen):
    """When all slots were in use again."""
    return next(now for now, slots in seen if slots == adaptive.declared)


@given(DECLARED, ENDS)
def test_slots_stay_between_one_and_what_is_declared(declared, ends):
    """Whatever is seen."""
    adaptive = Adaptive(declared)
    assert adaptive.slots == declared
    for _ in tell(adaptive, ends):
        assert 1 <= adaptive.slots <= declared


@given(DECLARED, ENDS)
def test_slots_never_rise_at_a_failed_call(declared, ends):
    """Only a good answer can raise them."""
    for end, before, after in tell(Adaptive(declared), ends):
        assert end.latency_s is not None or after <= before


@given(st.integers(2, 100))
def test_slots_do_not_rise_while_more_fails_than_usual(declared):
    """Good answers come, but among more failures than at the best of times: the slots stay where they are."""
    adaptive = Adaptive(declared)
    steadily(adaptive, 0.1, 0.0, 10.0)
    steadily(adaptive, 0.1, 10.0, 40.0, failed_share=1.0)
    for number in range(300):
        now = 40.0 + number / 10
        adaptive.ended(now - 0.1, None if number % 8 < 3 else 0.1, now)
        assert adaptive.slots == 1


@given(st.integers(2, 200), ENDS)
def test_slots_rise_no_faster_than_over_a_minute(declared, ends):
    """However many answers come at once; an hour without any counts for ten seconds."""
    adaptive = Adaptive(declared)
    for end, before, after in tell(adaptive, ends):
        assert after - before <= declared * min(end.pause_s, 10.0) / COMES_BACK_S + 1e-6


@given(DECLARED, ENDS)
def test_no_call_takes_more_than_half_of_the_slots(declared, ends):
    """However slow or broken the API has become: the next block shows whether that was enough."""
    for _, before, after in tell(Adaptive(declared), ends):
        assert after >= before / 2


@given(st.integers(3, 100))
def test_slowness_takes_less_than_a_third_of_the_slots_at_a_time(declared):
    """It may be the API's own; failures are not."""
    adaptive = Adaptive(declared)
    steadily(adaptive, 0.1, 0.0, 10.0)
    limits = [declared, *dict.fromkeys(after for _, _, after in tell(adaptive, [End(0.1, 9.0, 9.0)] * 2000, 20.0))]
    assert min(limits) < declared / 2
    assert all(after >= 0.69 * before for before, after in pairwise(limits))


@pytest.mark.parametrize(("declared", "calls"), [(1, None), (2, 10), (4, 20), (8, 40), (20, 40), (50, 100)])
def test_slots_are_judged_by_calls_enough(declared, calls):
    """Some of each slot, enough for a median where there are slots enough, and few where there are few."""
    adaptive = Adaptive(declared)
    seen = []
    for number in range(300):
        seen.append(adaptive.slots)
        adaptive.ended(number, None, number)
    assert next((number for number, slots in enumerate(seen) if slots < declared), None) == calls


def test_one_fast_answer_among_failures_is_not_the_best():
    """What comes later is compared with what many answers took."""
    adaptive = Adaptive(8)
    steadily(adaptive, 0.5, 0.0, 30.0)
    for number in range(400):
        now = 31.0 + number / 10
        adaptive.ended(now, 0.001 if number % 40 == 7 else None, now)
    assert adaptive.slots == 1
    assert first_full(adaptive, steadily(adaptive, 0.5, 72.0, 192.0)) <= 192.0


@given(st.floats(11, 1e5))
def test_a_pause_raises_nothing_by_itself(pause_s):
    """An hour in which nothing was asked counts for ten seconds: a sixth of the slots."""
    adaptive = Adaptive(60)
    steadily(adaptive, 0.1, 0.0, 10.0)
    steadily(adaptive, 0.1, 10.0, 40.0, failed_share=1.0)
    while adaptive.limit < 2:
        steadily(adaptive, 0.1, 0.0, adaptive.told_at + 0.1)
    before, now = adaptive.limit, adaptive.told_at + pause_s
    adaptive.ended(now - 0.1, 0.1, now)
    assert adaptive.limit == pytest.approx(before + 10)


@given(DECLARED, ENDS)
def test_one_key_turns_it_off(declared, ends):
    """Then all slots are in use, whatever is seen."""
    adaptive = Adaptive(declared, is_on=False)
    for _ in tell(adaptive, [*ends, *[End(0.1, 0.0, None)] * 200]):
        assert adaptive.slots == declared


@given(st.integers(2, 40), st.floats(0.05, 5), st.floats(6, 50))
def test_slots_fall_where_answers_become_slow(declared, usual_s, factor):
    """To the share that is still well, and not below it; at any size and speed."""
    adaptive = Adaptive(declared)
    steadily(adaptive, usual_s, 0.0, 400 * usual_s)
    seen = steadily(adaptive, factor * usual_s, 400 * usual_s, 400 * usual_s + 60 * factor * usual_s)
    fewest = min(slots for _, slots in seen)
    assert fewest < declared
    assert fewest >= max(1, int(declared * 2.0 / factor))


@given(st.integers(2, 30), st.floats(0.2, 2), st.floats(4, 30))
def test_slots_come_back_within_two_minutes(declared, usual_s, factor):
    """Once answers take as long as before they became slow."""
    adaptive = Adaptive(declared)
    steadily(adaptive, usual_s, 0.0, 60.0)
    steadily(adaptive, factor * usual_s, 60.0, 300.0)
    seen = steadily(adaptive, usual_s, 300.0, 420.0)
    assert first_full(adaptive, seen) <= 420.0


@given(st.integers(1, 100), st.floats(0.001, 30))
def test_an_api_that_is_always_slow_is_not_slowed_down(declared, usual_s):
    """It is as fast as it gets: what counts is the rise."""
    adaptive = Adaptive(declared)
    assert {slots for _, slots in steadily(adaptive, usual_s, 0.0, 200 * usual_s)} == {declared}


@pytest.mark.parametrize("declared", [4, 8, 50])
@pytest.mark.parametrize("fast_share", [0.1, 0.2, 0.4, 0.5, 0.6, 0.8, 0.9])
def test_an_api_that_is_fast_or_slow_by_chance_is_not_slowed_down(declared, fast_share):
    """A cache on its side has half of the answers, say: there is no rise, whichever way the median falls."""
    adaptive, chance, now, held = Adaptive(declared), random.Random(0), 0.0, 0.0
    for _ in range(5000):
        latency_s = 0.02 if chance.random() < fast_share else 0.5
        now += latency_s / adaptive.slots
        adaptive.ended(now - latency_s, latency_s, now)
        held += adaptive.slots / declared
    assert held / 5000 >= 0.95


@given(st.lists(st.integers(1, 60), min_size=1), st.booleans())
def test_the_newest_cap_of_the_server_rules(caps, is_on):
    """Never above what the job declares; a cap that is lifted is forgotten within two minutes."""
    health = Health(Breaker(1.0, 60.0, random.Random(0)), Adaptive(20, is_on))
    for cap in caps:
        health.cap(cap)
        assert 1 <= health.adaptive.slots <= min(20, cap)
    health.cap(20)
    steadily(health.adaptive, 0.1, 0.0, 120.0)
    assert health.adaptive.slots == 20


def test_an_api_that_has_become_slow_for_good_is_forgiven():
    """Within a quarter of an hour for ten times as slow: the best is forgotten slowly."""
    adaptive = Adaptive(8)
    steadily(adaptive, 0.5, 0.0, 60.0)
    seen = steadily(adaptive, 5.0, 60.0, 1200.0)
    assert min(slots for _, slots in seen) <= 3
    assert first_full(adaptive, [(now, slots) for now, slots in seen if now > 120]) <= 960.0


def test_an_api_that_fails_a_third_of_its_calls_for_good_is_forgiven():
    """Within five minutes: that, too, is as good as it gets."""
    adaptive = Adaptive(8)
    steadily(adaptive, 0.1, 0.0, 10.0)
    steadily(adaptive, 0.1, 10.0, 40.0, failed_share=1.0)
    assert adaptive.slots == 1
    assert first_full(adaptive, steadily(adaptive, 0.1, 40.0, 340.0, failed_share=1 / 3)) > 70.0


def test_a_pause_does_not_forget_the_best():
    """An API that comes back slow from an outage of an hour is slow."""
    adaptive = Adaptive(8)
    steadily(adaptive, 0.3, 0.0, 60.0)
    assert min(slots for _, slots in steadily(adaptive, 3.0, 3660.0, 3760.0)) < 4


def test_slots_fall_where_most_calls_fail():
    """By half, block after block, down to one."""
    adaptive = Adaptive(64)
    steadily(adaptive, 0.1, 0.0, 10.0)
    seen = [slots for _, slots in steadily(adaptive, 0.1, 10.0, 30.0, failed_share=1.0)]
    assert sorted(set(seen), reverse=True) == [64, 32, 16, 8, 4, 2, 1]


@given(st.integers(1, 100), st.floats(0.01, 5), st.integers(0, 4))
def test_single_errors_leave_the_slots_alone(declared, usual_s, which):
    """Every fifth call may fail."""
    adaptive, now = Adaptive(declared), 0.0
    for number in range(1000):
        now += usual_s / declared
        adaptive.ended(now - usual_s, None if number % 5 == which else usual_s, now)
        assert adaptive.slots == declared


@given(st.integers(1, 100), st.integers(0, 4))
def test_single_slow_answers_leave_the_slots_alone(declared, which):
    """A fast API with an answer of three seconds in every five is fast."""
    adaptive, now = Adaptive(declared), 0.0
    for number in range(1000):
        now += 0.05
        latency_s = 3.0 if number % 5 == which else 0.01
        adaptive.ended(now - latency_s, latency_s, now)
        assert adaptive.slots == declared


@given(st.integers(2, 20), st.floats(0.001, 0.01))
def test_hundredths_of_a_second_are_no_slowness(declared, usual_s):
    """Our own loop may be late by as much, while it parses."""
    adaptive = Adaptive(declared)
    steadily(adaptive, usual_s, 0.0, 100 * usual_s)
    assert {slots for _, slots in steadily(adaptive, 0.05, 1.0, 5.0)} == {declared}


@given(st.integers(1, 50), st.integers(0, 999))
def test_a_hiccup_of_a_fast_api_leaves_the_slots_alone(declared, begin):
    """Three hundred answers in a row of which each took a second: they all came in a third of one."""
    adaptive = Adaptive(declared)
    for number in range(3000):
        now = number / 1000
        latency_s = 1.0 if 1000 + begin <= number < 1300 + begin else 0.01
        adaptive.ended(now - latency_s, latency_s, now)
        assert adaptive.slots == declared


def test_a_fall_is_judged_by_the_calls_that_began_after_it():
    """What was under way with more slots in use tells nothing of fewer."""
    adaptive, now = Adaptive(100), 0.0
    while adaptive.slots == 100:
        now += 0.1
        adaptive.ended(now - 0.1, None, now)
    for late in range(1000):
        adaptive.ended(now - 0.1, None, now + late)
    assert adaptive.slots == 50


def test_timeouts_are_slow_answers():
    """With slow ones they are the many calls by which an API is slow; errors that came at once are not."""
    adaptives = Adaptive(8), Adaptive(8)
    for adaptive, failed_after_s in zip(adaptives, (30.0, 0.1), strict=True):
        steadily(adaptive, 0.1, 0.0, 30.0)
        for number in range(200):
            now = 61.0 + number / 10
            age_s, latency_s = [(failed_after_s, None), (5.0, 5.0), (0.1, 0.1)][
                (0, 1, 2, 0, 1, 1, 0, 1, 2, 0, 1)[number % 11]
            ]
            adaptive.ended(now - age_s, latency_s, now)
    assert [adaptive.slots < 8 for adaptive in adaptives] == [True, False]
