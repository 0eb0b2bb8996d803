"""The arithmetic of windows, weights and allowances, by a clock that is moved by hand."""

from datetime import UTC, date, datetime, time
from itertools import accumulate
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.fetch.calendars import EDGE_S, period_of, periods_of
from fetcher.fetch.windows import (
    AT_FIRST,
    AT_FIRST_S,
    FOR_EVER,
    LARGEST_DELAY,
    LONGEST_HOLD_S,
    STARTS_REMEMBERED,
    UNEVEN,
    Allowance,
    Pace,
    Start,
    Window,
    pace,
    window_of,
)
from fetcher.job.sections import Limits
from fetcher.job.units import CalendarRate, Rate

A_BIT_S = 1e-6
WEIGHTS = st.lists(st.tuples(st.integers(1, 5), st.floats(0, 4)), min_size=1, max_size=40)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Apia"])
MOMENTS = st.floats(0, 4e9)


def sent(windows, weights):
    """(when, weight) of starts that are made as soon as they may be, each after a pause, and answered at once."""
    now, made = 0.0, []
    for weight, pause_s in weights:
        now = max(now + pause_s, windows.ready_at(weight))
        start = windows.commit(now, weight)
        windows.left(start, now)
        windows.answered(start, now)
        made.append((now, weight))
    return made


@given(st.lists(st.builds(Rate, st.integers(5, 9), st.sampled_from([0.5, 2.0, 7.0])), min_size=1, max_size=3), WEIGHTS)
def test_no_window_holds_more_weight_than_its_rate(rates, weights):
    """A start that weighs three counts for three, in every window."""
    made = sent(pace(Limits(rate=rates, headroom=0.0, smooth=False)), weights)
    for rate in rates:
        for at, _ in made:
            within = sum(weight for when, weight in made if at <= when < at + rate.per_s - A_BIT_S)
            assert within <= rate.starts


@given(st.builds(Rate, st.integers(5, 9), st.sampled_from([0.5, 2.0])), WEIGHTS)
def test_a_start_that_fits_is_not_kept_waiting(rate, weights):
    """Where a start had to wait, an instant earlier would have been too much."""
    windows = pace(Limits(rate=(rate,), headroom=0.0, smooth=False))
    now = 0.0
    made: list[tuple[float, int]] = []
    for weight, pause_s in weights:
        asked = now + pause_s
        now = max(asked, windows.ready_at(weight))
        if now > asked:
            before = now - A_BIT_S
            assert weight + sum(w for when, w in made if when > before - rate.per_s) > rate.starts
        start = windows.commit(now, weight)
        windows.left(start, now)
        windows.answered(start, now)
        made.append((now, weight))


@given(st.integers(1, 5), st.integers(0, 9))
def test_what_an_answer_tells_of_its_cost_takes_the_place_of_what_was_thought(thought, told):
    """Settled upwards the next start waits; downwards there is room for more."""
    windows = pace(Limits(rate=("10/10 s",), headroom=0.0, smooth=False))
    start = windows.commit(0.0, thought)
    windows.answered(start, 0.0)
    windows.settle(start, told)
    assert windows.ready_at(10 - told) <= 0.0
    if told:
        assert windows.ready_at(10 - told + 1) == 10.0


def test_spacing_counts_starts_and_not_their_weight():
    """`spacing = "1 s"`: a start a second, whatever it weighs."""
    windows = pace(Limits(spacing="1 s", headroom=0.0))
    made = sent(windows, [(5, 0.0), (1, 0.0), (3, 0.2)])
    assert [at for at, _ in made] == [0.0, 1.0, 2.0]


def test_strict_spacing_counts_from_the_answer():
    """As a strict window does: nobody knows when before that it arrived."""
    windows = pace(Limits(spacing="1 s", headroom=0.0, strict=True))
    start = windows.commit(0.0)
    windows.left(start, 0.0)
    assert windows.ready_at() == FOR_EVER
    windows.answered(start, 5.0)
    assert windows.ready_at() == 6.0


@given(st.integers(0, 5), st.floats(1, 100))
def test_an_allowance_lets_so_many_starts_through_until_it_ends(remaining, until):
    """After the last of them nothing starts before `until`; then the declared limits alone rule."""
    windows = Pace([])
    windows.told(Allowance("daily", remaining, until))
    made = sent(windows, [(1, 0.0)] * (remaining + 3))
    assert sum(at < until for at, _ in made) == remaining
    assert [at for at, _ in made[remaining:]] == [until] * 3


@given(st.lists(st.tuples(st.integers(0, 3), st.floats(1, 100)), min_size=1))
def test_the_newest_word_by_a_name_rules(words):
    """Also when it allows more, or ends sooner; another name's stays."""
    windows = Pace([])
    windows.told(Allowance("other", 0, 50.0))
    for remaining, until in words:
        windows.told(Allowance("daily", remaining, until))
    remaining, until = words[-1]
    assert windows.ready_at() == max(50.0, until if remaining == 0 else 0.0)


@given(st.integers(1, 9), st.integers(0, 10**15))
def test_no_allowance_raises_a_declared_limit(starts, remaining):
    """A server may say what it likes."""
    windows = pace(Limits(rate=(Rate(starts, 10.0),), headroom=0.0, smooth=False))
    windows.told(Allowance("daily", remaining, 1e9))
    assert sum(at < 10.0 for at, _ in sent(windows, [(1, 0.0)] * 12)) <= starts


@given(st.integers(1, 9), st.floats(1, 10), st.lists(st.floats(0, 2), max_size=20), st.integers(1, 12))
def test_a_window_that_a_server_tells_of_holds_from_then_on_and_for_what_was_sent_before(quota, per_s, pauses, more):
    """However many starts came too fast before it was told, the next one waits until it fits; spaced or not."""
    windows = pace(Limits(headroom=0.0, smooth=False))
    before = [at for at, _ in sent(windows, [(1, pause_s) for pause_s in pauses])]
    told_at = max(before, default=0.0)
    windows.keep_to("told", window_of(Rate(quota, per_s), Limits(headroom=0.0, smooth=False)))
    for _ in range(more):
        told_at = max(told_at, windows.ready_at())
        windows.answered(windows.commit(told_at), told_at)
        before.append(told_at)
        assert sum(at > told_at - per_s + A_BIT_S for at in before) <= quota


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_the_newest_window_by_a_name_rules_and_none_raises_a_declared_limit(quotas):
    """A server that halves its rate is believed, and one that doubles it, too; the job's own rate stays."""
    windows = pace(Limits(rate=(Rate(5, 10.0),), headroom=0.0, smooth=False))
    for quota in quotas:
        windows.keep_to("told", window_of(Rate(quota, 10.0), Limits(headroom=0.0, smooth=False)))
    assert sum(at < 10.0 for at, _ in sent(windows, [(1, 0.0)] * 12)) == min(5, quotas[-1])


def test_a_window_that_a_server_tells_of_again_forgets_nothing():
    """It stands as it is, however many starts have been made in it."""
    limits = Limits(headroom=0.0, smooth=False)
    windows = pace(limits)
    for number in range(2 * STARTS_REMEMBERED):
        windows.keep_to("told", window_of(Rate(2 * STARTS_REMEMBERED, 100.0), limits))
        windows.answered(windows.commit(float(number > 0)), 1.0)
    windows.keep_to("told", window_of(Rate(2 * STARTS_REMEMBERED, 100.0), limits))
    assert windows.ready_at() == pytest.approx(100.0, abs=1.0)


def test_a_window_that_a_server_tells_of_counts_requests():
    """Whatever they weigh in the windows of the job."""
    windows = pace(Limits(headroom=0.0))
    told = window_of(Rate(2, 10.0), Limits(headroom=0.0), is_weighted=False)
    windows.keep_to("told", told)
    assert [at for at, _ in sent(windows, [(7, 0.0), (7, 0.0), (1, 0.0)])] == [0.0, 0.0, 10.0]


def test_a_window_that_others_overfilled_lets_nobody_in_before_its_time():
    """Another job of the realm may declare more than this one: every start counts all the same."""
    window = Window(Rate(3, 10.0), 0.0, is_smooth=False)
    others = Pace([window])
    for at in range(8):
        others.answered(others.commit(float(at)), float(at))
    assert window.ready_at(0.0) == 15.0


@given(st.sampled_from(["day", "month"]), ZONES, MOMENTS)
def test_a_period_ends_when_the_next_begins(unit, zone, moment):
    """At the end its name changes, not before; local midnight, also where clocks change."""
    rate = CalendarRate(1, unit)
    period = period_of(rate, zone, moment)
    assert moment < period.ends <= moment + (32 if unit == "month" else 1.2) * 86400
    assert period_of(rate, zone, period.ends - 0.001) == period
    following = period_of(rate, zone, period.ends)
    assert following.name != period.name
    local = datetime.fromtimestamp(period.ends, UTC).astimezone(ZoneInfo(zone))
    assert f"{local:%Y-%m-%d}" in following.name or f"{local:%Y-%m}" in following.name


@pytest.mark.parametrize(("day", "hours"), [((2024, 3, 31), 23), ((2024, 10, 27), 25), ((2024, 6, 1), 24)])
def test_days_on_which_clocks_change_have_their_own_length(day, hours):
    """23 and 25 hours in Berlin."""
    begins = datetime.combine(date(*day), time(), tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    assert period_of(CalendarRate(1, "day"), "Europe/Berlin", begins).ends - begins == hours * 3600


def test_a_start_at_midnight_counts_on_both_days():
    """It may arrive on either; and where two clocks differ by a day, on the day of each."""
    rate, midnight = CalendarRate(1, "day"), datetime(2024, 5, 2, tzinfo=UTC).timestamp()
    near = [period.name for period in periods_of(rate, "UTC", [midnight - EDGE_S / 2])]
    assert near == ["day 2024-05-01 UTC", "day 2024-05-02 UTC"]
    assert len(periods_of(rate, "UTC", [midnight + 60])) == 1
    assert len(periods_of(rate, "UTC", [midnight + 60, midnight + 60 - 86400])) == 2


def test_a_start_holds_the_next_back_by_what_is_known_of_its_way():
    """Not gone: for ever. Gone: for the longest way. Answered: for its own; without an answer, once it has ended."""
    windows = pace(Limits(rate=("1/10 s",), headroom=0.0))
    start = windows.commit(0.0)
    assert (start.has_left, start.round_trip_s, start.number) == (False, None, 1)
    assert windows.ready_at() == FOR_EVER
    windows.left(start, 2.0)
    assert start.has_left is True
    assert windows.ready_at() == 2.0 + 10.0 + LARGEST_DELAY * 10.0
    windows.answered(start, 2.5)
    assert windows.ready_at() == 12.5
    windows.ended(start, 60.0)
    assert (windows.ready_at(), list(windows.round_trips)) == (12.5, [0.5])
    lost = windows.commit(20.0)
    windows.left(lost, 20.0)
    windows.ended(lost, 20.25)
    assert windows.ready_at() == 30.25
    assert list(windows.round_trips) == [0.5]


@pytest.mark.parametrize("told", [Pace.left, Pace.answered, Pace.ended])
def test_even_starts_wait_for_the_first_to_leave(told):
    """Those who wait for the very first connection together would leave as one; from then on nobody waits for it."""
    windows = pace(Limits(rate=("100/s",), headroom=0.0))
    assert windows.ready_at() == float("-inf")
    first = windows.commit(5.0)
    assert windows.ready_at() == FOR_EVER
    told(windows, first, 5.5)
    second = windows.ready_at()
    assert second <= 5.01
    windows.commit(second)
    assert windows.ready_at() < FOR_EVER
    bunched = pace(Limits(rate=("100/s",), headroom=0.0, smooth=False))
    bunched.commit(5.0)
    assert bunched.ready_at() == float("-inf")


@given(st.lists(st.floats(0.0, 0.1), min_size=AT_FIRST, max_size=AT_FIRST))
def test_the_first_even_starts_keep_their_distance_from_when_those_before_have_left(connecting_s):
    """However long each took to open its connection; behind ten nobody looks at that any more."""
    windows = pace(Limits(rate=("100/s",), headroom=0.0))
    now = 5.0
    for took_s in connecting_s:
        start = windows.commit(now)
        windows.left_here(start, now + took_s)
        now = windows.ready_at()
        assert now >= start.at + 0.01 + AT_FIRST_S - 1e-9
    late = windows.commit(now)
    windows.left_here(late, now + 0.009)
    assert windows.ready_at() <= now + 0.01 + 1e-9


def test_starts_of_others_are_no_first_ones():
    """A process that has just begun would give way to each start of one that has not, and would never have a turn."""
    windows = pace(Limits(rate=("100/s",), headroom=0.0))
    windows.left(windows.commit(5.0), 5.0)
    assert windows.ready_at() <= 5.01 + 1e-9


def left_at(windows, ready_s):
    """When starts leave that are ready then (from now on, in order), one after the other, as a realm lets them."""
    now, left = float("-inf"), []
    for ready in ready_s:
        now = max(now, ready)
        start = windows.commit(now)
        now = max(now, min(windows.may_leave_at(start), ready + windows.longest_hold_s(start)))
        windows.let_go(start, now)
        windows.left_here(start, now)
        left.append(now)
    return left


@given(
    st.sampled_from([(1, 0.0), (40, 0.0), (60, 0.01), (300, 0.0), (2000, 0.05)]),
    st.lists(st.floats(0.0, 2.5), min_size=2, max_size=60),
)
def test_even_starts_leave_evenly_whenever_they_have_their_connections(given, gaps):
    """A leaky bucket that is emptied by one a spacing never has more than UNEVEN of one in it when the next comes. None
    is held for longer than that takes, and for a spacing or 20 ms at most; one that was may leave with the one before.
    """
    starts, headroom = given
    windows = pace(Limits(rate=(f"{starts}/s",), headroom=headroom, smooth=True))
    spacing = (1 + headroom) / starts
    ready_s = list(accumulate((gap * spacing for gap in gaps), initial=5.0))
    level, before = 0.0, 5.0
    for ready, left in zip(ready_s, left_at(windows, ready_s), strict=True):
        longest = ready + min(spacing, LONGEST_HOLD_S)
        level = max(0.0, level - (left - before) / spacing)
        assert ready <= left <= max(longest, before) + 1e-9
        assert level <= UNEVEN + 1e-6 or left >= longest - 1e-9
        if left > max(ready, before) + 1e-9:
            assert level >= UNEVEN - 1e-6 or left >= longest - 1e-9
        level, before = min(level, UNEVEN) + 1, left


def test_what_is_on_time_is_not_held():
    """Nor is one that is late by `CATCH_UP`; one right behind another is."""
    windows = pace(Limits(rate=("100/s",), headroom=0.0))
    assert left_at(windows, [5.0, 5.01, 5.024, 5.03, 5.03]) == pytest.approx([5.0, 5.01, 5.024, 5.03, 5.038])


def test_the_next_one_keeps_its_distance_from_when_a_start_has_left_indeed():
    """Between its turn and its first byte a process may be stopped for a while; a start of another changes nothing."""
    windows = pace(Limits(rate=("100/s",), headroom=0.0))
    held_up = windows.commit(5.0)
    windows.let_go(held_up, 5.0)
    windows.left_here(held_up, 5.009)
    other = windows.commit(5.01)
    windows.left(other, 5.01)
    assert windows.may_leave_at(other) == pytest.approx(5.013)


@given(st.integers(1, 20), st.integers(1, 20), st.booleans())
def test_what_a_start_weighs_indeed_is_what_the_next_one_keeps_its_distance_by(guess, cost, is_ours):
    """One of another process has not been looked at before it left; and a window that is not even holds nobody."""
    windows = pace(Limits(rate=("100/s", "6000/min"), headroom=0.0))
    windows.windows[1].is_smooth = False
    first, second = windows.commit(5.0), windows.commit(5.0, guess)
    windows.let_go(first, 5.0)
    if is_ours:
        windows.let_go(second, 5.0)
    windows.settle(second, cost)
    after = min(1, UNEVEN * guess) + cost if is_ours else 1
    assert windows.may_leave_at(Start(5.0)) == pytest.approx(5.0 + 0.01 * (after - UNEVEN))


def test_each_window_holds_by_its_own_weights():
    """One counts weights, one requests: the longer of both distances of each start would add up to less than either."""
    windows = pace(Limits(rate=("100/s",), headroom=0.0))
    windows.keep_to("told", Window(Rate(20, 3.0), 0.0, is_smooth=True, is_weighted=False))
    now = 5.0
    for weight in (20, 10) * 20:
        now = max(now, windows.ready_at(weight))
        start = windows.commit(now, weight)
        assert windows.may_leave_at(start) <= now + 1e-9
        windows.let_go(start, now)
        windows.left(start, now)


@pytest.mark.parametrize("rate", [(), ("100/s",)])
def test_only_even_starts_are_held(rate):
    windows = pace(Limits(rate=rate, headroom=0.0, smooth=False))
    assert left_at(windows, [5.0, 5.0, 5.0]) == [5.0, 5.0, 5.0]


def test_a_round_trip_is_compared_with_the_shortest_of_ten_or_more():
    """Fewer say nothing of the spread; of more than a hundred the oldest are forgotten."""
    windows = pace(Limits(rate=("10/10 s",), headroom=0.0, smooth=False))
    for number in range(9):
        windows.answered(windows.commit(0.0), 0.25 + number / 100)
    last = windows.commit(0.0)
    assert windows.ready_at() == 10.25
    windows.answered(last, 0.25)
    assert windows.ready_at() == 10.0
    for _ in range(100):
        windows.round_trips.append(0.5)
    assert windows.ready_at() == 10.0


@given(st.integers(1, 20), st.integers(1, 8), st.randoms(use_true_random=False))
def test_no_more_is_sent_than_a_server_tells_of_although_answers_overtake_each_other(allowed, at_once, chance):
    """It counts a request when it comes, its answers come in any order; what is allowed is sent in the end."""
    windows, sent = pace(Limits()), 0
    under_way: list[tuple[Start, int]] = []
    while True:
        if len(under_way) < at_once and windows.ready_at() <= 0.0:
            start = windows.commit(0.0)
            windows.left(start, 0.0)
            sent += 1
            under_way.append((start, allowed - sent))
            assert sent <= allowed or sent <= at_once  # nothing is known before the first answer
        elif under_way:
            start, remaining = under_way.pop(chance.randrange(len(under_way)))
            windows.answered(start, 0.0)
            windows.told(Allowance("requests", max(0, remaining), 9.0, start.number))
        else:
            break
    assert sent >= allowed


def test_a_start_is_in_doubt_until_its_answer_comes():
    """What remains may be for starts that left before the word came; each answer to one takes a doubt away."""
    windows = pace(Limits())
    first, second, third = (windows.commit(0.0) for _ in range(3))
    windows.answered(first, 0.0)
    windows.told(Allowance("requests", 2, 9.0, first.number))
    assert windows.ready_at() == 9.0
    windows.answered(second, 0.0)
    assert windows.ready_at() < 0.0
    windows.commit(0.0)
    assert windows.ready_at() == 9.0
    windows.answered(third, 0.0)
    assert windows.ready_at() < 0.0


def test_a_word_that_was_overtaken_is_none():
    """The answer to an earlier start comes late: neither what remains nor a wait that is kept goes by it."""
    windows = pace(Limits())
    assert windows.told(Allowance("day", 0, 9.0, start=2))
    assert not windows.told(Allowance("day", 5, 9.0, start=1))
    assert windows.ready_at() == 9.0
    assert windows.told(Allowance("day", 5, 9.0, start=3))
    assert windows.ready_at() < 0.0


@pytest.mark.parametrize("rate", ["100/s", "100/4 s"])
def test_even_starts_keep_to_what_requests_cost_not_to_what_was_guessed(rate):
    """Whoever guesses three times too high is as fast as who knows; whoever guesses too low is held back."""

    def third_start(guess: int, cost: int) -> float:
        windows = pace(Limits(rate=(rate,), headroom=0.0, smooth=True))
        now = 0.0
        for _ in range(2):
            now = max(now, windows.ready_at(guess))
            start = windows.commit(now, guess)
            windows.left(start, now)
            windows.ended(start, now + 0.001)
            windows.settle(start, cost)
        return windows.ready_at(guess)

    assert third_start(30, 10) == pytest.approx(third_start(10, 10))
    assert third_start(5, 10) == pytest.approx(third_start(10, 10))


def test_what_is_settled_later_counts_where_it_still_can():
    """Not in a window that has forgotten the start, nor in one that counts starts."""
    windows = pace(Limits(rate=("4/10 s",), spacing="1 s", headroom=0.0, smooth=False))
    old = windows.commit(0.0, 2)
    windows.ended(old, 0.0)
    new = windows.commit(5.0, 4)
    windows.ended(new, 5.0)
    window, spacing = windows.windows
    assert list(window.starts) == [new]
    windows.settle(old, 9)
    assert (window.held, spacing.held, old.weight) == (4, 1, 9)
    windows.settle(new, 1)
    assert (window.held, spacing.held, new.weight) == (1, 1, 1)
    assert windows.ready_at(3) == 6.0
    Window(Rate(1, 1.0), 0.0, is_smooth=False).reweigh(old, 3)
