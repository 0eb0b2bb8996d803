"""`[write] order = "input"`: records in the order of the rows, whichever answer comes first."""

import asyncio
import json
import signal
from functools import partial

import pytest
from aiohttp import web

from tests.stories.feeds import (
    Feed,
    days,
    expected,
    failing,
    kept_answers,
    listening,
    make_job,
    make_paged_job,
    paged_items,
    published,
    serving,
    serving_pages,
    sets,
    until,
)

COUNT = 60
GROUP = 4
ORDERED = 'order = "input"\nrotate.records = 50\n'
SIDE_BY_SIDE = "fetch.limits.adaptive=false"


class Backwards(Feed):
    """Answers each four days from the last of them to the first; from the day `silent_from` on, it never answers."""

    def __init__(self) -> None:
        super().__init__(self.backwards)
        self.silent_from = COUNT
        self.answered: set[str] = set()
        self.news = asyncio.Event()

    async def backwards(self, day: str) -> web.Response:
        number = days(COUNT).index(day)
        while number >= self.silent_from:
            await self.next_news()
        while (number + 1) % GROUP and number + 1 < self.silent_from and days(COUNT)[number + 1] not in self.answered:
            await self.next_news()
        self.answered.add(day)
        self.news.set()
        self.news = asyncio.Event()
        return published(day)

    async def next_news(self) -> None:
        await self.news.wait()


@pytest.fixture
def feed():
    feed = Backwards()
    with listening(feed):
        yield feed


def ordered(folder, url, count=COUNT):
    return make_job(folder, url, count, ORDERED)


def test_records_have_the_order_of_the_rows(fetcher, output, tmp_path, feed):
    """Over all files of the job, although no answer comes in that order."""
    job = ordered(tmp_path, feed.url)
    ran = fetcher("run", job, *sets(SIDE_BY_SIDE))
    assert ran.code == 0, ran.err
    assert output(tmp_path / "out").records() == expected(COUNT)
    assert len(list((tmp_path / "out").glob("records-*"))) == 4
    assert fetcher("verify", job).code == 0


def test_without_it_records_come_as_answers_do(fetcher, output, tmp_path, feed):
    """Else the test above would show nothing."""
    job = make_job(tmp_path, feed.url, COUNT)
    assert fetcher("run", job, *sets(SIDE_BY_SIDE)).code == 0
    records = output(tmp_path / "out").records()
    assert records != expected(COUNT)
    assert len(records) == 3 * COUNT


@pytest.mark.parametrize("with_signal", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_killed_goes_on_in_order(fetcher, start, output, tmp_path, feed, with_signal):
    """What had waited for a day that never came was kept: it is not asked for again, and comes behind that day."""
    job = ordered(tmp_path, feed.url)
    for silent_from in (13, 30):
        feed.silent_from = silent_from
        process = start("run", job, *sets(SIDE_BY_SIDE))
        until(partial(has_answers, tmp_path / "out", silent_from), process)
        process.send_signal(with_signal)
        process.wait()
    feed.silent_from = COUNT
    feed.taken()
    answered = kept_answers(tmp_path / "out")
    ran = fetcher("run", job, *sets(SIDE_BY_SIDE))
    assert ran.code == 0, ran.err
    assert len(feed.taken()) == COUNT - answered
    assert output(tmp_path / "out").records() == expected(COUNT)


def has_answers(folder, count) -> bool:
    return kept_answers(folder) >= count


def test_nothing_is_written_behind_a_row_that_was_left(start, output, fetcher, tmp_path):
    """A stop while the first day is asked for: the others are here, and wait for the next run."""
    stuck = asyncio.Event()

    async def answer(day: str) -> web.Response:
        if day == days(1)[0] and not stuck.is_set():
            await stuck.wait()
        return published(day)

    with serving(answer) as feed:
        job = ordered(tmp_path, feed.url, 10)
        process = start("run", job, *sets(SIDE_BY_SIDE))
        until(partial(has_answers, tmp_path / "out", 9), process)
        process.send_signal(signal.SIGINT)
        process.wait()
        assert output(tmp_path / "out").records() == []
        stuck.set()
        feed.taken()
        ran = fetcher("run", job)
        assert ran.code == 0, ran.err
        assert feed.taken() == days(1)
    assert output(tmp_path / "out").records() == expected(10)


def test_a_row_that_fails_leaves_a_gap_and_comes_behind(fetcher, output, tmp_path):
    """No other row waits for the run that brings it."""
    bad = days(10)[3]
    with serving(lambda day: failing() if day == bad else published(day)) as feed:
        job = ordered(tmp_path, feed.url, 10)
        assert fetcher("run", job).code == 3
        rest = [record for record in expected(10) if record["day"] != bad]
        assert output(tmp_path / "out").records() == rest
        feed.answer = published
        assert fetcher("run", job).code == 0
        assert output(tmp_path / "out").records() == rest + [one for one in expected(10) if one["day"] == bad]


def test_pages_of_a_row_stay_together(fetcher, output, tmp_path):
    """Rows are asked side by side, page after page; none of their pages comes among those of another."""
    with serving_pages(3) as feed:
        job = make_paged_job(tmp_path, feed.url, more=ORDERED, count=12)
        ran = fetcher("run", job, *sets("fetch.limits.concurrency=6"))
        assert ran.code == 0, ran.err
    assert output(tmp_path / "out").records() == [item for day in days(12) for item in paged_items(day, 3)]


SERVICE = """\
name = "asked"
read.table = {{ path = "table.csv" }}
[[annotate]]
into = "day"
[annotate.service]
base_url = "{url}"
url = "/days"
query = {{ date = "{{date}}" }}
limits.adaptive = false
take = {{ day = "items[0].day" }}
[write]
folder = "out"
order = "input"
"""


def test_lines_that_annotators_ask_about_keep_the_order_of_the_table(fetcher, output, tmp_path, feed):
    """Although the service answers them backwards."""
    (tmp_path / "table.csv").write_text("date\n" + "".join(f"{day}\n" for day in days(COUNT)))
    (tmp_path / "job.toml").write_text(SERVICE.format(url=feed.url))
    ran = fetcher("run", tmp_path / "job.toml")
    assert ran.code == 0, ran.err
    found = output(tmp_path / "out").records()
    assert [record["date"] for record in found] == days(COUNT)
    assert all(json.dumps(record["day"]).count(record["date"]) for record in found)
