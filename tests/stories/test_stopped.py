"""An answer that ends the run: what came before it is committed, what was not asked is asked by the next run."""

import pytest
from aiohttp import web

from tests.stories.feeds import days, expected, in_order, make_job, parse_slowly, published, serving, sets, states

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
