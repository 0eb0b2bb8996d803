"""Limits from run to run and from job to job: waits, days and hard stops."""

import os
import re
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from fetcher.fetch.starts import COOL, RECORD
from tests.stories.feeds import make_job, published, serving, sets, states, until

ONE_BY_ONE = "fetch.limits.concurrency=1"


def busy(_: str) -> web.Response:
    return web.Response(status=429, headers={"Retry-After": "3600"})


@pytest.mark.parametrize("is_same_job", [True, False])
def test_h05_a_wait_holds_for_every_row_and_every_job_of_the_api(fetcher, tmp_path, is_same_job):
    """Rows that nobody has asked for yet, and those of another job: nothing is sent, exit 75 with the time."""
    with serving(busy) as feed:
        job = make_job(tmp_path / "a", feed.url, 3)
        assert fetcher("run", job, *sets(ONE_BY_ONE)).code == 75
        assert len(feed.taken()) == 1
        feed.answer = published
        later = job if is_same_job else make_job(tmp_path / "b", feed.url, 3)
        ran = fetcher("run", later, *sets('read.dates.to="2019-01-09"'))
        assert ran.code == 75, ran.err
        assert feed.taken() == []
        told = re.search(r"run again after (.*)", ran.err)
        assert told, ran.err
        assert 3500 < (datetime.fromisoformat(told[1]) - datetime.now(UTC)).total_seconds() <= 3602


def test_a_wait_is_kept_by_a_run_that_is_killed(start, fetcher, tmp_path):
    """kill -9 while a row is under way: the next run sends nothing either."""

    async def answer(day: str) -> web.Response:
        return published(day) if len(feed.asked) == 1 else busy(day)

    with serving(answer) as feed:
        job = make_job(tmp_path, feed.url, 2000)
        process = start("run", job, *sets(ONE_BY_ONE, 'fetch.limits.rate="20/s"', "fetch.retries.attempts=5"))
        until(lambda: len(feed.asked) >= 2, process)
        until(lambda: COOL in log_kinds(), process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        feed.taken()
        ran = fetcher("run", job)
        assert ran.code == 75, ran.err
        assert feed.taken() == []


def log_kinds() -> bytes:
    """The kinds of the records in the one log of starts."""
    logs = list((Path(os.environ["FETCHER_STATE"]) / "starts").glob("*.log"))
    return logs[0].read_bytes()[:: RECORD.size] if logs else b""


@pytest.mark.parametrize(
    ("stop", "said"),
    [
        ("fetch.limits.max_requests=3", "fetch.limits.max_requests = 3 is used up; raise it to go on"),
        ("fetch.limits.budget={cost_per_request=0.5, total=1.7}", "fetch.limits.budget of 1.7 is used up"),
    ],
)
def test_a_hard_stop_holds_over_all_runs_of_the_job(fetcher, tmp_path, stop, said):
    """Never exceeded by one; the rows wait, exit 75 says what for; raised, the job goes on."""
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 10)
        for sent in (3, 0):
            ran = fetcher("run", job, *sets(stop))
            assert ran.code == 75, ran.err
            assert len(feed.taken()) == sent
            assert said in ran.err
            assert "run again after" not in ran.err
        assert states(tmp_path / "out") == {"done": 3, "waiting": 7}
        assert fetcher("run", job).code == 0
        assert len(feed.taken()) == 7


def test_a_day_is_shared_by_all_jobs_of_the_api(fetcher, tmp_path):
    """What one has used is not there for the other; both say when the day ends."""
    zone = "Etc/GMT+12" if datetime.now(UTC).hour < 12 else "Etc/GMT-12"
    day = sets('fetch.limits.rate="5/day"', f'fetch.limits.timezone="{zone}"')
    with serving() as feed:
        assert fetcher("run", make_job(tmp_path / "a", feed.url, 3), *day).code == 0
        ran = fetcher("run", make_job(tmp_path / "b", feed.url, 6), *day)
        assert ran.code == 75, ran.err
        assert len(feed.taken()) == 3 + 2
        assert "fetch.limits.rate = '5/day' is used up" in ran.err
        told = re.search(r"run again after (.*)", ran.err)
        assert told, ran.err
        ends = datetime.fromisoformat(told[1]).astimezone(UTC)
        assert (ends - timedelta(seconds=1)).strftime("%M:%S") in ("00:00", "59:59", "00:01")
        assert states(tmp_path / "b" / "out") == {"done": 2, "waiting": 4}


def test_a_user_without_a_home_has_limits_all_the_same(fetcher, monkeypatch, tmp_path):
    """They are the job's own then, and the run says so."""
    monkeypatch.delenv("FETCHER_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    with serving() as feed:
        job = make_job(tmp_path, feed.url, 3)
        ran = fetcher("run", job, *sets("fetch.limits.max_requests=2"))
        assert ran.code == 75, ran.err
        assert "limits are not shared with other jobs; set FETCHER_STATE" in ran.err
        assert len(feed.taken()) == 2
        assert (tmp_path / "out" / ".fetcher" / "quotas.sqlite").exists()
