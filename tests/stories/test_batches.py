"""Rows that are asked about together: one request for many, each row accounted for by itself."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from fetcher.model import RowState
from tests.stories.conftest import Output
from tests.stories.feeds import days, listening, never, states, until

JOB = """\
name = "batch"
[read.dates]
from = "2019-01-01"
to = "2019-01-{last:02}"
[fetch]
base_url = "{url}"
url = "/batch"
method = "POST"
json = ["{{date}}"]
on_unknown = "{on_unknown}"
limits.concurrency = 2
retries = {{ attempts = 2, first_wait = "1 ms" }}
batch = {{ size = 7, each = ["date"] }}
[[fetch.expect]]
body = "error"
action = "refuse"
reason = "error"
[parse]
records = "@"
[write]
folder = "out"
"""


@dataclass
class Answering:
    """Answers a list of days with a list. `asked` are those lists; `refuses` says which days spoil a whole request."""

    refuses: Callable[[str], bool] = lambda day: False
    answer: Callable[[str], dict] = lambda day: {"day": day}
    stops_at: int = 0
    url: str = ""
    asked: list[list[str]] = field(default_factory=list)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        asked = await request.json()
        self.asked.append(asked)
        if len(self.asked) == self.stops_at:
            await never()
        if any(self.refuses(day) for day in asked):
            return web.json_response({"error": "bad day"}, status=400)
        return web.json_response([self.answer(day) for day in asked])


@pytest.fixture
def answering():
    answering = Answering()
    with listening(answering):
        yield answering


def job_of(folder: Path, url: str, last: int = 30, on_unknown: str = "retry") -> Path:
    job = folder / "job.toml"
    job.write_text(JOB.format(url=url, last=last, on_unknown=on_unknown))
    return job


def came(folder: Path) -> list[str]:
    return sorted(record["day"] for record in Output(folder).records())


def test_thirty_rows_are_asked_about_in_five_requests(fetcher, answering, tmp_path):
    """And in none by the second run."""
    job = job_of(tmp_path, answering.url)
    assert fetcher("run", job).code == 0
    assert came(tmp_path / "out") == days(30)
    assert sorted(len(asked) for asked in answering.asked) == [2, 7, 7, 7, 7]
    assert fetcher("run", job).code == 0
    assert len(answering.asked) == 5
    assert fetcher("verify", job).code == 0


def test_a_row_that_spoils_its_batch_is_found_and_refused_alone(fetcher, answering, tmp_path):
    """The request is halved until the one is alone; the other six come."""
    answering.refuses = lambda day: day == "2019-01-03"
    ran = fetcher("run", job_of(tmp_path, answering.url, last=10))
    assert ran.code == 3
    assert "bad day" in ran.out + ran.err
    assert came(tmp_path / "out") == [day for day in days(10) if day != "2019-01-03"]
    assert states(tmp_path / "out") == {RowState.DONE: 9, RowState.REFUSED: 1}
    assert len(answering.asked) <= 2 + 2 * 3


def test_a_part_of_an_answer_that_a_rule_refuses_costs_its_row_alone(fetcher, answering, tmp_path):
    """Rules are for the parts as well."""
    answering.answer = lambda day: {"error": "none such"} if day == "2019-01-05" else {"day": day}
    ran = fetcher("run", job_of(tmp_path, answering.url, last=10))
    assert ran.code == 3
    assert states(tmp_path / "out") == {RowState.DONE: 9, RowState.REFUSED: 1}
    assert len(answering.asked) == 2


def test_a_run_that_is_killed_asks_for_no_answered_row_again(fetcher, start, answering, tmp_path):
    """Each row's part is kept by itself; the rows that are left make new batches."""
    job = job_of(tmp_path, answering.url)
    answering.stops_at = 4
    process = start("run", job)
    until(lambda: len(answering.asked) >= 4 and (tmp_path / "out/.fetcher/ledger.sqlite").exists(), process)
    until(lambda: states(tmp_path / "out").get(RowState.DONE, 0) >= 14, process)
    process.kill()
    process.wait()
    answered = {day for number, asked in enumerate(answering.asked, 1) if number != 4 for day in asked}
    before = len(answering.asked)
    assert fetcher("run", job).code == 0
    again = {day for asked in answering.asked[before:] for day in asked}
    assert came(tmp_path / "out") == days(30)
    assert len(again & answered) <= 7  # one batch may have come and not been kept yet


def test_rows_of_a_batch_that_must_not_be_sent_twice_are_unknown_together(fetcher, start, answering, tmp_path):
    """A POST that was sent when the run was killed: each of its rows is listed, none is sent again."""
    job = job_of(tmp_path, answering.url, last=5, on_unknown="stop")
    answering.stops_at = 1
    process = start("run", job)
    until(lambda: answering.asked, process)
    process.kill()
    process.wait()
    ran = fetcher("run", job)
    assert ran.code == 3
    assert states(tmp_path / "out") == {RowState.UNKNOWN: 5}
    assert [json.dumps(sorted(asked)) for asked in answering.asked] == [json.dumps(days(5))]
