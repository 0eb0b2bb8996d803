"""The hundred days, from the first request to the last record."""

from datetime import date

import pytest

from fetcher.testing.air_temperature import canonical_hash, load_plan

STEP_60 = (33993, "1a18dbe5c0d2e80c443dfb6543731dca49217c2b65bbf748841b5ea101489134")
STEP_5 = (407828, "ae2ab5683f33afe2d830d4d7fb8e0c943ae982436387bb18c046fbe5e276532d")
FAILED_DAY = "2019-04-29"
ATTEMPTS = 5


def planned_requests(day: str) -> int:
    """How often a day has to be asked: once for each fault and once more, or as often as the job allows."""
    told = load_plan().day(date.fromisoformat(day))
    return ATTEMPTS if told.status == 500 else 1 + sum(fault != "slow3s" for fault in told.faults)


def test_the_demo_twice(serve, fetcher, hundred_days, output, tmp_path):
    """The published records, the counts and the exit code; the second run asks for the failed day and adds nothing."""
    api = serve("--limit", "20/1")
    arguments = hundred_days(api, tmp_path / "out", 'fetch.limits.rate="20/s"')

    ran = fetcher(*arguments)
    assert ran.code == 3, ran.err
    assert "100 rows = 94 done + 5 empty + 1 gave up" in ran.err
    assert canonical_hash(output(tmp_path / "out").records()) == STEP_60
    stats = api.stats()
    assert stats["by_date"] == {day: planned_requests(day) for day in stats["by_date"]}
    assert len(stats["by_date"]) == 100
    assert max(stats["by_date"]) > FAILED_DAY
    assert (stats["by_status"]["429"], stats["limited"], stats["early"]) == (3, 0, 0)

    lines = output(tmp_path / "out").lines()
    again = fetcher(*arguments)
    assert again.code == 3, again.err
    assert "94 done + 5 empty + 1 gave up (99 of them in earlier runs)" in again.err
    assert output(tmp_path / "out").lines() == lines
    after = api.stats()["by_date"]
    assert {day: after[day] - count for day, count in stats["by_date"].items() if after[day] != count} == {
        FAILED_DAY: ATTEMPTS
    }


def test_the_failed_day_is_tried_as_often_as_the_job_says(serve, fetcher, hundred_days, tmp_path):
    """Two attempts where the job says two, and the days after it come all the same."""
    api = serve("--limit", "none", "--no-faults")
    ran = fetcher(*hundred_days(api, tmp_path / "out", "fetch.retries.attempts=2"))
    assert ran.code == 3, ran.err
    assert api.stats()["by_date"] == {**dict.fromkeys(api.stats()["by_date"], 1), FAILED_DAY: 2}
    assert len(api.stats()["by_date"]) == 100


def test_step_5_is_exact_within_150_megabytes(serve, fetcher, hundred_days, output, tmp_path):
    """407,828 records; the peak is that of the main process or of its largest worker."""
    api = serve("--limit", "none", "--step", "5")
    ran = fetcher(*hundred_days(api, tmp_path / "out"), anew=True)
    assert ran.code == 3, ran.err
    print(f"peak {ran.peak_bytes / 1e6:.0f} MB")
    assert ran.peak_bytes <= 150e6
    assert canonical_hash(output(tmp_path / "out").records()) == STEP_5


@pytest.mark.parametrize("step", ["60", pytest.param("5", marks=pytest.mark.slow)])
def test_the_demo_command_runs_server_and_job_together(fetcher, output, tmp_path, step):
    """`fetcher demo`, with nothing but its own options; the waits alone are cut short."""
    folder = tmp_path / "out"
    ran = fetcher("demo", "--step", step, "--folder", folder, "--set", 'fetch.retries.first_wait="10 ms"')
    assert ran.code == 3, ran.err
    assert canonical_hash(output(folder).records()) == {"60": STEP_60, "5": STEP_5}[step]
