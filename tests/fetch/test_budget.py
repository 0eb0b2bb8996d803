"""Retries come out of one budget, which an API that fails for everybody empties."""

import random

from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import GaveUp, Parked
from fetcher.fetch.budget import FULL_TENTHS, Budget
from fetcher.fetch.retries import AttemptFailed, Retries
from fetcher.job import sections
from fetcher.model import Response
from fetcher.testing.clock import VirtualClock, run_virtual

GOOD = Response(200, (), b"{}", 0.0)
BUDGETS = st.builds(Budget, st.integers(0, FULL_TENTHS))
EVENTS = st.lists(st.sampled_from(["take", "retry succeeded", "first succeeded"]), max_size=300)


def told(budget, events):
    """How many retries were allowed, after telling the budget of events."""
    allowed = 0
    for event in events:
        if event == "take":
            allowed += budget.take()
        else:
            budget.succeeded(was_retry=event == "retry succeeded")
    return allowed


def tried(budget, failures, attempts=5, hint_s=None):
    """The requests that one row sent, each of the first `failures` of them failing, and how it ended."""
    sent = 0

    async def attempt():
        nonlocal sent
        sent += 1
        if sent <= failures:
            raise AttemptFailed("HTTP 503", hint_s)
        return GOOD

    async def story():
        settings = sections.Retries(attempts=attempts)
        try:
            return await Retries(settings, random.Random(0), clock.now, budget=budget).run(attempt)
        except (GaveUp, Parked) as error:
            return error

    clock = VirtualClock()
    ended = run_virtual(story(), clock)
    return sent, ended


def test_a_new_job_has_a_hundred_retries():
    """And not one more, where nothing succeeds."""
    budget = Budget()
    assert [budget.take() for _ in range(101)] == [True] * 100 + [False]


@given(BUDGETS, EVENTS)
def test_a_budget_stays_between_nothing_and_full(budget, events):
    """Whatever happens, and in whatever order."""
    for event in events:
        told(budget, [event])
        assert 0 <= budget.tenths <= FULL_TENTHS


@given(st.lists(st.sampled_from(["retry succeeded", "first succeeded"])))
def test_what_goes_well_does_not_save_up(events):
    """A year of good answers buys no more than a hundred retries."""
    budget = Budget()
    told(budget, events)
    assert budget == Budget()


@given(BUDGETS)
def test_the_success_of_a_retry_gives_it_back(budget):
    """So an API that fails now and then never runs out."""
    before = budget.tenths
    if budget.take():
        budget.succeeded(was_retry=True)
    assert budget.tenths == before


@given(st.integers(0, 100))
def test_ten_successes_make_one_retry(successes):
    """Exactly: no tenth is lost to rounding."""
    budget = Budget(0)
    told(budget, ["first succeeded"] * successes)
    assert told(budget, ["take"] * 20) == successes // 10


@given(BUDGETS, EVENTS)
def test_no_more_is_retried_than_was_there_and_was_earned(budget, events):
    """The bound on what a sick API is asked on top of one request for each row."""
    earned = 10 * events.count("retry succeeded") + events.count("first succeeded")
    before = budget.tenths
    assert 10 * told(budget, events) <= before + earned


@given(BUDGETS, EVENTS)
def test_a_budget_goes_on_in_the_next_run(budget, events):
    """What was kept of it behaves as it would have."""
    kept = Budget.from_text(budget.as_text())
    assert told(kept, events) == told(budget, events)
    assert kept == budget


@given(st.one_of(st.none(), st.text(), st.integers().map(str)))
def test_what_was_kept_is_never_more_than_full(text):
    """Nor is a run refused for it: what cannot be read is as if nothing had been kept."""
    assert 0 <= Budget.from_text(text).tenths <= FULL_TENTHS


def test_what_cannot_be_read_is_a_full_budget():
    """A job that has never run, and a ledger that somebody wrote into."""
    assert [Budget.from_text(text).tenths for text in (None, "", "-5", "1e3", "٣", "7")] == [FULL_TENTHS] * 5 + [7]


@given(st.integers(0, 60).map(Budget), st.integers(0, 25), st.integers(1, 20))
def test_a_row_stops_where_its_attempts_or_the_budget_end(budget, failures, attempts):
    """Whichever comes first; its first attempt is always made, and costs nothing."""
    before = budget.tenths
    sent, ended = tried(budget, failures, attempts)
    assert sent == min(failures + 1, attempts, 1 + before // 10)
    assert (ended is GOOD) == (sent > failures)
    retries = sent - 1
    earned = 0 if ended is not GOOD else 10 if retries else 1
    assert budget.tenths == before - 10 * retries + earned


def test_a_row_says_that_too_much_has_failed():
    """Its reason tells it apart from one whose own attempts are used up."""
    _, ended = tried(Budget(10), 9)
    assert str(ended) == "HTTP 503; 2 attempts; too much has failed lately for more in this run"
    _, ended = tried(Budget(0), 9)
    assert str(ended) == "HTTP 503; 1 attempt; too much has failed lately for more in this run"


def test_a_row_that_is_parked_takes_nothing():
    """No retry is made, so none is paid for."""
    budget = Budget()
    sent, ended = tried(budget, 1, hint_s=3600.0)
    assert (sent, type(ended), budget.tenths) == (1, Parked, FULL_TENTHS)
