"""`configs/earthquakes.toml`: too many matches are refused, so windows are halved; their borders are in both halves."""

import pytest

from fetcher.testing.air_temperature import canonical_hash
from tests.open.serving import STRICT, Window, recorded, serving
from tests.open.usgs import API, Earthquakes, expected, generated_events, recorded_events
from tests.stories.feeds import states

JOB = "earthquakes"
TEST_RATE = 'fetch.limits.rate="10/0.2 s"'
WAYS = {
    "a window a day, halved where it must be": [],
    "one window, halved": ['read.dates.every="8 days"'],
    "a window of two days each, halved": ['read.dates.every="2 days"'],
    "pages": [
        'read.dates.every="8 days"',
        "fetch.expect=[]",
        'fetch.pages={kind="offset", first=1, size=200, size_parameter="limit", short_is_last=true}',
    ],
}


def days(first: str, last: str) -> list[str]:
    """Overrides that ask for those days."""
    return [f'read.dates.from="{first}"', f'read.dates.to="{last}"']


WEEK = (TEST_RATE, STRICT, 'read.dates.every="1 day"', *days("2018-01-31", "2018-02-07"))


def catalogue(source: str, **more) -> Earthquakes:
    """The API with a window that is short enough for a test."""
    events = recorded_events() if source == "recorded" else generated_events()
    return Earthquakes(events=events, window=Window(10, 0.2), **more)


@pytest.mark.parametrize("way", WAYS)
def test_every_event_is_there_once_whichever_way_is_taken(fetcher, output, job, tmp_path, source, way):
    """Also those on the border of two windows; numbers of one kind, times with their milliseconds."""
    with serving(catalogue(source)) as api:
        ran = fetcher(*job(JOB, api, *WEEK, *WAYS[way]))

    assert ran.code == 0, ran.err
    assert len(api.asked) <= 60
    assert api.by_status[429] == 0
    records = output(tmp_path / "out").records()
    assert canonical_hash(records) == canonical_hash(expected(api.events))
    assert {type(record["mag"]) for record in records} == {float}
    if source == "recorded":
        told = recorded(API, "expected.json")["main"]
        assert canonical_hash(records) == (told["records"], told["sha256"])
        if way == "one window, halved":
            assert api.stats()["by_status"] == {"200": 14, "400": 13}
            assert "3 repeats" in ran.err


def test_a_least_magnitude_makes_halving_needless(fetcher, output, job, tmp_path, source):
    """One request, and what it finds."""
    with serving(catalogue(source)) as api:
        events = [event for event in api.events if event["properties"]["mag"] >= 5.5] if source == "generated" else None
        least = 5.5 if source == "generated" else 4.5
        ran = fetcher(*job(JOB, api, *WEEK, 'read.dates.every="8 days"', f"fetch.query.minmagnitude={least}"))

    assert ran.code == 0, ran.err
    assert api.stats()["by_status"] == {"200": 1}
    records = output(tmp_path / "out").records()
    assert canonical_hash(records) == canonical_hash(expected(api.events, least))
    assert events is None or len(records) == len(events) > 0
    if source == "recorded":
        told = recorded(API, "expected.json")["minmag_4.5"]
        assert canonical_hash(records) == (told["records"], told["sha256"])


def test_a_window_without_events_is_empty_and_no_failure(fetcher, job, tmp_path):
    """204 without a body."""
    with serving(catalogue("generated")) as api:
        ran = fetcher(*job(JOB, api, 'read.dates.every="29 days"', *days("2018-01-01", "2018-01-29")))
    assert ran.code == 0, ran.err
    assert api.stats()["by_status"] == {"204": 1}
    assert states(tmp_path / "out") == {"empty": 1}


def test_halving_ends_at_a_second_with_an_error(fetcher, job):
    """A cap of nothing: the row fails once its part cannot be halved, and the reason says where."""
    with serving(catalogue("generated", most=0)) as api:
        ran = fetcher(*job(JOB, api, *days("2018-02-01", "2018-02-01"), 'read.dates.every="2 days"', TEST_RATE))
    assert ran.code == 3, ran.err
    assert len(api.asked) <= 40
    assert "more than the API gives at once" in ran.err
