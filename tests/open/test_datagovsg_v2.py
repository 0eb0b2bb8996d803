"""`configs/air_temperature_v2.toml`: days in 58 pages that depend on each other, newest first, by a token."""

from fetcher.testing.air_temperature import canonical_hash
from tests.open.datagovsg_v2 import (
    API,
    FINISHED,
    LIVE,
    NOTHING,
    SHORTENED,
    AirTemperature,
    expected,
    generated_feed,
    recorded_feed,
)
from tests.open.serving import STRICT, recorded, serving
from tests.stories.feeds import states, until

JOB = "air_temperature_v2"
PRODUCTION = ('fetch.headers.x-api-key="prod-key"', 'fetch.limits.rate="30/0.2 s"', STRICT)


def days(first: str, last: str = "") -> list[str]:
    """Overrides that ask for those days."""
    return [f'read.dates.from="{first}"', f'read.dates.to="{last or first}"']


def paged(api: AirTemperature, day: str) -> int:
    """How many requests came for a day."""
    return sum(f"date={day}" in asked for asked in api.asked)


def test_two_finished_days_and_one_without_data(fetcher, output, job, tmp_path, source):
    """58 requests a day and one for the day without data, which is no failure; the hash is the specification's."""
    feed = recorded_feed() if source == "recorded" else generated_feed()
    with serving(AirTemperature(feed=feed, lasts_s=0.2)) as api:
        ran = fetcher(*job(JOB, api, *PRODUCTION, *days(FINISHED, SHORTENED)))

    assert ran.code == 0, ran.err
    assert api.stats() == {"requests": 117, "by_status": {"200": 116, "404": 1}, "early": 0}
    assert [paged(api, day) for day in (FINISHED, NOTHING, SHORTENED)] == [58, 1, 58]
    assert states(tmp_path / "out") == {"done": 2, "empty": 1}
    records = output(tmp_path / "out").records()
    assert {type(record["value"]) for record in records} == {float}
    found = canonical_hash(records)
    assert found == canonical_hash([*expected(feed, FINISHED), *expected(feed, SHORTENED)])
    if source == "recorded":
        told = recorded(API, "expected.json")["finished_days"]
        assert found == (told["records"], told["sha256"])


def test_a_day_that_grows_while_it_is_paged_has_no_reading_twice(fetcher, output, job, tmp_path, source):
    """Each page repeats a reading of the one before; all that was there at the start is there at the end."""
    feed = recorded_feed() if source == "recorded" else generated_feed()
    with serving(AirTemperature(feed=feed, lasts_s=0.2)) as api:
        ran = fetcher(*job(JOB, api, *PRODUCTION, *days(LIVE)))

    assert ran.code == 0, ran.err
    records = output(tmp_path / "out").records()
    assert len({(record["timestamp"], record["stationId"]) for record in records}) == len(records)
    assert "repeats" in ran.err
    early = [record for record in records if record["timestamp"] < f"{LIVE}T05:00"]
    assert canonical_hash(early) == canonical_hash(expected(feed, LIVE, 300))
    if source == "recorded":
        told = recorded(API, "expected.json")["live_day"]
        assert canonical_hash(early) == (told["must_contain_records"], told["sha256_of_must_contain"])


def test_without_a_key_the_windows_are_filled_and_nobody_is_refused(fetcher, job):
    """Six a window: at least 80 % of them are full, at most a tenth of the requests are refused."""
    with serving(AirTemperature(lasts_s=0.15)) as api:
        ran = fetcher(*job(JOB, api, 'fetch.limits.rate="6/0.15 s"', *days(FINISHED, LIVE)))

    assert ran.code == 0, ran.err
    filled = api.windows[""].filled
    assert sum(filled) >= 0.8 * 6 * len(filled)
    assert api.by_status[429] <= 0.1 * sum(api.by_status.values())


def test_a_bad_date_is_one_request_and_its_reason(fetcher, job):
    """A 400 is not asked again; what the API says of it is shown."""
    with serving(AirTemperature()) as api:
        ran = fetcher(*job(JOB, api, *days(FINISHED), 'fetch.query.date="2026-13-01"'))
    assert ran.code == 3, ran.err
    assert api.stats()["by_status"] == {"400": 1}
    assert "Invalid date format. Date format must be YYYY-MM-DD (2024-06-01)" in ran.err


def test_a_killed_run_asks_no_finished_day_again(fetcher, start, output, job, tmp_path):
    """Killed in the middle of the second day: its pages go on, those of the first do not come again."""
    with serving(AirTemperature(lasts_s=0.2)) as api:
        assert fetcher(*job(JOB, api, *PRODUCTION, *days(FINISHED))).code == 0
        both = job(JOB, api, *PRODUCTION, *days(FINISHED, SHORTENED))
        process = start(*both)
        until(lambda: paged(api, SHORTENED) > 20, process)
        process.kill()
        process.wait()
        ran = fetcher(*both)

    assert ran.code == 0, ran.err
    assert paged(api, FINISHED) == 58
    assert 58 <= paged(api, SHORTENED) <= 59
    records = output(tmp_path / "out").records()
    assert canonical_hash(records) == canonical_hash([*expected(api.feed, FINISHED), *expected(api.feed, SHORTENED)])
