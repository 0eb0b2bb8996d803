"""What a sick API is asked, and how soon one that is well again is asked as before: hours, on a virtual clock.

Each test prints the figures behind its claim: `pytest -rP tests/fetch/test_amplification.py`.
"""

import math

import pytest

from fetcher.fetch.breaker import TRIALS
from fetcher.fetch.budget import Budget
from tests.fetch.modelled import Answer, Terms, crowded, failing, run, saying, silent, slower, soon

ROWS = 10_000
FOR_EVER_S = 1e9
HALF_AN_HOUR_S = 1800.0


@pytest.mark.parametrize(("share", "most"), [(0.05, 1.06), (0.2, 1.3), (0.5, 1.3)])
def test_random_errors_cost_little_more_than_a_request_for_each(share, most):
    """At any share of errors; while it is up to a fifth, nearly every row is done in the same run."""
    seen = run(failing(share), ROWS)
    print(f"{share:.0%} errors: {seen.calls_per_row:.4f} requests a row, {dict(seen.ends)}")
    assert seen.calls_per_row <= most
    if share <= 0.2:
        assert seen.ends["done"] >= 0.999 * ROWS
        assert seen.fewest_slots(0, FOR_EVER_S) == 8


def test_a_fifth_of_errors_never_opens_the_breaker():
    """With and without it a run is the same, call by call."""
    assert run(failing(0.2), ROWS).calls == run(failing(0.2), ROWS, Terms(has_breaker=False)).calls


def test_n14_connections_that_break_and_stall_cost_a_third_more_at_most():
    """N14: a fifth of all calls fails, stalls or takes long, of each a third."""

    def toxic(asked):
        what = asked.chance.random()
        return Answer(503 if what < 0.067 else 200, 1e9 if what < 0.134 else 3.0 if what < 0.2 else soon(asked))

    seen = run(toxic, ROWS, Terms(timeout_s=5.0))
    print(f"N14: {seen.calls_per_row:.4f} requests a row, {seen.timeouts} timeouts, {dict(seen.ends)}")
    assert seen.calls_per_row <= 1.3
    assert seen.ends["done"] >= 0.9995 * ROWS


@pytest.mark.parametrize("begin_s", [0.0, 100.0])
def test_a_total_outage_costs_a_tenth_more_at_most(begin_s):
    """By the budget alone, which lets each row through once; with the breaker it costs a few probes."""
    alone = run(saying(503, begin_s, FOR_EVER_S), ROWS, Terms(has_breaker=False))
    both = run(saying(503, begin_s, FOR_EVER_S), ROWS)
    sent = sum(at >= begin_s for at in both.calls)
    print(
        f"outage from {begin_s:.0f} s: budget alone {alone.calls_per_row:.4f} requests a row; with the breaker {sent}"
    )
    assert alone.calls_per_row <= 1.1
    assert sent <= TRIALS + 8 + 200
    assert both.ends.total() == ROWS


def test_s02_a_run_that_begins_in_an_outage_ends_soon_and_a_later_one_completes():
    """S02 from its beginning: two minutes of probes, then every row is left to the next run."""
    budget = Budget()
    first = run(saying(503, 0, HALF_AN_HOUR_S), ROWS, budget=budget)
    later = run(saying(503, 0, 0), ROWS, budget=Budget.from_text(budget.as_text()))
    print(f"S02 from the beginning: {len(first.calls)} requests, over after {first.ended_s:.0f} s, then {later.ends}")
    assert first.ends["gave up"] == ROWS
    assert len(first.calls) <= 30
    assert first.ended_s <= 125
    assert later.ends["done"] == ROWS


@pytest.mark.parametrize(
    ("name", "api", "terms", "most"),
    [
        ("S02, 8 slots", saying(503, 60, 60 + HALF_AN_HOUR_S), Terms(20, 8), 150),
        ("S02, 100 slots", saying(503, 60, 60 + HALF_AN_HOUR_S), Terms(50, 100), 250),
        ("silence, 8 slots", silent(60, 60 + HALF_AN_HOUR_S), Terms(20, 8), 80),
        ("all 500, 8 slots", saying(500, 60, 60 + HALF_AN_HOUR_S), Terms(20, 8), 650),
    ],
    ids=["503", "503-100", "silence", "500"],
)
def test_s02_half_an_hour_of_outage_is_waited_out(name, api, terms, most):
    """Probes at most; and two minutes later the rate is what it was before, without the run being begun anew."""
    seen = run(api, int(terms.rate_per_s * 260), terms)
    end_s = 60 + HALF_AN_HOUR_S
    sent = sum(60 <= at < end_s for at in seen.calls)
    before, after = seen.done_per_s(20, 60), seen.done_per_s(end_s + 120, end_s + 150)
    rates = [seen.done_per_s(end_s + at, end_s + at + 5) for at in range(0, 150, 5)]
    back_s = next(5 * at for at, rate in enumerate(rates) if rate >= 0.9 * before)
    print(f"{name}: {sent} requests in the outage; {before:.1f}/s before, {after:.1f}/s from 2 min after")
    print(f"  90 % of the rate {back_s} s after its end, peak {max(rates) / before:.2f} times; {dict(seen.ends)}")
    assert sent <= most
    assert after >= 0.9 * before
    assert back_s <= 115
    assert seen.calls_per_row <= 1.1
    assert seen.ends["done"] == seen.ends.total() or "500" in name


@pytest.mark.parametrize("terms", [Terms(20, 8), Terms(100, 100), Terms(4, 8), Terms(1e6, 16)])
def test_s01_a_wave_of_429_without_a_hint_is_let_pass(terms):
    """S01: a tenth of the normal rate at most while it lasts, no peak over twice the rate after it, nothing lost."""
    seen = run(saying(429, 60, 120), int(min(160, terms.rate_per_s) * 170), terms)
    normal, wave, after = seen.asked_per_s(30, 60), seen.asked_per_s(60, 120), seen.asked_per_s(150, 160)
    peak = max(seen.asked_per_s(at, at + 1) for at in range(120, 160))
    print(
        f"S01: {normal:.1f}/s, {wave / normal:.2%} of it in the wave, peak {peak / after:.2f} times the rate after it"
    )
    assert wave <= 0.1 * normal
    assert peak <= 2 * after
    assert after >= 0.9 * normal
    assert seen.ends["done"] == seen.ends.total()


def test_an_outage_of_seconds_costs_seconds():
    """The first probes come soon; no row is given up."""
    seen = run(saying(503, 60, 63), 3000)
    again_s = min(at for at, status in seen.answers if at > 63.2 and status == 200)
    print(f"3 s of 503: asked {sum(60 <= at < 63 for at in seen.calls)} times meanwhile, well again at {again_s:.1f} s")
    assert again_s <= 63 + 4 + 0.2
    assert seen.ends["done"] == 3000


@pytest.mark.parametrize("terms", [Terms(20, 8), Terms(50, 100)])
def test_s11_slots_fall_with_an_api_that_becomes_slow_and_come_back(terms):
    """S11: ten times slower within two minutes, for two minutes; back at its rate two minutes after that."""
    seen = run(slower(0.3, 60, 120), int(terms.rate_per_s * 370), terms)
    before, after = seen.done_per_s(30, 60), seen.done_per_s(420, 430)
    fewest = seen.fewest_slots(60, 300)
    print(f"S11: {terms.concurrency} slots, {fewest} while slow; {before:.1f}/s before, {after:.1f}/s after")
    assert fewest <= terms.concurrency / 2
    assert seen.fewest_slots(420, 430) == terms.concurrency
    assert after >= 0.9 * before
    assert seen.timeouts == 0


def test_s11_slots_that_fall_spare_an_overloaded_api_its_timeouts():
    """S11, where it is our own calls that wait for one another: fewer at once do more."""
    fixed, adaptive = (run(crowded(100, 60, 300), 22_000, Terms(1e6, 100, 8.0, is_adaptive=on)) for on in (False, True))
    for name, seen in (("fixed", fixed), ("adaptive", adaptive)):
        print(f"S11 crowded, {name}: {seen.timeouts} timeouts, {seen.done_per_s(120, 300):.1f}/s, {dict(seen.ends)}")
    assert adaptive.timeouts <= fixed.timeouts / 4
    assert adaptive.done_per_s(120, 300) >= 1.5 * fixed.done_per_s(120, 300)
    assert adaptive.done_per_s(420, 430) >= 0.9 * adaptive.done_per_s(30, 60)


@pytest.mark.parametrize("spread", [0.5, 1.0])
def test_a_healthy_api_is_not_held_back(spread):
    """Log-normal latencies, a hundred slots, no rate: within 3 % of what fixed slots do."""

    def healthy(asked):
        return Answer(200, 0.2 * math.exp(asked.chance.gauss(0, spread)))

    fixed, adaptive = (run(healthy, 20_000, Terms(1e6, 100, is_adaptive=on)).ended_s for on in (False, True))
    print(f"healthy, spread {spread}: {fixed / adaptive:.3f} of the rate of fixed slots")
    assert adaptive <= fixed / 0.97


def test_planned_slow_answers_and_single_errors_hold_nothing_back():
    """As in the demo: an answer of three seconds now and then, and a 500."""

    def planned(asked):
        return Answer(
            500 if asked.row % 50 == 7 and asked.chance.random() < 0.7 else 200, 3.0 if asked.row % 10 == 3 else 0.01
        )

    seen = run(planned, 2000, Terms(20, 8))
    assert seen.fewest_slots(0, FOR_EVER_S) == 8
    assert seen.ends["done"] >= 1990


@pytest.mark.parametrize(
    ("name", "dead"), [("503", saying(503, 0, FOR_EVER_S)), ("refused", lambda _: Answer(502, 1e-3))]
)
def test_n15_a_dead_realm_is_tried_some_twenty_times(name, dead):
    """N15: a job asks one realm; others have jobs, and runs, of their own, which know nothing of it."""
    seen = run(dead, 3000)
    minute = sum(at < 60 for at in seen.calls)
    print(f"N15, {name}: {minute} calls in the first minute, {len(seen.calls)} in all")
    assert minute <= 20


@pytest.mark.parametrize("first", [0, 500])
def test_a_stretch_of_rows_that_cannot_be_answered_is_passed(first):
    """A hundred rows of 500, at the beginning or amid the table, look like an outage; every other row is done."""
    seen = run(lambda asked: Answer(500 if first <= asked.row < first + 100 else 200, soon(asked)), 2000)
    print(f"100 rows of 500: {len(seen.calls)} requests for 2000 rows in {seen.ended_s:.0f} s (100 s at best)")
    assert seen.ends == {"done": 1900, "gave up": 100}
    assert seen.ended_s <= 1200
