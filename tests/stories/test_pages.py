"""Rows that are answered in many pages: killed, failing, endless, shifting, corrected."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web

from fetcher import read_records
from tests.stories.feeds import (
    FIRST,
    kept_answers,
    make_paged_job,
    next_page,
    noon_zone,
    paged_items,
    parsing_held,
    serving_pages,
    sets,
    states,
    until,
)

DAY = str(FIRST)
NO_CACHE = sets('fetch.cache.keep="none"')
KEY = 'key = ["day", "number"]\n'
START = 'resume = "start"'


@pytest.fixture
def feed():
    with serving_pages() as feed:
        yield feed


@pytest.fixture
def is_content(fetcher):
    """`is_content(job)`: ledger and files agree."""

    def verified(job: Path) -> None:
        ran = fetcher("verify", job)
        assert ran.code == 0, ran.err

    return verified


def newest(folder: Path) -> list[dict]:
    """What `read_records(latest=True)` gives, by day and number."""
    found = [row for frame in read_records(folder, latest=True) for row in frame.to_dict("records")]
    return sorted(found, key=lambda row: (row["day"], row["number"], row["revision"]))


def stop_at(feed, start, job: Path, page: int, *arguments: str) -> None:
    """Run until the server holds that page back, and every page before it is committed; kill -9."""
    feed.stops_at = page
    process = start("run", job, *arguments)
    until(lambda: feed.asked and feed.asked[-1][1] == page, process)
    until(lambda: next_page(job.parent / "out") == page, process)
    process.kill()
    process.wait()
    feed.stops_at = 0


@pytest.mark.parametrize("page", [1, 2, 4])
@pytest.mark.parametrize("cache", [[], NO_CACHE], ids=["cache", "no cache"])
def test_a_killed_run_goes_on_at_the_page_that_was_not_committed(
    fetcher, start, output, is_content, tmp_path, feed, page, cache
):
    """No page that was committed is asked for again, with a cache or without one; every record is there once."""
    job = make_paged_job(tmp_path, feed.url)
    if page == 1:
        feed.stops_at = 1
        process = start("run", job, *cache)
        until(lambda: feed.asked, process)
        process.kill()
        process.wait()
        feed.stops_at = 0
    else:
        stop_at(feed, start, job, page, *cache)
    assert feed.taken() == list(range(1, page + 1))
    is_content(job)

    ran = fetcher("run", job, *cache)

    assert ran.code == 0, ran.err
    assert feed.taken() == list(range(page, 6))
    assert output(tmp_path / "out").records() == paged_items(DAY, 5)
    assert newest(tmp_path / "out") == paged_items(DAY, 5)
    is_content(job)


def test_a_page_that_was_kept_and_not_committed_is_not_asked_for_again(
    fetcher, start, output, is_content, tmp_path, feed
):
    """The answer is kept before it is parsed: killed in between, the next run takes it from the cache."""
    job = make_paged_job(tmp_path, feed.url)
    with parsing_held(job):
        process = start("run", job)
        until(lambda: kept_answers(tmp_path / "out") == 1, process)
        process.kill()
        process.wait()

    ran = fetcher("run", job)

    assert ran.code == 0, ran.err
    assert feed.taken() == [1, 2, 3, 4, 5]
    assert output(tmp_path / "out").records() == paged_items(DAY, 5)
    is_content(job)


def test_a_row_killed_on_every_page_is_exact(fetcher, start, output, is_content, tmp_path, feed):
    """Each run brings one page home; none is asked for more often than it was on its way when the kill came."""
    job = make_paged_job(tmp_path, feed.url)
    for page in range(2, 6):
        stop_at(feed, start, job, page)
    assert fetcher("run", job).code == 0
    assert feed.taken() == [1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert output(tmp_path / "out").records() == paged_items(DAY, 5)
    is_content(job)


def test_resume_from_the_start_drops_what_is_there(fetcher, start, output, is_content, tmp_path, feed):
    """Cursors that a server forgets: all pages again, repeats dropped by key and counted, each record once."""
    job = make_paged_job(tmp_path, feed.url, START, KEY)
    stop_at(feed, start, job, 4)
    feed.taken()

    ran = fetcher("run", job, *NO_CACHE)

    assert ran.code == 0, ran.err
    assert feed.taken() == [1, 2, 3, 4, 5]
    assert "9 repeats" in ran.err
    assert output(tmp_path / "out").records() == paged_items(DAY, 5)
    assert newest(tmp_path / "out") == paged_items(DAY, 5)
    is_content(job)
    assert fetcher("run", job).code == 0
    assert feed.taken() == []


def test_resume_from_the_start_asks_the_api_and_not_the_cache(fetcher, start, output, is_content, tmp_path, feed):
    """The pages have shifted meanwhile: new items before the others, so that a kept page would hide one."""
    job = make_paged_job(tmp_path, feed.url, START, KEY)
    stop_at(feed, start, job, 3)
    feed.taken()
    feed.held = shifted

    ran = fetcher("run", job)

    assert ran.code == 0, ran.err
    assert feed.taken() == [1, 2, 3, 4, 5, 6]
    found = output(tmp_path / "out").records()
    assert sorted(found, key=number) == sorted(shifted(DAY), key=number)
    assert newest(tmp_path / "out") == sorted(shifted(DAY), key=number)
    is_content(job)


def number(record: dict) -> int:
    return record["number"]


def shifted(day: str) -> list[dict]:
    """Two items that have come before all others."""
    return [{"day": day, "number": new, "revision": 1} for new in (101, 100)] + paged_items(day, 5)


BAD = {
    "gave up": lambda: web.Response(status=500),
    "refused": lambda: web.Response(status=404),
    "quarantined": lambda: web.Response(text="}{"),
}


@pytest.mark.parametrize("state", BAD)
def test_a_row_goes_on_at_the_page_that_failed(fetcher, output, is_content, tmp_path, feed, state):
    """Gave up: at the next run. Refused or quarantined: once somebody says `failures retry`, and then it is asked for
    anew, whatever the cache has. The pages before it are there, and stay."""
    job = make_paged_job(tmp_path, feed.url)
    feed.answer = lambda day, page: BAD[state]() if page == 3 else None

    ran = fetcher("run", job)

    assert ran.code == 3, ran.err
    assert states(tmp_path / "out") == {state: 1}
    assert output(tmp_path / "out").records() == paged_items(DAY, 2)
    assert set(feed.taken()) == {1, 2, 3}
    is_content(job)
    feed.answer = lambda day, page: None
    if state != "gave up":
        assert fetcher("run", job).code == 3
        assert feed.taken() == []
        assert fetcher("failures", "retry", job).code == 0

    ran = fetcher("run", job)

    assert ran.code == 0, ran.err
    assert feed.taken() == [3, 4, 5]
    assert output(tmp_path / "out").records() == paged_items(DAY, 5)
    is_content(job)


def test_only_failed_goes_on_at_the_page_too(fetcher, output, tmp_path, feed):
    """Whatever the failure was."""
    job = make_paged_job(tmp_path, feed.url)
    feed.answer = lambda day, page: web.Response(status=404) if page == 3 else None
    assert fetcher("run", job).code == 3
    feed.answer = lambda day, page: None
    feed.taken()
    assert fetcher("run", job, "--only", "failed").code == 0
    assert feed.taken() == [3, 4, 5]
    assert output(tmp_path / "out").records() == paged_items(DAY, 5)


ENDLESS = {
    "the same page again": (lambda page: 2 if page > 2 else page, [1, 2, 3]),
    "a cycle of two": (lambda page: 1 + (page + 1) % 2, [1, 2, 3]),
}


@pytest.mark.parametrize("way", ENDLESS)
@pytest.mark.parametrize("key", ["", KEY], ids=["no key", "key"])
def test_s06_pages_that_go_round_are_a_failure_within_one_cycle(fetcher, is_content, tmp_path, feed, way, key):
    """Exit 3, told why; the next run asks from the first page, and no record is read twice."""
    turned, asked = ENDLESS[way]
    job = make_paged_job(tmp_path, feed.url, more=key)
    feed.answer = lambda day, page: web.json_response({"items": on_page(feed, day, turned(page)), "more": True})

    ran = fetcher("run", job)

    assert ran.code == 3, ran.err
    assert feed.taken() == asked
    assert "brings the same records as an earlier one" in ran.err
    assert states(tmp_path / "out") == {"gave up": 1}
    is_content(job)

    feed.answer = lambda day, page: None
    ran = fetcher("run", job)

    assert ran.code == 0, ran.err
    assert feed.taken() == [1, 2, 3, 4, 5]
    assert newest(tmp_path / "out") == paged_items(DAY, 5)
    is_content(job)


def on_page(feed, day: str, page: int) -> list[dict]:
    return feed.items(day)[3 * page - 3 : 3 * page]


@pytest.mark.parametrize("key", ["", KEY], ids=["no key", "key"])
def test_s06_more_for_ever_is_a_failure_at_the_cap(fetcher, is_content, tmp_path, feed, key):
    """Empty pages that lead on and on are no end; with the cap raised the row comes whole."""
    job = make_paged_job(tmp_path, feed.url, "most = 8", key)
    feed.answer = lambda day, page: web.json_response({"items": on_page(feed, day, page), "more": True})

    ran = fetcher("run", job)

    assert ran.code == 3, ran.err
    assert feed.taken() == list(range(1, 9))
    assert "fetch.pages.most = 8; raise it" in ran.err
    is_content(job)

    feed.answer = lambda day, page: None
    assert fetcher("run", job).code == 0
    assert feed.taken() == [1, 2, 3, 4, 5]
    assert newest(tmp_path / "out") == paged_items(DAY, 5)
    is_content(job)


def test_s07_rows_inserted_while_paging_are_dropped_by_key_and_counted(fetcher, output, is_content, tmp_path, feed):
    """An item that comes in before the others moves each page's last one onto the next page: it is there once."""
    job = make_paged_job(tmp_path, feed.url, more=KEY)

    def growing(day: str, page: int) -> web.Response:
        feed.held = shifted if page > 1 else None
        return feed.page(day, page)

    feed.answer = growing
    ran = fetcher("run", job)

    assert ran.code == 0, ran.err
    assert "2 repeats" in ran.err
    assert output(tmp_path / "out").records() == paged_items(DAY, 5)
    is_content(job)


def test_a_total_that_is_not_reached_is_a_failure(fetcher, is_content, tmp_path, feed):
    """Rows deleted while paging move items onto pages that were asked for: the next run asks from the start."""
    job = make_paged_job(tmp_path, feed.url, 'total = "total"')
    feed.answer = lambda day, page: web.json_response(
        {"items": on_page(feed, day, page) if page != 2 else [], "more": page < 5, "total": 15}
    )

    ran = fetcher("run", job)

    assert ran.code == 3, ran.err
    assert "the answer announces 15 items, its pages hold 12" in ran.err
    assert feed.taken() == [1, 2, 3, 4, 5]
    is_content(job)

    feed.answer = lambda day, page: None
    assert fetcher("run", job).code == 0
    assert feed.taken() == [1, 2, 3, 4, 5]
    assert newest(tmp_path / "out") == paged_items(DAY, 5)
    is_content(job)


def make_recent_job(folder: Path, url: str, pages: str = "", more: str = "") -> tuple[Path, str]:
    """A job over yesterday, which is asked for again at each run, and that day."""
    zone = noon_zone()
    job = make_paged_job(folder, url, pages, more)
    text = re.sub(
        r"from = .*\nto = .*\n",
        f'from = "yesterday"\nto = "yesterday"\nlookback = "2 days"\ntimezone = "{zone}"\n',
        job.read_text(),
    )
    job.write_text(text)
    return job, str(datetime.now(ZoneInfo(zone)).date() - timedelta(1))


def corrected(pages: set[int]):
    """Items whose pages of that number have a second revision."""

    def items(day: str) -> list[dict]:
        return [{**item, "revision": 1 + (item["number"] // 3 + 1 in pages)} for item in paged_items(day, 5)]

    return items


KEYED = pytest.mark.parametrize(
    ("pages", "more"), [("", ""), ("", KEY), (START, KEY)], ids=["no key", "key", "from the start"]
)


@KEYED
def test_a_second_look_writes_only_the_pages_that_have_changed(
    fetcher, output, is_content, tmp_path, feed, pages, more
):
    """Unchanged pages write nothing; a changed one is appended, and the newest records are read."""
    job, day = make_recent_job(tmp_path, feed.url, pages, more)
    assert fetcher("run", job).code == 0
    lines = output(tmp_path / "out").lines()
    assert len(lines) == 15
    feed.taken()

    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    assert feed.taken() == [1, 2, 3, 4, 5]
    assert output(tmp_path / "out").lines() == lines
    is_content(job)

    for changed, count in (({3}, 18), ({3, 5}, 21), ({5}, 24), ({5}, 24)):
        feed.held = corrected(changed)
        ran = fetcher("run", job)
        assert ran.code == 0, ran.err
        assert len(output(tmp_path / "out").lines()) == count
        assert newest(tmp_path / "out") == corrected(changed)(day)
        is_content(job)


@KEYED
@pytest.mark.parametrize("page", [pytest.param(2, marks=pytest.mark.slow), 4])
def test_a_second_look_that_is_killed_shows_nothing_half(fetcher, start, is_content, tmp_path, feed, pages, more, page):
    """The first revision is read until the second has come whole."""
    job, day = make_recent_job(tmp_path, feed.url, pages, more)
    assert fetcher("run", job).code == 0
    feed.held = corrected({1, 3})
    feed.taken()

    stop_at(feed, start, job, page, "--set", "write.rotate.records=1")

    assert newest(tmp_path / "out") == paged_items(day, 5)
    is_content(job)
    assert fetcher("run", job).code == 0
    assert newest(tmp_path / "out") == corrected({1, 3})(day)
    is_content(job)
    feed.taken()
    assert fetcher("run", job).code == 0
    assert newest(tmp_path / "out") == corrected({1, 3})(day)
    is_content(job)


@pytest.mark.parametrize("pages", ["", START], ids=["page", "start"])
def test_repeats_of_a_first_look_are_no_gaps_of_the_second(fetcher, is_content, tmp_path, feed, pages):
    """A page whose repeats were dropped once is not taken for whole when the record that it repeated is gone."""
    job, day = make_recent_job(tmp_path, feed.url, pages, KEY)
    first = [item for page in ((0, 1, 2), (2, 3, 4), (4, 5, 6)) for item in numbered(day, *page)]
    second = [item for page in ((9, 0, 1), (2, 3, 4), (4, 5, 6)) for item in numbered(day, *page)]
    for held in (first, second, second, first):
        feed.held = lambda day, held=held: held
        ran = fetcher("run", job)
        assert ran.code == 0, ran.err
        assert [row["number"] for row in newest(tmp_path / "out")] == sorted({item["number"] for item in held})
        is_content(job)


def numbered(day: str, *numbers: int) -> list[dict]:
    return [{"day": day, "number": number, "revision": 1} for number in numbers]


def test_a_second_look_after_a_start_from_the_start_loses_nothing(fetcher, start, is_content, tmp_path, feed):
    """The first look took two passes over shifting pages, each of which brought a part of them home."""
    job, day = make_recent_job(tmp_path, feed.url, START, KEY)
    stop_at(feed, start, job, 3)
    feed.held = shifted
    for _ in range(2):
        assert fetcher("run", job).code == 0
        assert newest(tmp_path / "out") == sorted(shifted(day), key=number)
        is_content(job)


HALVED = sets('parse.records="items[?number < `10`]"')


@pytest.mark.parametrize("key", ["", KEY], ids=["no key", "key"])
def test_reparse_goes_over_kept_pages_without_a_request(fetcher, is_content, tmp_path, feed, key):
    """Exact, and the next plain run has nothing left to say."""
    job = make_paged_job(tmp_path, feed.url, more=key, count=2)
    assert fetcher("run", job).code == 0
    feed.taken()
    assert fetcher("run", job, *HALVED).code == 78

    ran = fetcher("run", job, "--reparse", *HALVED)

    assert ran.code == 0, ran.err
    days = sorted({row["day"] for row in newest(tmp_path / "out")})
    assert newest(tmp_path / "out") == [item for day in days for item in paged_items(day, 5) if item["number"] < 10]
    assert len(days) == 2
    is_content(job)
    assert fetcher("run", job, *HALVED).code == 0
    assert fetcher("run", job, "--reparse").code == 0
    assert newest(tmp_path / "out") == [item for day in days for item in paged_items(day, 5)]
    assert feed.taken() == []
    is_content(job)


def test_a_row_that_is_half_way_is_not_mixed_of_two_parsers(fetcher, start, is_content, tmp_path, feed):
    """A changed parse part is refused although no row is done; --reparse parses the pages that came again."""
    job = make_paged_job(tmp_path, feed.url)
    stop_at(feed, start, job, 4)
    feed.taken()

    ran = fetcher("run", job, *HALVED)
    assert ran.code == 78, ran.err
    assert "changed since 1 rows were parsed" in ran.err

    ran = fetcher("run", job, "--reparse", *HALVED)
    assert ran.code == 75, ran.err
    assert feed.taken() == []
    is_content(job)
    ran = fetcher("run", job, *HALVED)
    assert ran.code == 0, ran.err
    assert feed.taken() == [4, 5]
    assert newest(tmp_path / "out") == [item for item in paged_items(DAY, 5) if item["number"] < 10]
    is_content(job)


def test_a_run_for_a_time_ends_between_two_pages(fetcher, output, is_content, tmp_path, feed):
    """`--for`: exit 75 with the pages that came, and the next run goes on behind them."""
    feed.pages = 200
    job = make_paged_job(tmp_path, feed.url)
    slowly = sets('fetch.limits.rate="20/s"')

    ran = fetcher("run", job, "--for", "600ms", *slowly)

    assert ran.code == 75, ran.err
    begun = feed.taken()
    assert 0 < len(begun) < 200
    assert begun == list(range(1, len(begun) + 1))
    assert output(tmp_path / "out").records() == paged_items(DAY, len(begun))
    is_content(job)
    assert fetcher("run", job).code == 0
    assert feed.taken() == list(range(len(begun) + 1, 201))
    assert output(tmp_path / "out").records() == paged_items(DAY, 200)
    is_content(job)


def test_a_row_with_pages_that_is_not_asked_about_any_more_lets_its_records_go(fetcher, feed, is_content, tmp_path):
    """Rows that turn blank: what came in pages is replaced whole, and readers of the newest see nothing of it."""
    job = make_paged_job(tmp_path, feed.url, count=1)
    days_of = '[read.dates]\nfrom = "2019-01-01"\nto = "2019-01-01"\n'
    lines = '[read]\nkey = ["id"]\n[read.table]\npath = "rows.csv"\n'
    job.write_text(job.read_text().replace(days_of, lines) + '[fetch.skip]\nblank = ["date"]\n')
    (tmp_path / "rows.csv").write_text("id,date\n1,2019-01-01\n2,2019-01-02\n")
    assert fetcher("run", job).code == 0
    assert len(newest(tmp_path / "out")) == 2 * 5 * 3
    (tmp_path / "rows.csv").write_text("id,date\n1,\n2,\n")
    feed.taken()
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    assert feed.taken() == []
    assert newest(tmp_path / "out") == []
    is_content(job)
