"""`configs/air_temperature.toml`, beside what `tests/stories` hold of it: its second table, and the specified hash."""

import json

from fetcher.testing.air_temperature import load_plan
from tests.open.serving import ROOT, recorded
from tests.stories.feeds import sets
from tests.stories.test_demo import STEP_5, STEP_60

API = "datagovsg-v1-air-temperature"


def test_stations_are_a_table_that_has_every_place_of_one_that_moved(serve, fetcher, tmp_path):
    """Sixteen stations at seventeen places; each is there once, though 94 days name it."""
    plan, api = load_plan(), serve("--limit", "none", "--no-faults")
    told = [f'fetch.base_url="{api.url}"', f'read.dates.from="{plan.first}"', f'read.dates.to="{plan.last}"']
    told += [f"write.folder='{tmp_path / 'out'}'", 'fetch.limits.rate="2000/s"', "fetch.retries.attempts=1"]
    ran = fetcher("run", ROOT / "configs" / "air_temperature.toml", *sets(*told))

    assert ran.code == 3, ran.err
    lines = [line for file in (tmp_path / "out").glob("stations-*.jsonl") for line in file.read_text().splitlines()]
    stations = [json.loads(line) for line in lines]
    assert all(set(station) == {"id", "name", "latitude", "longitude"} for station in stations)
    places = [(station["id"], station["latitude"], station["longitude"]) for station in stations]
    known = {(station.id, place.latitude, place.longitude) for station in plan.stations for place in places_of(station)}
    assert len(places) == len(set(places)) == 17
    assert set(places) == known
    assert len({id_ for id_, *_ in places}) == 16


def places_of(station):
    """Where a station stands over the days of the plan."""
    return [station.place, station.moved_to] if station.moved_to else [station.place]


def test_the_hashes_of_the_stories_are_those_of_the_specification():
    """So whoever equals them equals the recording."""
    told = recorded(API, "expected.json")
    for hundred_days, step in ((STEP_60, "step60"), (STEP_5, "step5")):
        assert hundred_days == (told[step]["records"], told[step]["sha256"])
