"""The plan: it counts what a run sends, and paces it by the limiter that paces runs."""

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.compose.request import compose
from fetcher.fetch.cache import Cache
from fetcher.job.sections import Limits
from fetcher.launch import layout_of
from fetcher.listing import rows_of
from fetcher.model import Response, RowState
from fetcher.plan import GUESSED_S, START_S, elapsed, length_s, plan, plan_text
from fetcher.status import view
from tests.settled_jobs import NOW, done, failed, job_in, settle
from tests.stories.feeds import make_job, serving, sets

RATES = st.builds(lambda starts, per_s: f"{starts}/{per_s} s", st.integers(1, 50), st.sampled_from([1, 2, 10, 60]))


def limits(*rates: str, **others) -> Limits:
    """The limits of a job."""
    return Limits.model_validate({"rate": list(rates), **others})


@settings(deadline=None)
@given(st.lists(RATES, max_size=3), st.integers(1, 16), st.integers(1, 3000), st.floats(0.001, 2.0))
def test_no_run_is_foretold_to_be_faster_than_its_limits_allow(rates, concurrency, requests, latency_s):
    """Neither than a window, nor than its slots."""
    found = limits(*rates, concurrency=concurrency)
    took_s = length_s(found, requests, lambda: latency_s)
    assert took_s >= 0.99 * latency_s * requests / concurrency
    for rate in elapsed(found):
        assert took_s >= (requests - 1) // rate.starts * rate.per_s


def test_a_long_run_is_foretold_by_its_steady_pace():
    """A hundred thousand requests at 20/s, without simulating each of them."""
    took_s = length_s(limits("20/s", headroom=0), 100_000, lambda: 0.1)
    assert 4990 <= took_s <= 5100


def test_what_is_settled_kept_or_waiting_is_not_asked_for(tmp_path):
    """Ten days: two are done, one waits for its time, one has an answer in the cache."""
    job = job_in(tmp_path)
    settle(job, done(1), done(2), failed(3, RowState.WAITING, "429", NOW + 60))
    keep(job, "2024-01-05")
    found = plan(job, NOW, random.Random(0))
    assert (found.rows, found.asked, found.hits, found.requests) == (10, 7, 1, 6)


def keep(job, day: str) -> None:
    """An answer to that day, in the cache of the job."""

    async def put():
        with view(job) as ledger:
            row = next(row for row in rows_of(job, ledger, NOW) if row.key == day)
        async with Cache(layout_of(job).state / "cache.sqlite") as cache:
            await cache.put(compose(job.fetch, row).key, Response(200, (), b"[]", NOW))

    asyncio.run(put())


def test_a_job_that_never_ran_is_planned_by_a_guess_that_is_named(tmp_path):
    """And nothing is made in its folder by that. One request after the other, or eight at once: a snapshot."""
    job = job_in(tmp_path, "fetch.limits.concurrency=5")
    found = plan(job, NOW, random.Random(0))
    assert found.took_s == [START_S + 2 * GUESSED_S] * len(found.took_s)
    assert plan_text(job, found) == (
        "air: 10 of 10 rows would be asked for\n"
        "  10 requests; 0 answers from the cache\n"
        "  takes 0.7 s (p50), 0.7 s (p95): answers within 0.2 s, a guess: no run has been logged"
    )
    assert not layout_of(job).folder.exists()


def test_a_plan_goes_by_the_runs_that_were_logged(tmp_path):
    """How long their answers took, and how many requests had to be sent again: a snapshot."""
    job = job_in(tmp_path, 'fetch.limits.rate="2/s"')
    settle(job, done(1))
    runs = layout_of(job).state / "runs"
    runs.mkdir()
    lines = ["[1.0,0.5,200]", "[2.0,0.5,503]", "[3.0,9.0,null]", "[4.0,0.5,200]"]
    (runs / "1.requests.jsonl").write_text("\n".join(lines) + "\n")
    found = plan(job, NOW, random.Random(0))
    assert found.past.latencies_s == [0.5, 0.5, 0.5]
    assert plan_text(job, found) == (
        "air: 9 of 10 rows would be asked for\n"
        "  9 requests, and about 4 again, as in the last runs; 0 answers from the cache\n"
        "  2/1 s: 62% used\n"
        "  takes 7.3 s (p50), 7.3 s (p95): answers as quick as the last 3"
    )


def test_a_run_sends_what_was_planned(fetcher, tmp_path):
    """A fresh job, one that is half done, and one that is done."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 30)
        for last, expected in (("2019-01-20", 20), ("2019-01-30", 10), ("2019-01-30", 0)):
            to = sets(f'read.dates.to="{last}"')
            said = fetcher("plan", job, *to).out
            assert f"  {expected} requests; 0 answers" in said
            assert not feed.taken()
            assert fetcher("run", job, *to).code == 0
            assert len(feed.taken()) == expected
