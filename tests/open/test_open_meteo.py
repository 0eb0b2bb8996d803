"""`configs/weather_archive.toml`: columns instead of records, several places in a request, a cost a request."""

import pytest
import requests

from fetcher.testing.air_temperature import canonical_hash
from tests.open.open_meteo import (
    API,
    FIRST,
    LAST,
    OpenMeteo,
    expected,
    generated_weather,
    recorded_weather,
)
from tests.open.serving import STRICT, Window, recorded, serving

JOB = "weather_archive"
UNKNOWN = "temperature_2m_max,rain_of_frogs"


@pytest.fixture
def asking(job):
    """`asking(api)`: the arguments that ask for four years of two places, at the emulator's rate."""

    def arguments(api: OpenMeteo, *overrides: str) -> list[str]:
        told = [f'read.dates.from="{FIRST}"', f'read.dates.to="{LAST}"', 'fetch.limits.rate="60/0.2 s"']
        return job(JOB, api, *told, STRICT, *overrides)

    return arguments


def quick(**more) -> OpenMeteo:
    """The API with a window that is short enough for a test."""
    return OpenMeteo(window=Window(60, 0.2), **more)


def test_columns_become_records_of_the_places_that_were_asked_for(fetcher, output, asking, tmp_path, source):
    """By their position, for coordinates differ; nulls stay; no window is exceeded, for the job knows the cost."""
    weather = recorded_weather() if source == "recorded" else generated_weather()
    with serving(quick(weather=weather)) as api:
        ran = fetcher(*asking(api))

    assert ran.code == 0, ran.err
    assert api.by_status[429] == 0
    records = output(tmp_path / "out").records()
    assert canonical_hash(records) == canonical_hash(expected(weather))
    assert sum(record["date"].startswith("2012") for record in records) == 2 * 366
    assert sum(value is None for record in records for value in record.values()) == 2
    if source == "recorded":
        told = recorded(API, "expected.json")["main"]
        assert canonical_hash(records) == (told["records"], told["sha256"])


def test_a_cost_that_is_not_known_is_learnt_from_refusals(fetcher, output, asking, tmp_path):
    """Every request counted as one: the minutely answers are waited for, and are few."""
    with serving(quick()) as api:
        retries = "fetch.retries={attempts=12, first_wait='100 ms'}"
        ran = fetcher(*asking(api, "fetch.limits.cost=1", "fetch.expect=[]", retries))
    assert ran.code == 0, ran.err
    assert api.by_status[429] <= 20
    assert canonical_hash(output(tmp_path / "out").records()) == canonical_hash(expected(api.weather))


def test_a_used_up_day_ends_the_run_and_the_next_one_fetches_the_rest(fetcher, output, asking, tmp_path):
    """What arrived is on disk, hardly anything is asked after the first such answer, and nothing twice."""
    with serving(quick(daily=110)) as api:
        ran = fetcher(*asking(api))
        assert ran.code == 75, ran.err
        assert "Daily API request limit exceeded" in ran.err
        good, refused = api.by_status[200], api.by_status[429]
        assert good and refused <= 4
        assert len(output(tmp_path / "out").records()) in range(365, 2922)

        requests.post(f"{api.url}/__reset", timeout=30)
        ran = fetcher(*asking(api))
    assert ran.code == 0, ran.err
    assert canonical_hash(output(tmp_path / "out").records()) == canonical_hash(expected(api.weather))
    assert len({asked for asked in api.asked if "daily=" in asked}) == api.by_status[200]


def test_an_unknown_variable_is_one_request_and_its_reason(fetcher, asking):
    """A 400 is not asked again; what the API says of it is shown."""
    one = 'read.values=[{location="Seattle", latitude=47.61, longitude=-122.33}]'
    with serving(quick()) as api:
        ran = fetcher(*asking(api, f'fetch.query.daily="{UNKNOWN}"', 'read.dates.to="2012-12-31"', one))
    assert ran.code == 3, ran.err
    assert api.stats()["by_status"] == {"400": 1}
    assert "Cannot initialize DailyVariable from invalid String value rain_of_frogs" in ran.err


def test_a_column_that_is_short_shifts_no_row(fetcher, output, asking, tmp_path):
    """The request fails; not one of its records is written."""
    with serving(quick(short=True)) as api:
        ran = fetcher(*asking(api, 'read.dates.to="2012-12-31"'))
    assert ran.code == 3, ran.err
    assert "wind_speed_10m_max" in ran.err
    assert output(tmp_path / "out").records() == []
