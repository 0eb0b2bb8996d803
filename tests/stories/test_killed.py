"""Runs that end before their time: killed, or asked to stop."""

import json
import random
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import suppress
from datetime import date, timedelta

import pytest

from fetcher.model import Request
from fetcher.testing.air_temperature import canonical_hash, load_plan
from tests.stories.kills import survive

STEP_60 = (33993, "1a18dbe5c0d2e80c443dfb6543731dca49217c2b65bbf748841b5ea101489134")
SEED = 20190415
KILLS = 20
LIVES_S = (0.3, 1.3)
COMMIT_S = 0.05
IN_FLIGHT = 2
"""At four starts a second: one on the wire, and one answered whose answer is being kept."""
DEADLINE_S = 60
TABLES = [
    'write.tables.stations={ records = "metadata.stations[]", key = ["id"] }',
    'write.tables.hours={ records = "items[].{timestamp: timestamp}" }',
]


def kept_days(api, folder, scratch) -> set[str]:
    """The days whose answer is in the cache, read from a copy: opening the original would tidy it up."""
    if not (folder / ".fetcher" / "cache.sqlite").exists():
        return set()
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for path in (folder / ".fetcher").glob("cache.sqlite*"):
        shutil.copy(path, scratch)
    connection = sqlite3.connect(scratch / "cache.sqlite")
    try:
        keys = {key for (key,) in connection.execute("SELECT request_key FROM answers")}
    except sqlite3.OperationalError:  # killed before the table was made
        return set()
    finally:
        connection.close()
    plan = load_plan()
    days = [str(plan.first + timedelta(number)) for number in range((plan.last - plan.first).days + 1)]
    path = "/v1/environment/air-temperature?date="
    return {day for day in days if Request("GET", f"{api.url}{path}{day}").key in keys}


def is_faulty(day: str) -> bool:
    """Whether a day may be asked, and answered, without anything to keep."""
    told = load_plan().day(date.fromisoformat(day))
    return bool(told.faults) or told.status != 200


def until(condition, process) -> None:
    """Poll until the condition holds; a run that ends first, or a deadline, fails the test."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.001)


def grown(folder, pattern):
    """A condition: the files of that pattern have more bytes than when it was last asked, or there are more of them."""

    def seen() -> tuple[int, int]:
        sizes = []
        for path in folder.glob(pattern):
            with suppress(FileNotFoundError):
                sizes.append(path.stat().st_size)
        return len(sizes), sum(sizes)

    before = seen()

    def condition() -> bool:
        nonlocal before
        last, before = before, seen()
        return before[0] > last[0] or before[1] > last[1]

    return condition


def live(process, output, life_s) -> None:
    """Let a run go on for that long, looking at its published files all the while."""
    end = time.monotonic() + life_s
    while (left_s := end - time.monotonic()) > 0:
        output.lines()
        try:
            process.wait(min(left_s, 0.02))
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"it ended before it could be killed: {process.communicate()[1]}")


def test_twenty_kills_lose_nothing_and_double_nothing(serve, start, fetcher, hundred_days, output, tmp_path):
    """No half line at any time, published files stay as they are, an answer that was kept is not asked for again.

    A third of the kills come at any moment; the others right after a write or a publication, which a moment drawn from
    seconds would hardly ever meet. The same answers fill two more tables, one of which drops what it has.
    """
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    api = serve("--limit", "none")
    folder = tmp_path / "out"
    told = ['write.rotate.bytes="30 kB"', *TABLES]  # so small that a commit publishes as well
    slowly = hundred_days(api, folder, *told, 'fetch.limits.rate="4/s"')
    published: dict[str, bytes] = {}
    for kill in range(KILLS):
        kept, before = kept_days(api, folder, tmp_path / "copy"), api.stats()["by_date"]
        process = start(*slowly)
        life_s = chance.uniform(*LIVES_S)
        if anchor := (None, ".fetcher/*.open", "*-0*")[kill % 3]:
            life_s = chance.uniform(0, COMMIT_S)
            until(grown(folder, anchor), process)
        live(process, output(folder), life_s)
        process.kill()
        process.wait()
        found = {path.name: path.read_bytes() for path in folder.glob("*-0*")}
        assert {name: found.get(name) for name in published} == published
        published = found
        output(folder).records()
        after = api.stats()["by_date"]
        print(
            f"kill {kill}: {anchor} {life_s:.3f} s, {len(after)} days asked, {len(kept)} kept, {len(published)} files"
        )
        assert {day for day in kept if after[day] != before[day]} == set()
        lost = {day for day in after.keys() - kept_days(api, folder, tmp_path / "copy") if not is_faulty(day)}
        assert len(lost) <= IN_FLIGHT, "answers that had come were not kept"
    assert len(published) > 3, "no kill met a commit"

    kept, before = kept_days(api, folder, tmp_path / "copy"), api.stats()["by_date"]
    ran = fetcher(*hundred_days(api, folder, *told))
    assert ran.code == 3, ran.err
    assert "94 done + 5 empty + 1 gave up" in ran.err
    assert canonical_hash(output(folder).records()) == STEP_60
    assert {day for day in kept if api.stats()["by_date"][day] != before[day]} == set()
    check_tables(output(folder))
    verified = fetcher("verify", *hundred_days(api, folder, *told)[1:])
    assert verified.code == 0, verified.err


def check_tables(output) -> None:
    """The other tables hold each station that the records speak of once, and each hour of each day once."""
    records, by_table = output.records(), {}
    for table in ("stations", "hours"):
        paths = sorted(output.folder.glob(f"{table}-*.jsonl"))
        by_table[table] = [json.loads(line) for path in paths for line in path.read_bytes().splitlines()]
    stations = [station["id"] for station in by_table["stations"]]
    assert sorted(stations) == sorted({record["station_id"] for record in records})
    hours = [hour["timestamp"] for hour in by_table["hours"] if hour["timestamp"]]
    assert sorted(hours) == sorted({record["timestamp"] for record in records})


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_commits_what_came_and_the_next_run_goes_on(
    serve, start, fetcher, hundred_days, output, tmp_path, number, code
):
    """What was received is published at once; nothing of it is asked for again."""
    api = serve("--limit", "none")
    folder = tmp_path / "out"
    process = start(*hundred_days(api, folder, 'fetch.limits.rate="50/s"'))
    until(lambda: api.stats()["requests"] >= 40, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == code, errors
    assert "Traceback" not in errors
    assert "interrupted: everything received is committed; run again to go on" in errors
    days = {record["timestamp"][:10] for record in output(folder).records()}
    assert len(days) > 20
    kept, before = kept_days(api, folder, tmp_path / "copy"), api.stats()["by_date"]
    assert days <= kept

    ran = fetcher(*hundred_days(api, folder))
    assert ran.code == 3, ran.err
    assert canonical_hash(output(folder).records()) == STEP_60
    assert {day for day in kept if api.stats()["by_date"][day] != before[day]} == set()


def test_a_second_run_leaves_at_once_and_sends_nothing(serve, start, fetcher, hundred_days, tmp_path):
    """Exit 4 and one line; the first run goes on."""
    api, other = serve("--limit", "none"), serve("--limit", "none")
    first = start(*hundred_days(api, tmp_path / "out", 'fetch.limits.rate="1/s"'))
    until(lambda: api.stats()["requests"] > 0, first)
    ran = fetcher(*hundred_days(other, tmp_path / "out"))
    assert first.poll() is None
    assert ran.code == 4
    assert len(ran.err.splitlines()) == 1
    assert "another run holds" in ran.err
    assert json.dumps(other.stats()["by_date"]) == "{}"


def test_a_job_that_is_killed_a_dozen_times_is_exact(tmp_path):
    """Each run is killed soon after its first new request; left alone, the job ends, every record there once."""
    story = survive(tmp_path, kills=12, seed=SEED)

    assert story.fault == ""
