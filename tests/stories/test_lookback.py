"""Feeds that are corrected, or late: the newest days are asked for again at each run."""

from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from fetcher import read_records
from tests.stories.feeds import failing, make_job, manifest_faults, noon_zone, not_out, published, serving, states

DAYS = 6
LOOKBACK = 3


def make_recent_job(folder: Path, url: str, lookback: int = LOOKBACK) -> tuple[Path, list[str]]:
    """A job over the last days, and these days, oldest first."""
    zone = noon_zone()
    today = datetime.now(ZoneInfo(zone)).date()
    job = make_job(folder, url)
    lines = [line for line in job.read_text().splitlines() if not line.startswith(("from =", "to ="))]
    place = lines.index("[read.dates]") + 1
    lines[place:place] = [
        f'from = "{today - timedelta(DAYS)}"',
        'to = "yesterday"',
        f'lookback = "{lookback} days"',
        f'timezone = "{zone}"',
    ]
    job.write_text("\n".join(lines))
    return job, [str(today - timedelta(ago)) for ago in range(DAYS, 0, -1)]


def every(days: list[str], revision: int) -> dict[str, set[int]]:
    """That revision of each day."""
    return {day: {revision} for day in days}


def newest(folder: Path) -> dict[str, set[int]]:
    """The revisions that `read_records(latest=True)` gives, by day."""
    found: dict[str, set[int]] = {}
    for frame in read_records(folder, latest=True):
        for day, revision in zip(frame["day"], frame["revision"], strict=True):
            found.setdefault(day, set()).add(int(revision))
    return found


@pytest.fixture
def feed():
    with serving() as feed:
        yield feed


def test_unchanged_answers_write_nothing(fetcher, output, tmp_path, feed):
    """Only the recent days are asked again, and no byte is added."""
    job, days = make_recent_job(tmp_path, feed.url)
    assert fetcher("run", job).code == 0
    assert sorted(feed.taken()) == days
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.json*")}

    ran = fetcher("run", job)

    assert ran.code == 0, ran.err
    assert sorted(feed.taken()) == days[-LOOKBACK:]
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.json*")} == before
    assert fetcher("verify", job).code == 0


def test_changed_answers_are_appended_and_the_newest_are_read(fetcher, output, tmp_path, feed):
    """Old files stay as they are; a second correction supersedes the first."""
    job, days = make_recent_job(tmp_path, feed.url)
    assert fetcher("run", job).code == 0
    for revision in (2, 3):
        before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("records-*")}
        feed.answer = lambda day, revision=revision: published(day, revision if day == days[-1] else 1)
        assert fetcher("run", job).code == 0
        after = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("records-*")}
        assert {name: after[name] for name in before} == before
        assert newest(tmp_path / "out") == {**every(days, 1), days[-1]: {revision}}
    assert len(output(tmp_path / "out").records()) == 3 * (DAYS + 2)
    assert manifest_faults(tmp_path / "out") == []
    assert fetcher("verify", job).code == 0


def test_a_day_that_is_not_out_yet_waits_and_comes_later(fetcher, tmp_path, feed):
    """Exit 75 while one is missing; 0 once all have come."""
    job, days = make_recent_job(tmp_path, feed.url)
    feed.answer = lambda day: not_out() if day == days[-1] else published(day)
    ran = fetcher("run", job)
    assert ran.code == 75, ran.err
    assert "waiting: nothing is published yet" in ran.err
    assert states(tmp_path / "out") == {"done": DAYS - 1, "waiting": 1}

    feed.answer = published
    assert fetcher("run", job).code == 0
    assert newest(tmp_path / "out") == every(days, 1)


def test_a_day_that_came_out_while_no_run_looked_is_not_taken_for_empty(fetcher, tmp_path, feed):
    """Cron was off until the day had left the lookback: the kept answer, without records, is not its last word."""
    job, days = make_recent_job(tmp_path, feed.url)
    feed.answer = lambda day: not_out() if day == days[-2] else published(day)
    assert fetcher("run", job).code == 75
    feed.answer = published
    feed.taken()

    ran = fetcher("run", job, "--set", 'read.dates.lookback="1 day"')

    assert ran.code == 0, ran.err
    assert days[-2] in feed.taken()
    assert newest(tmp_path / "out") == every(days, 1)


def test_a_day_that_never_comes_out_is_empty_once_it_has_left_the_lookback(fetcher, tmp_path, feed):
    """It is settled by an answer of that time, and not asked for again."""
    job, days = make_recent_job(tmp_path, feed.url)
    feed.answer = lambda day: not_out() if day == days[-2] else published(day)
    assert fetcher("run", job).code == 75
    for asked in ([days[-2], days[-1]], [days[-1]]):
        feed.taken()
        assert fetcher("run", job, "--set", 'read.dates.lookback="1 day"').code == 0
        assert sorted(feed.taken()) == asked
    assert states(tmp_path / "out") == {"done": DAYS - 1, "empty": 1}


def test_a_failing_second_look_loses_nothing(fetcher, output, tmp_path, feed):
    """Exit 3 names the days; their records stay; the next run finds them unchanged."""
    job, days = make_recent_job(tmp_path, feed.url)
    assert fetcher("run", job).code == 0
    lines = output(tmp_path / "out").lines()
    feed.answer = failing

    ran = fetcher("run", job)

    assert ran.code == 3, ran.err
    assert output(tmp_path / "out").lines() == lines
    assert newest(tmp_path / "out") == every(days, 1)
    failed = fetcher("failures", "list", job).out.splitlines()
    assert [line.split("\t")[0] for line in failed] == days[-LOOKBACK:]

    feed.answer = published
    assert fetcher("run", job).code == 0
    assert output(tmp_path / "out").lines() == lines
    assert (tmp_path / "out" / "failures.jsonl").read_bytes() == b""


def test_a_killed_second_look_doubles_nothing(fetcher, start, tmp_path, feed):
    """Killed as soon as a correction is on the disk, or before: the next run ends with each day's newest."""
    job, days = make_recent_job(tmp_path, feed.url, lookback=DAYS)
    assert fetcher("run", job).code == 0
    for revision, looks in ((2, 2), (3, 5)):
        feed.answer = lambda day, revision=revision: published(day, revision)
        feed.taken()
        process = start("run", job, "--set", "fetch.limits.concurrency=1")
        while len(feed.asked) < looks:
            assert process.poll() is None, process.communicate()[1]
        process.kill()
        process.wait()
        assert fetcher("run", job).code == 0
        assert newest(tmp_path / "out") == every(days, revision)
        assert fetcher("verify", job).code == 0
