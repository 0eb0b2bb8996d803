"""`[write] order = "input"`: records in the order of the rows, whichever answer comes first."""

import asyncio
import json
import signal
import sqlite3
from contextlib import closing
from functools import partial

import pytest
from aiohttp import web

from fetcher.committed import published_lines
from fetcher.stations import LONGEST_END_S
from fetcher.turns import MOST_BYTES
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
    parse_slowly,
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


def test_a_stop_is_over_at_once_although_answers_wait_in_memory(start, fetcher, output, tmp_path):
    """More than are held, while the first day is asked for: they are in the cache, and nobody waits for them."""
    stuck, long = asyncio.Event(), "x" * (MOST_BYTES + 1)

    async def answer(day: str) -> web.Response:
        if day == days(1)[0]:
            await stuck.wait()
        return web.json_response({"items": [{"day": day, "text": long if day == days(2)[1] else ""}]})

    with serving(answer) as feed:
        job = ordered(tmp_path, feed.url, 3)
        process = start("run", job, *sets(SIDE_BY_SIDE))
        until(partial(has_answers, tmp_path / "out", 2), process)
        process.send_signal(signal.SIGINT)
        process.wait(LONGEST_END_S - 1)
        stuck.set()
        assert fetcher("run", job).code == 0
    assert [record["day"] for record in output(tmp_path / "out").records()] == days(3)


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


def standing(folder) -> list[dict]:
    """The records that stand, in the order of the files."""
    return [json.loads(line) for line in published_lines(folder, latest=True)]


def size_of(folder) -> int:
    return sum(path.stat().st_size for path in folder.glob("records-*"))


def test_reparse_puts_all_records_in_the_order_of_the_rows(fetcher, tmp_path, feed):
    """What was written as it came, and what has come behind; once it is in order, nothing is written any more."""
    job = make_job(tmp_path, feed.url, COUNT)
    assert fetcher("run", job, *sets(SIDE_BY_SIDE)).code == 0
    assert standing(tmp_path / "out") != expected(COUNT)
    feed.taken()
    for _ in range(2):
        ran = fetcher("run", job, "--reparse", *sets("write.order='input'"))
        assert ran.code == 0, ran.err
        assert standing(tmp_path / "out") == expected(COUNT)
        assert fetcher("verify", job).code == 0
    assert "0 records added" in ran.err + ran.out
    assert feed.taken() == []


def test_reparse_writes_anew_from_the_first_gap_on(fetcher, tmp_path):
    """Records that are in their place stay there."""
    bad = days(10)[6]
    with serving(lambda day: failing() if day == bad else published(day)) as feed:
        job = ordered(tmp_path, feed.url, 10)
        assert fetcher("run", job).code == 3
        feed.answer = published
        assert fetcher("run", job).code == 0
        ran = fetcher("run", job, "--reparse")
        assert ran.code == 0, ran.err
    assert standing(tmp_path / "out") == expected(10)
    assert "9 records added" in ran.err + ran.out  # the bad day is behind the six before it; three are behind that


def test_reparse_puts_pages_in_the_order_of_the_rows(fetcher, tmp_path):
    """Those that a later run has brought, and those of the rows between."""
    with serving_pages(3) as feed:
        feed.answer = lambda day, page: failing() if (day, page) == (days(3)[1], 2) else None
        job = make_paged_job(tmp_path, feed.url, more=ORDERED, count=5)
        assert fetcher("run", job).code == 3
        feed.answer = lambda day, page: None
        assert fetcher("run", job).code == 0
        wanted = [item for day in days(5) for item in paged_items(day, 3)]
        assert standing(tmp_path / "out") != wanted
        for _ in range(2):
            ran = fetcher("run", job, "--reparse")
            assert ran.code == 0, ran.err
            assert standing(tmp_path / "out") == wanted
            assert fetcher("verify", job).code == 0
        assert "0 records added" in ran.err + ran.out


def test_a_killed_reparse_goes_on_in_order(fetcher, start, tmp_path, feed):
    """It knows how far the rows before it reached."""
    job = make_job(tmp_path, feed.url, COUNT)
    assert fetcher("run", job, *sets(SIDE_BY_SIDE)).code == 0
    options = sets("write.order='input'", parse_slowly(job, 0.06))
    process = start("run", job, "--reparse", *options)
    until(partial(has_begun_anew, tmp_path / "out" / ".fetcher"), process)
    process.kill()
    process.wait()
    assert standing(tmp_path / "out") != expected(COUNT)
    ran = fetcher("run", job, "--reparse", *options)
    assert ran.code == 0, ran.err
    assert standing(tmp_path / "out") == expected(COUNT)
    assert fetcher("verify", job).code == 0


def has_begun_anew(state) -> bool:
    """Whether some rows of the next generation are settled, and not all."""
    try:
        with closing(sqlite3.connect(f"file:{state}/reparse.sqlite?mode=ro", uri=True)) as reader:
            return 0 < reader.execute("SELECT COUNT(*) FROM rows WHERE revision > 1").fetchone()[0] < COUNT
    except sqlite3.OperationalError:
        return False


LABELLED = """\
name = "labelled"
read.table = { path = "table.csv" }
[[annotate]]
into = "length"
function = "labels.py:length"
[write]
folder = "out"
order = "input"
"""
LABELS = """\
def length(record):
    if record["text"] == "BAD":
        raise ValueError("no length")
    return len(record["text"])
"""


def test_reparse_puts_lines_that_were_mended_where_the_table_has_them(fetcher, tmp_path):
    """Also those that go by the chunk."""
    texts = ["a", "bb", "bad", "c", "dd"]
    (tmp_path / "table.csv").write_text("text\n" + "".join(f"{text}\n" for text in texts))
    (tmp_path / "labels.py").write_text(LABELS.replace("BAD", "bad"))
    job = tmp_path / "job.toml"
    job.write_text(LABELLED)
    assert fetcher("run", job).code == 3
    (tmp_path / "labels.py").write_text(LABELS)
    assert fetcher("run", job, "--only", "failed", "--as-is").code == 0
    assert [record["text"] for record in standing(tmp_path / "out")] == ["a", "bb", "c", "dd", "bad"]
    ran = fetcher("run", job, "--reparse")
    assert ran.code == 0, ran.err
    assert [record["text"] for record in standing(tmp_path / "out")] == texts
    assert "2 records added" in ran.err + ran.out
