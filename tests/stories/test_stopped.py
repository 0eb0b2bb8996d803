"""An answer that ends the run: what came before it is committed, what was not asked is asked by the next run."""

import pytest
from aiohttp import web

from tests.stories.feeds import (
    days,
    expected,
    in_order,
    make_job,
    make_orders_job,
    parse_slowly,
    published,
    serving,
    serving_orders,
    sets,
    states,
)

RULES = """
[[fetch.expect]]
text = "quota"
action = "{action}"
"""


@pytest.mark.parametrize(("action", "code"), [("stop", 75), ("refresh_auth", 78)])
def test_answers_that_wait_to_be_parsed_when_the_run_ends_are_committed(fetcher, output, tmp_path, action, code):
    """Five answers are with the workers when the sixth ends the run: they are on disk, and never asked for again."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, count=10, more=RULES.format(action=action))
        overrides = sets(parse_slowly(job, 0.2), "fetch.limits.concurrency=1", 'fetch.limits.rate="50/s"')
        feed.answer = lambda day: published(day) if day in days(5) else web.Response(status=429, text="quota")

        ran = fetcher("run", job, *overrides)

        assert ran.code == code, ran.err
        assert feed.taken() == days(6)
        assert states(tmp_path / "out") == {"done": 5}
        assert in_order(output(tmp_path / "out").records()) == expected(5)

        feed.answer = published
        ran = fetcher("run", job, *overrides)
        assert ran.code == 0, ran.err
        assert sorted(feed.taken()) == days(10)[5:]
        assert in_order(output(tmp_path / "out").records()) == expected(10)


@pytest.mark.parametrize("on_unknown", ["stop", "skip"])
def test_a_post_that_is_turned_away_when_the_run_ends_is_asked_by_the_next_one(fetcher, output, tmp_path, on_unknown):
    """It was on record as sent, and the server has said that it did nothing: neither unknown nor given up."""
    with serving_orders() as orders:
        orders.fate = lambda day: web.Response(status=402, text="quota")
        job = make_orders_job(tmp_path, orders.url, f'on_unknown = "{on_unknown}"\n')
        job.write_text(job.read_text() + RULES.format(action="stop"))
        ran = fetcher("run", job)
        assert (ran.code, states(tmp_path / "out")) == (75, {"waiting": 1}), ran.err
        assert orders.taken() == days(1)
        orders.fate = lambda day: None
        ran = fetcher("run", job)
        assert ran.code == 0, ran.err
        assert orders.taken() == days(2)
        assert in_order(output(tmp_path / "out").records()) == expected(2)
