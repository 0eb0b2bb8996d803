"""Runs that send nothing, runs that ask for everything again, and what is kept of a job's answers."""

import shutil
import subprocess
import sys

import pytest

from tests.stories.conftest import ROOT
from tests.stories.feeds import expected, failing, in_order, make_job, published, serving, sets

DAYS = 20
WATCHED = """
import os, sys
def end(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind", "socket.sendto"):
        os.write(2, f"{event}{arguments}".encode())
        os._exit(99)
if __name__ == "__main__":
    sys.addaudithook(end)
    from fetcher.cli import main
    main()
"""


@pytest.fixture
def feed():
    with serving() as feed:
        yield feed


def lost_records(tmp_path):
    """All but what was kept of the answers is gone, as after `rm` of a folder's records and ledger."""
    out = tmp_path / "out"
    for path in (*out.glob("records-*"), *out.glob("*.json*"), *(out / ".fetcher").glob("ledger*")):
        path.unlink(missing_ok=True)


@pytest.mark.parametrize(("keep", "more"), [("forever", []), ("1 day", []), ("forever", ["--offline"])])
def test_a_warm_run_opens_no_socket_and_gives_the_same_bytes(fetcher, output, tmp_path, feed, keep, more):
    """Python itself is asked: a connection or a look for a name would end the program with 99."""
    kept = sets(f'fetch.cache.keep="{keep}"') + sets("fetch.limits.concurrency=1")
    job = make_job(tmp_path, feed.url, DAYS)
    assert fetcher("run", job, *kept).code == 0
    cold = output(tmp_path / "out").lines()
    assert len(feed.taken()) == DAYS
    lost_records(tmp_path)
    told = [sys.executable, "-c", WATCHED, "run", str(job), *kept, *more]
    ran = subprocess.run(told, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert f"0 requests (0 retries), {DAYS} answers from the cache" in ran.stderr
    assert sorted(output(tmp_path / "out").lines()) == sorted(cold)
    assert feed.asked == []


def test_what_is_not_kept_waits_where_nothing_may_be_sent(fetcher, output, tmp_path, feed):
    """Exit 75, the rows that are kept come home, and the next run with a network asks for the others alone."""
    job = make_job(tmp_path, feed.url, 5)
    assert fetcher("run", job).code == 0
    lost_records(tmp_path)
    feed.taken()
    job = make_job(tmp_path, feed.url, 8)
    ran = fetcher("run", job, "--offline")
    assert ran.code == 75, ran.err
    assert "8 rows = 5 done + 3 waiting" in ran.err
    assert "3 rows have no kept answer, and stay as before" in ran.err
    assert feed.asked == []
    assert fetcher("run", job).code == 0
    assert len(feed.taken()) == 3
    assert in_order(output(tmp_path / "out").records()) == in_order(expected(8))


def test_offline_asks_nobody_for_rows_that_are_due_again(fetcher, tmp_path, feed):
    """A row that failed, whose answer would have to be a new one, is left as it stands."""
    feed.answer = lambda day: failing() if day.endswith("03") else published(day)
    job = make_job(tmp_path, feed.url, 5)
    assert fetcher("run", job).code == 3
    feed.taken()
    ran = fetcher("run", job, "--offline")
    assert ran.code == 3
    assert feed.asked == []


def test_refresh_asks_for_every_row_again(fetcher, tmp_path, feed):
    """Also for those that are done; what has changed is a new revision, what has not adds nothing."""
    job = make_job(tmp_path, feed.url, 5)
    assert fetcher("run", job).code == 0
    assert len(feed.taken()) == 5
    feed.answer = lambda day: published(day, 2 if day.endswith("02") else 1)
    ran = fetcher("run", job, "--refresh")
    assert ran.code == 0, ran.err
    assert len(feed.taken()) == 5
    assert "3 records added" in ran.err
    assert fetcher("run", job).code == 0
    assert feed.asked == []


def test_offline_and_refresh_exclude_each_other(fetcher, tmp_path):
    """Exit 2, before the job is read."""
    ran = fetcher("run", tmp_path / "job.toml", "--offline", "--refresh")
    assert ran.code == 2
    assert "--offline and --refresh exclude each other" in ran.err


def test_answers_are_kept_as_their_headers_say(fetcher, tmp_path, feed):
    """`keep = "http"`: `no-store` leaves nothing to parse again, `max-age` does."""

    def said(day):
        answer = published(day)
        answer.headers["Cache-Control"] = "no-store" if day.endswith("02") else "max-age=1000"
        return answer

    feed.answer = said
    kept = sets('fetch.cache.keep="http"')
    job = make_job(tmp_path, feed.url, 5)
    assert fetcher("run", job, *kept).code == 0
    assert len(feed.taken()) == 5
    assert len(fetcher("cache", "ls", job, *kept).out.splitlines()) == 4
    lost_records(tmp_path)
    assert fetcher("run", job, *kept).code == 0
    assert feed.taken() == ["2019-01-02"]


@pytest.mark.parametrize("keep", ["forever", "http"])
def test_kept_answers_are_listed_shown_and_thrown_away(fetcher, tmp_path, feed, keep):
    """By the first letters of a key; a job without a cache has nothing, and says so."""

    def said(day):
        answer = published(day)
        answer.headers["Cache-Control"] = "max-age=1000"
        return answer

    feed.answer = said
    job, kept = make_job(tmp_path, feed.url, 3), sets(f'fetch.cache.keep="{keep}"')
    assert fetcher("cache", "ls", job, *kept).err == "nothing is kept\n"
    assert fetcher("run", job, *kept).code == 0
    lines = fetcher("cache", "ls", job, *kept).out.splitlines()
    assert len(lines) == 3
    key, status, _, _, label = next(line.split("\t") for line in lines if line.endswith("2019-01-02"))
    assert (status, label) == ("200", f"GET {feed.url}/days?date=2019-01-02")
    shown = fetcher("cache", "show", job, key, *kept)
    assert '"day": "2019-01-02"' in shown.out
    assert "Content-Type: application/json" in shown.err
    assert fetcher("cache", "show", job, "nothing", *kept).code == 2
    assert fetcher("cache", "prune", job, "--older-than", "1 day", *kept).out == "0 answers thrown away\n"
    assert fetcher("cache", "clear", job, *kept).out == "3 answers thrown away\n"
    emptied = fetcher("cache", "ls", job, *kept)
    assert (emptied.code, emptied.out, emptied.err) == (0, "", "nothing is kept\n")


@pytest.mark.parametrize("damage", [b"no database", b""])
def test_a_damaged_cache_ends_no_run(fetcher, output, tmp_path, feed, damage):
    """It is set aside, and the answers are asked for again."""
    job = make_job(tmp_path, feed.url, 3)
    assert fetcher("run", job).code == 0
    lost_records(tmp_path)
    feed.taken()
    (tmp_path / "out" / ".fetcher" / "cache.sqlite").write_bytes(damage * 1000)
    assert fetcher("run", job).code == 0
    assert len(feed.taken()) == 3
    assert in_order(output(tmp_path / "out").records()) == in_order(expected(3))


def test_a_warm_run_of_the_main_job_opens_no_socket_and_gives_the_same_bytes(
    serve, fetcher, output, hundred_days, tmp_path
):
    """A new folder with the answers of another: both tables, byte for byte; rows end in the order of their asking."""
    api = serve("--limit", "none", "--no-faults")
    in_order = sets('read.dates.to="2019-04-28"', "fetch.limits.concurrency=1", "parse.workers=1")
    cold, warm = tmp_path / "cold", tmp_path / "warm"
    ran = fetcher(*hundred_days(api, cold), *in_order)
    assert ran.code == 0, ran.err
    (warm / ".fetcher").mkdir(parents=True)
    shutil.copy(cold / ".fetcher" / "cache.sqlite", warm / ".fetcher")
    told = [sys.executable, "-c", WATCHED, *map(str, hundred_days(api, warm)), *in_order]
    ran = subprocess.run(told, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    assert "0 requests" in ran.stderr
    found = {path.name: path.read_bytes() for path in warm.glob("*.jsonl")}
    assert found == {path.name: path.read_bytes() for path in cold.glob("*.jsonl")}
    assert {"records-000001.jsonl", "stations-000001.jsonl"} <= found.keys()
