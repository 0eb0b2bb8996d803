"""Rows whose window holds more than the API gives at once: halved until nothing is too much, killed on the way."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from tests.stories.conftest import Output
from tests.stories.feeds import listening, states, until

BEGIN = datetime(2018, 1, 31)
JOB = """\
name = "events"
[read.dates]
from = "2018-01-31"
to = "2018-02-07"
every = "8 days"
[fetch]
base_url = "{url}"
url = "/events"
query = {{ from = "{{start:%Y-%m-%dT%H:%M:%S}}", to = "{{until:%Y-%m-%dT%H:%M:%S}}" }}
retries = {{ attempts = 1 }}
pages = {{ kind = "split"{pages} }}
[[fetch.expect]]
status = [400]
text = "exceeds"
action = "split"
[parse]
records = "events"
[write]
folder = "out"
key = ["id"]
"""


@dataclass
class Catalogue:
    """Events of eight days, one in each 97 minutes, and one at each midnight; at most `cap` of them an answer, both
    borders included. `asked` are the windows; the one of that number is never answered."""

    cap: int = 20
    says: str = "{count} events exceeds the limit"
    stops_at: int = 0
    url: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        minutes = sorted({*range(0, 8 * 1440, 97), *range(0, 8 * 1440, 1440)})
        self.events = [BEGIN + timedelta(minutes=minute) for minute in minutes]

    async def respond(self, request: web.Request) -> web.StreamResponse:
        window = (request.query["from"], request.query["to"])
        self.asked.append(window)
        if len(self.asked) == self.stops_at:
            await never()
        begin, end = (datetime.fromisoformat(text) for text in window)
        found = [event for event in self.events if begin <= event <= end]
        if len(found) > self.cap:
            return web.Response(status=400, text=self.says.format(count=len(found)))
        if not found:
            return web.Response(status=204)
        return web.json_response({"events": [{"id": event.isoformat()} for event in found]})


async def never() -> None:
    """A request that hangs."""
    from asyncio import Event

    await Event().wait()


@pytest.fixture
def catalogue():
    catalogue = Catalogue()
    with listening(catalogue):
        yield catalogue


def job_of(folder: Path, url: str, pages: str = "") -> Path:
    job = folder / "job.toml"
    job.write_text(JOB.format(url=url, pages=pages))
    return job


def is_all_of_it(folder: Path, catalogue: Catalogue) -> bool:
    """Every event, once."""
    return sorted(record["id"] for record in Output(folder).records()) == [e.isoformat() for e in catalogue.events]


def test_a_window_that_holds_too_much_is_halved_until_it_does_not(fetcher, catalogue, tmp_path):
    """Eight days in one request are refused, eight single ones are not; what lies on a border is there once."""
    ran = fetcher("run", job_of(tmp_path, catalogue.url))
    assert (ran.code, is_all_of_it(tmp_path / "out", catalogue)) == (0, True), ran.err
    assert len(catalogue.asked) == 15
    assert fetcher("verify", tmp_path / "job.toml").code == 0
    assert fetcher("run", tmp_path / "job.toml").code == 0
    assert len(catalogue.asked) == 15


def test_a_run_that_is_killed_on_a_half_goes_on_there(fetcher, start, catalogue, tmp_path):
    """What was refused is not asked for again, nor what came."""
    job = job_of(tmp_path, catalogue.url)
    catalogue.stops_at = 9
    process = start("run", job)
    until(lambda: len(catalogue.asked) == 9, process)
    process.kill()
    process.wait()
    ran = fetcher("run", job)
    assert (ran.code, is_all_of_it(tmp_path / "out", catalogue)) == (0, True), ran.err
    assert len(catalogue.asked) == 15 + 1


def test_a_full_answer_is_not_taken_for_all(fetcher, catalogue, tmp_path):
    """An API that gives its first 20 in silence: `size` says that 20 may not be all."""
    catalogue.events = catalogue.events[:50]
    job = job_of(tmp_path, catalogue.url, ", size = 20")
    ran = fetcher("run", job)
    assert (ran.code, is_all_of_it(tmp_path / "out", catalogue)) == (0, True), ran.err


def test_halving_ends_with_a_clear_error(fetcher, catalogue, tmp_path):
    """A cap of nothing: the shortest part still holds too much, and nothing hangs."""
    catalogue.cap = -1
    job = job_of(tmp_path, catalogue.url, ', least = "1 h"')
    ran = fetcher("run", job)
    assert ran.code == 3
    assert "there is more than the API gives at once" in ran.err + ran.out
    assert len(catalogue.asked) < 12
    assert list(states(tmp_path / "out").values()) == [1]
