"""`run --reparse`: what other rules make of kept answers comes in as one step, or not at all."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from fetcher import read_records
from fetcher.model import RowState
from tests.stories.conftest import quiet_environment
from tests.stories.dying_reparse import DEAD
from tests.stories.feeds import (
    days,
    expected,
    in_order,
    make_job,
    make_paged_job,
    manifest_faults,
    not_out,
    paged_items,
    published,
    serving,
    serving_pages,
    sets,
    states,
    until,
)

DAYS = 6
PARSER = """\
import json
import time
from pathlib import Path

HERE = Path(__file__).parent

def parse(body, row):
    day = str(row["date"])
    with (HERE / "parsed").open("a") as log:
        log.write(day + "\\n")
    while (HERE / f"hold {day}").exists():
        time.sleep(0.01)
    items = json.loads(body)["items"]
    bad = HERE / f"bad {day}"
    if bad.exists() and bad.read_text() == str(items[0]["number"]):
        raise ValueError("no such thing")
    yield from (item for item in items if item["number"] % 2 == 0)
"""
STEPS = [
    ("begin", 1, "after"),
    ("name_finally", 1, "after"),
    ("name_finally", 2, "after"),
    ("commit", 1, "before"),
    ("commit", 1, "after"),
    ("become", 1, "after"),
    ("unlink", 1, "after"),
    ("recover", 1, "after"),
    ("replace_summaries", 1, "before"),
]
"""Each step of putting a generation in place, and the moment about it at which the run is killed."""

SWITCHED = {"become", "unlink", "recover", "replace_summaries"}


@pytest.fixture
def feed():
    with serving() as feed:
        yield feed


@pytest.fixture
def job(fetcher, tmp_path, feed):
    """A job that has run, two records a file."""
    job = make_job(tmp_path, feed.url, DAYS, "rotate.records = 2\n")
    assert fetcher("run", job).code == 0
    feed.taken()
    return job


def change(job: Path) -> None:
    """Other rules: every second record."""
    (job.parent / "other.py").write_text(PARSER)
    told = 'function = "other.py:parse"\nworkers = 1'
    job.write_text(job.read_text().replace('records = "items[]"', told))


def change_back(job: Path) -> None:
    job.write_text(job.read_text().replace('function = "other.py:parse"\nworkers = 1', 'records = "items[]"'))


def evens(records: list[dict]) -> list[dict]:
    return [record for record in records if record["number"] % 2 == 0]


def latest(job: Path) -> list[dict]:
    frames = read_records(job.parent / "out", latest=True)
    return sorted(
        (row for frame in frames for row in frame.to_dict("records")), key=lambda row: (row["day"], row["number"])
    )


def files(job: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (job.parent / "out").glob("records-*.jsonl*")}


def begun(job: Path) -> int:
    """How many segments of the next generation are committed."""
    path = job.parent / "out" / ".fetcher" / "reparse.sqlite"
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            query = "SELECT COUNT(*) FROM segments WHERE state != 'published'"
            return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def parsed(job: Path) -> list[str]:
    """The days that the other rules have seen since this was last called."""
    log = job.parent / "parsed"
    seen = log.read_text().split() if log.exists() else []
    log.unlink(missing_ok=True)
    return seen


def is_sound(fetcher, job: Path) -> None:
    verified = fetcher("verify", job)
    assert verified.code == 0, verified.out + verified.err
    assert manifest_faults(job.parent / "out") == []


def test_readers_see_the_old_records_until_all_new_ones_are_there(fetcher, start, feed, job):
    """Files, `latest`, `verify` and states: not a byte of the new before the last row, and then all of it."""
    old = files(job)
    change(job)
    hold = job.parent / f"hold {days(DAYS)[-1]}"
    hold.touch()
    process = start("run", job, "--reparse", *sets("fetch.limits.concurrency=1"))
    until(lambda: begun(job) >= 3, process)

    assert files(job) == old
    assert latest(job) == expected(DAYS)
    is_sound(fetcher, job)

    hold.unlink()
    _, told = process.communicate()
    assert process.returncode == 0, told
    assert latest(job) == evens(expected(DAYS))
    assert {name: held for name, held in files(job).items() if name in old} == old, "published files never change"
    assert feed.taken() == []
    is_sound(fetcher, job)
    assert fetcher("run", job).code == 0
    assert sorted(path.name for path in (job.parent / "out" / ".fetcher").glob("*reparse*")) == []


@pytest.mark.parametrize("ending", ["the same rules", "the rules before"])
@pytest.mark.parametrize(("step", "turn", "moment"), STEPS)
def test_a_kill_at_any_step_leaves_the_old_or_the_new(programs, fetcher, feed, job, step, turn, moment, ending):
    """Never a mixture; and whoever runs next, by which rules ever, gets what these make of the answers."""
    old = files(job)
    change(job)
    told = [step, turn, moment, job]
    with programs.start("tests.stories.dying_reparse", told, quiet_environment()) as process:
        assert process.wait() == DEAD, process.said()

    assert latest(job) == (evens(expected(DAYS)) if step in SWITCHED else expected(DAYS))
    assert files(job).items() >= old.items()
    verified = fetcher("verify", job)
    assert verified.code == 0, verified.out

    if ending == "the same rules":
        assert fetcher("run", job, "--reparse").code == 0
        assert latest(job) == evens(expected(DAYS))
    else:
        change_back(job)
        assert fetcher("run", job, *(["--reparse"] if step in SWITCHED else [])).code == 0
        assert latest(job) == expected(DAYS)
        assert step in SWITCHED or files(job) == old
    is_sound(fetcher, job)
    assert feed.taken() == []


def test_a_reparse_that_is_cut_goes_on_where_it_was(fetcher, start, feed, job):
    """No row is parsed again that was parsed by these rules, and nothing of it is seen before the end."""
    change(job)
    hold = job.parent / f"hold {days(DAYS)[-1]}"
    hold.touch()
    slowly = sets("fetch.limits.concurrency=1")
    process = start("run", job, "--reparse", *slowly)
    until(lambda: begun(job) >= 3, process)
    process.kill()
    process.wait()
    hold.unlink()
    assert len(parsed(job)) == DAYS
    assert fetcher("run", job).code == 78
    assert latest(job) == expected(DAYS)

    assert fetcher("run", job, "--reparse").code == 0

    assert days(DAYS)[0] not in parsed(job)
    assert latest(job) == evens(expected(DAYS))
    is_sound(fetcher, job)


@pytest.mark.parametrize("more", [published, not_out], ids=["records", "none"])
def test_who_writes_the_ledger_meanwhile_has_a_cut_reparse_begin_anew(fetcher, start, feed, job, more):
    """A run by the old rules finds nothing of it, and what that run brings is in the next generation, too."""
    hold = job.parent / f"hold {days(DAYS)[-1]}"
    hold.touch()
    feed.answer = more
    change(job)
    process = start("run", job, "--reparse", *sets("fetch.limits.concurrency=1"))
    until(lambda: begun(job) >= 3, process)
    process.kill()
    process.wait()
    hold.unlink()

    make_job(job.parent, feed.url, DAYS + 1, "rotate.records = 2\n")
    assert fetcher("run", job).code == 0
    count = DAYS + (more is published)
    assert latest(job) == expected(count)
    found = states(job.parent / "out")
    is_sound(fetcher, job)
    parsed(job)

    change(job)
    assert fetcher("run", job, "--reparse").code == 0
    assert sorted(parsed(job)) == days(DAYS + 1)
    assert latest(job) == evens(expected(count))
    assert states(job.parent / "out") == found
    is_sound(fetcher, job)


def test_what_fails_under_the_new_rules_loses_its_old_records_at_the_switch(fetcher, feed, job):
    """It is quarantined and told; rules that can read it again bring it back."""
    change(job)
    (bad := job.parent / f"bad {days(2)[1]}").write_text("0")
    ran = fetcher("run", job, "--reparse")
    assert ran.code == 3, ran.err
    assert latest(job) == [record for record in evens(expected(DAYS)) if record["day"] != days(2)[1]]
    assert states(job.parent / "out") == {RowState.DONE: DAYS - 1, RowState.QUARANTINED: 1}
    is_sound(fetcher, job)

    bad.unlink()
    assert fetcher("run", job, "--reparse").code == 0
    assert latest(job) == evens(expected(DAYS))
    is_sound(fetcher, job)
    assert feed.taken() == []


def test_a_row_of_pages_that_fails_loses_all_of_them(fetcher, tmp_path):
    """Pages that could be read are none of a row that could not; a retry asks from its first page."""
    with serving_pages(3) as feed:
        job = make_paged_job(tmp_path, feed.url, count=2)
        assert fetcher("run", job).code == 0
        feed.taken()
        change(job)
        (bad := job.parent / f"bad {days(1)[0]}").write_text("6")  # the last of its pages
        assert fetcher("run", job, "--reparse").code == 3
        assert latest(job) == evens(paged_items(days(2)[1], 3))
        is_sound(fetcher, job)
        bad.unlink()
        assert fetcher("run", job, "--reparse").code == 0
        assert latest(job) == [item for day in days(2) for item in evens(paged_items(day, 3))]
        assert feed.taken() == []
        is_sound(fetcher, job)


def test_rows_whose_answers_are_gone_stay_as_they_were_and_are_told(fetcher, feed, job):
    """Exit 75, with both ways on; the job stays refused until somebody has taken one."""
    assert fetcher("cache", "clear", job).code == 0
    change(job)
    ran = fetcher("run", job, "--reparse")
    assert ran.code == 75
    told = f"{DAYS} rows have no kept answer, and stay as before, by the old rules; "
    ways = "run --as-is --refresh asks for every row again, run --as-is leaves these as they are"
    assert told + ways in ran.err
    assert latest(job) == in_order(expected(DAYS))
    refused = fetcher("run", job)
    assert refused.code == 78
    assert "with --refresh it asks for all anew" in refused.err
    assert feed.taken() == []
    is_sound(fetcher, job)

    assert fetcher("run", job, "--as-is", "--refresh").code == 0
    assert sorted(feed.taken()) == days(DAYS)
    assert latest(job) == evens(expected(DAYS))
    assert fetcher("run", job).code == 0
    is_sound(fetcher, job)
