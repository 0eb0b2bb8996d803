"""Runs that end before all is done, on purpose, and the runs that go on from there."""

import asyncio
import re
from datetime import datetime

import pytest
from aiohttp import web

from tests.stories.feeds import (
    days,
    expected,
    in_order,
    make_job,
    manifest_faults,
    published,
    serving,
    sets,
    states,
)


async def slowly(day: str) -> web.Response:
    await asyncio.sleep(0.05)
    return published(day)


@pytest.mark.parametrize("order", ["oldest", "newest"])
def test_a_run_for_a_time_begins_no_further_row_and_the_next_goes_on(fetcher, output, tmp_path, order):
    """`--for`: exit 75 with everything committed that was begun; no row is asked for twice; the job's order holds."""
    with serving(slowly) as feed:
        job = make_job(tmp_path, feed.url, 60)
        one_by_one = sets(f'read.dates.order="{order}"', "fetch.limits.concurrency=1")

        ran = fetcher("run", job, "--for", "300ms", *one_by_one)

        assert ran.code == 75, ran.err
        begun = feed.taken()
        found = output(tmp_path / "out").records()
        assert 0 < len(begun) < 60
        assert sorted({record["day"] for record in found}) == sorted(begun)
        assert begun == sorted(days(60), reverse=order == "newest")[: len(begun)]
        assert f"{len(begun)} done + {60 - len(begun)} waiting" in ran.err
        assert manifest_faults(tmp_path / "out") == []

        assert fetcher("run", job).code == 0
        assert sorted([*begun, *feed.taken()]) == days(60)
        assert in_order(output(tmp_path / "out").records()) == expected(60)


def test_a_run_for_no_time_at_all_sends_nothing_and_says_so(fetcher, tmp_path):
    """The deadline may pass before the first request: exit 75, never 0."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 3)
        ran = fetcher("run", job, "--for", "0s")
        assert ran.code in (2, 75), ran.err
        assert feed.asked == []


def test_h05_a_wait_of_an_hour_ends_the_run_and_the_next_start_keeps_it(fetcher, output, tmp_path):
    """Exit 75 with the time printed; a start before that sends nothing, and says the same."""

    def busy(day: str) -> web.Response:
        return published(day) if day == days(1)[0] else web.Response(status=429, headers={"Retry-After": "3600"})

    with serving(busy) as feed:
        job = make_job(tmp_path, feed.url, 60)
        one_by_one = sets("fetch.limits.concurrency=1")
        before = datetime.now().astimezone()

        ran = fetcher("run", job, *one_by_one)

        assert ran.code == 75, ran.err
        assert feed.taken() == days(2), "nothing is sent once the server has asked for a wait"
        told = re.search(r"what waits is allowed again later: run again after (.*)", ran.err)
        assert told, ran.err
        assert 3590 < (datetime.fromisoformat(told[1]) - before).total_seconds() < 3800

        again = fetcher("run", job, *one_by_one)
        assert again.code == 75, again.err
        assert feed.taken() == []
        assert told[1] in again.err
        assert told[1] in fetcher("status", job).out
        assert states(tmp_path / "out") == {"done": 1, "waiting": 59}
        assert len(output(tmp_path / "out").records()) == 3
