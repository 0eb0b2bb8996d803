"""Jobs that a request begins at the server: submitted once, whatever happens, until their results are home."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from fetcher.model import RowState
from tests.stories.conftest import Output
from tests.stories.feeds import days, listening, sets, states, until

JOB = """\
name = "exports"
[read.dates]
from = "2019-01-01"
to = "2019-01-03"
[fetch]
base_url = "{url}"
url = "/submit"
method = "POST"
json = {{ day = "{{date}}" }}
retries = {{ attempts = 3, first_wait = "1 ms" }}
[fetch.poll]
id = "job"
path = "/status?job={{job}}"
done = "state == 'done'"
failed = "state == 'failed'"
result_path = "/result?job={{job}}"
every = "20 ms"
[parse]
records = "items[]"
[write]
folder = "out"
"""


@dataclass
class Exports:
    """A server whose jobs are done at the look of that number. `submitted` are the days, `looks` counts by job."""

    done_at: int = 3
    fails: str = ""
    hint: str = ""
    url: str = ""
    submitted: list[str] = field(default_factory=list)
    looks: dict[int, int] = field(default_factory=dict)
    fetched: list[int] = field(default_factory=list)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/submit":
            self.submitted.append((await request.json())["day"])
            return web.json_response({"job": len(self.submitted) - 1}, status=202, headers=self.hinted())
        job = int(request.query["job"])
        day = self.submitted[job]
        if request.path == "/status":
            self.looks[job] = self.looks.get(job, 0) + 1
            state = "done" if self.looks[job] >= self.done_at else "running"
            return web.json_response({"state": "failed" if day == self.fails else state}, headers=self.hinted())
        self.fetched.append(job)
        return web.json_response({"items": [{"day": day, "number": number} for number in range(3)]})

    def hinted(self) -> dict[str, str]:
        return {"Retry-After": self.hint} if self.hint else {}


@pytest.fixture
def exports():
    exports = Exports()
    with listening(exports):
        yield exports


def job_of(folder: Path, url: str) -> Path:
    job = folder / "job.toml"
    job.write_text(JOB.format(url=url))
    return job


def came(folder: Path) -> set[str]:
    records = Output(folder).records()
    assert len(records) == 3 * len({record["day"] for record in records})
    return {record["day"] for record in records}


def test_jobs_are_submitted_looked_at_until_done_and_fetched_once(fetcher, exports, tmp_path):
    """A second run asks for nothing, and new parse rules neither."""
    job = job_of(tmp_path, exports.url)
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    assert came(tmp_path / "out") == set(days(3))
    assert (sorted(exports.submitted), set(exports.looks.values()), len(exports.fetched)) == (days(3), {3}, 3)
    job.write_text(job.read_text().replace("items[]", "items[?number > `0`]"))
    ran = fetcher("run", job, "--reparse")
    assert ran.code == 0, ran.err
    assert (len(exports.submitted), set(exports.looks.values()), len(exports.fetched)) == (3, {3}, 3)
    assert fetcher("verify", job).code == 0


def test_s16_a_run_that_is_killed_goes_on_with_the_jobs_that_it_submitted(fetcher, start, exports, tmp_path):
    """Nothing is submitted twice: that could be paid twice."""
    job = job_of(tmp_path, exports.url)
    exports.done_at = 10**9
    process = start("run", job)
    until(lambda: len(exports.looks) == 3 and states(tmp_path / "out") == {RowState.WAITING: 3}, process)
    process.kill()
    process.wait()
    exports.done_at = 1
    assert fetcher("run", job).code == 0
    assert came(tmp_path / "out") == set(days(3))
    assert sorted(exports.submitted) == days(3)


def test_a_job_that_takes_longer_than_a_run_may_wait_is_left_and_come_back_to(fetcher, exports, tmp_path):
    """An hour's hint is no reason to sit there: 75, and nothing is asked before its time."""
    job = job_of(tmp_path, exports.url)
    exports.hint = "3600"
    ran = fetcher("run", job)
    assert ran.code == 75, ran.err
    asked = (len(exports.submitted), dict(exports.looks))
    assert asked == (3, {})
    assert fetcher("run", job).code == 75
    assert (len(exports.submitted), dict(exports.looks)) == asked


def test_a_job_that_fails_costs_its_row_alone(fetcher, exports, tmp_path):
    """The others come."""
    exports.fails = "2019-01-02"
    ran = fetcher("run", job_of(tmp_path, exports.url))
    assert ran.code == 3
    assert "the job has failed" in ran.out + ran.err
    assert states(tmp_path / "out") == {RowState.DONE: 2, RowState.REFUSED: 1}


def test_a_run_whose_time_is_up_leaves_jobs_that_are_not_done(fetcher, exports, tmp_path):
    """`--for` does not wait for a server that computes."""
    job = job_of(tmp_path, exports.url)
    exports.done_at = 10**9
    ran = fetcher("run", job, "--for", "1 s", *sets('fetch.poll.every="30 s"'))
    assert ran.code == 75, ran.err
    assert states(tmp_path / "out") == {RowState.WAITING: 3}
    exports.done_at = 1
    assert fetcher("run", job).code == 0
    assert sorted(exports.submitted) == days(3)


def test_reparsing_waits_for_nobody(fetcher, exports, tmp_path):
    """What a server said of waiting when it was asked is over: kept answers are gone through at once."""
    job = job_of(tmp_path, exports.url)
    exports.hint = "1"
    exports.done_at = 1
    assert fetcher("run", job).code == 0
    job.write_text(job.read_text().replace("items[]", "items[?number > `0`]"))
    ran = fetcher("run", job, "--reparse", *sets('fetch.retries.max_wait="0 s"'))
    assert ran.code == 0, ran.err
    assert states(tmp_path / "out") == {RowState.DONE: 3}
    assert len(exports.submitted) == 3


def test_a_job_whose_submission_is_known_is_not_given_up(fetcher, start, exports, tmp_path):
    """Killed with its answer kept and not committed: `skip` gives up what was lost, and this was found."""
    job = job_of(tmp_path, exports.url)
    job.write_text(job.read_text().replace('url = "/submit"', 'url = "/submit"\non_unknown = "skip"'))
    exports.done_at = 10**9
    process = start("run", job)
    until(lambda: len(exports.looks) == 3 and states(tmp_path / "out") == {RowState.WAITING: 3}, process)
    process.kill()
    process.wait()
    with closing(sqlite3.connect(tmp_path / "out" / ".fetcher" / "ledger.sqlite")) as ledger, ledger:
        ledger.execute("UPDATE rows SET state = 'unknown', position = '', settled_at = settled_at - 60")
    exports.done_at = 1
    while (ran := fetcher("run", job)).code == 75:
        assert RowState.DISCARDED not in states(tmp_path / "out")
    assert ran.code == 0, ran.err
    assert states(tmp_path / "out") == {RowState.DONE: 3}
    assert sorted(exports.submitted) == days(3)
