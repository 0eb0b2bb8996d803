import gzip
import hashlib
import json
import math
import random
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.testing.air_temperature import (
    Place,
    canonical_hash,
    day_body,
    day_items,
    day_records,
    degrees,
    is_left_out,
    load_plan,
    tenths,
)

RECORDINGS = Path(__file__).parents[3] / "shared" / "open" / "datagovsg-v1-air-temperature"
needs_recordings = pytest.mark.skipif(not RECORDINGS.is_dir(), reason=f"no recordings at {RECORDINGS}")

SCALARS = st.one_of(st.none(), st.booleans(), st.text(), st.integers(), st.floats(-1e9, 1e9))
RECORDS = st.lists(st.dictionaries(st.text(max_size=5), SCALARS, max_size=4), max_size=8)


def plan_days() -> Iterator[date]:
    plan = load_plan()
    for number in range((plan.last - plan.first).days + 1):
        yield plan.first + timedelta(number)


def recording(name):
    return json.loads((RECORDINGS / name).read_bytes())


@pytest.mark.parametrize(
    ("step", "records", "sha256"),
    [
        (60, 33993, "1a18dbe5c0d2e80c443dfb6543731dca49217c2b65bbf748841b5ea101489134"),
        (5, 407828, "ae2ab5683f33afe2d830d4d7fb8e0c943ae982436387bb18c046fbe5e276532d"),
    ],
)
def test_a_hundred_days_have_the_published_hash(step, records, sha256):
    """Every machine serves the same readings; a whole run is held against these two hashes."""
    assert canonical_hash(record for day in plan_days() for record in day_records(day, step)) == (records, sha256)


@pytest.mark.parametrize(
    ("day", "value"), [(date(2019, 4, 15), 31.2), (date(2019, 6, 4), 31.2), (date(2019, 7, 19), 31.6)]
)
def test_noon_at_paya_lebar_is_as_published(day, value):
    """Three values that anybody can look up."""
    noon = f"{day}T12:00:00+08:00"
    assert {"timestamp": noon, "station_id": "S06", "value": value} in list(day_records(day, 60))


@pytest.mark.parametrize("step", [60, 5])
def test_a_body_holds_exactly_the_records_of_its_day(step):
    """The body is the records, item by item, oldest first, with stations always in the same order."""
    order = [station.id for station in load_plan().stations]
    for day in plan_days():
        told = json.loads(day_body(day, step))
        items = [item for item in told.get("items", ()) if item["timestamp"]]
        read = [{"timestamp": item["timestamp"], **reading} for item in items for reading in item["readings"]]
        assert read == list(day_records(day, step))
        assert [item["timestamp"] for item in items] == sorted({item["timestamp"] for item in items})
        for item in items:
            ranks = [order.index(reading["station_id"]) for reading in item["readings"]]
            assert ranks == sorted(set(ranks))


def test_whole_degrees_are_sent_as_integers():
    """The real feed sends 24 and not 24.0: a reader must cope with both types in one column."""
    numbers = Counter(type(record["value"]) for day in plan_days() for record in day_records(day, 60))
    assert numbers == {float: 33993 - 3341, int: 3341}
    assert b".0}" not in day_body(date(2019, 4, 15), 5)


@given(st.integers(-400, 600))
def test_degrees_are_tenths_divided_by_ten(number):
    """One digit after the point, below zero too."""
    assert degrees(number) == number / 10
    assert isinstance(degrees(number), int) == (number % 10 == 0)


@given(
    st.sampled_from([station.id for station in load_plan().stations]),
    st.dates(date(2019, 1, 1), date(2019, 12, 31)),
    st.times(),
)
def test_temperatures_stay_within_what_the_formula_allows(station_id, day, moment):
    """A typical hour's temperature, off by at most 1.0 for the day, 0.6 for the station, 0.3 for the moment."""
    value = tenths(station_id, day.isoformat(), moment.hour, moment.minute)
    assert 250 - 19 <= value <= 305 + 19


def test_each_record_is_what_the_formula_says():
    """`tenths` is the formula; what is served is the same, computed faster."""
    for record in day_records(date(2019, 6, 4), 5):
        day, moment = record["timestamp"][:16].split("T")
        hour, minute = moment.split(":")
        assert record["value"] == tenths(record["station_id"], day, int(hour), int(minute)) / 10


def test_stations_fall_silent_by_the_hour_and_are_then_not_listed():
    """A gap lasts a clock hour; `metadata.stations` lists the stations of that day's items, no others."""
    for day in plan_days():
        for item in day_items(day, 30):
            hour = int(item["timestamp"][11:13])
            assert not any(is_left_out(reading["station_id"], str(day), hour) for reading in item["readings"])
        told = json.loads(day_body(day, 60))
        seen = {record["station_id"] for record in day_records(day, 60)}
        listed = [station["id"] for station in told.get("metadata", {}).get("stations", ())]
        assert listed == [station.id for station in load_plan().stations if station.id in seen]


def test_pulau_ubin_starts_in_june_and_ang_mo_kio_moves():
    """S106 exists from 1 June on; S109 is told at its new place from 15 June on."""
    starts = min(day for day in plan_days() if any(r["station_id"] == "S106" for r in day_records(day, 60)))
    assert starts == date(2019, 6, 1)
    s109 = next(station for station in load_plan().stations if station.id == "S109")
    assert s109.place_on(date(2019, 6, 14)) == Place(1.3764, 103.8492)
    assert s109.place_on(date(2019, 6, 15)) == Place(1.3793, 103.85)
    places = set()
    for day in plan_days():
        for station in json.loads(day_body(day, 60)).get("metadata", {}).get("stations", ()):
            places.add((station["id"], *station["location"].values()))
    assert len(places) == 17


def test_partial_days_end_and_begin_on_the_minute():
    """Both ends of a cut are inclusive."""
    timestamps = {day: [item["timestamp"][11:16] for item in day_items(day, 5)] for day in plan_days()}
    assert timestamps[date(2019, 4, 20)][-1] == "16:35"
    assert timestamps[date(2019, 4, 23)][0] == "08:00"
    assert timestamps[date(2019, 7, 20)][-1] == "21:45"


def test_the_shapes_of_nothing_are_three():
    """No items; one item without a time; and a day that never answers."""
    nothing = '{"metadata":{"stations":[]},"items":%s,"api_info":{"status":"healthy"}}'
    assert day_body(date(2019, 4, 21), 60).decode() == nothing % "[]"
    assert day_body(date(2019, 4, 22), 60).decode() == nothing % '[{"timestamp":"","readings":[]}]'
    assert day_body(date(2019, 4, 29), 60) == b'{"message":"Internal Server Error"}'
    assert load_plan().day(date(2019, 4, 29)).status == 500


@pytest.mark.parametrize("day", [date(2019, 4, 14), date(2019, 7, 24), date(1, 1, 1), date(9999, 12, 31)])
def test_days_before_and_after_the_plan_are_empty(day):
    """Asking for too much is no error: there is just nothing."""
    assert load_plan().day(day).status == 200
    assert day_body(day, 60) == day_body(date(2019, 4, 21), 60)


@given(RECORDS, st.randoms())
def test_the_hash_sees_neither_order_nor_the_type_of_whole_numbers(records, chance: random.Random):
    """24.0 counts as 24, and neither the order of records nor that of their fields matters."""
    told_otherwise = [dict(chance.sample(list(record.items()), len(record))) for record in records]
    for record in told_otherwise:
        for key, value in record.items():
            if type(value) is int and abs(value) < 2**53:
                record[key] = float(value)
    chance.shuffle(told_otherwise)
    assert canonical_hash(told_otherwise) == canonical_hash(records)


@given(RECORDS.filter(bool))
def test_the_hash_sees_a_repeated_and_a_lost_record(records):
    """Nothing lost, nothing twice: either changes the count and the hash."""
    count, sha256 = canonical_hash(records)
    assert count == len(records)
    for other in (records + records[:1], records[1:]):
        other_count, other_sha256 = canonical_hash(other)
        assert other_count != count
        assert other_sha256 != sha256


def test_the_hash_is_one_of_sorted_lines():
    """What anybody can compute with jq and sha256sum."""
    lines = '{"a":"é","b":[1,{"c":null}]}\n{"a":1.5,"b":true}\n'
    records: list[dict[str, object]] = [{"b": True, "a": 1.5}, {"b": [1.0, {"c": None}], "a": "é"}]
    assert canonical_hash(records) == (2, hashlib.sha256(lines.encode()).hexdigest())
    assert canonical_hash([]) == (0, hashlib.sha256(b"\n").hexdigest())


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf]])
def test_the_hash_refuses_what_json_cannot_say(value):
    """NaN in a record is a fault, not a value."""
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_hash([{"value": value}])


@needs_recordings
def test_the_plan_is_the_published_one():
    """Every day's kind, cut and faults are those of the published plan."""
    plan = load_plan()
    for told in recording("days.json"):
        day = plan.day(date.fromisoformat(told["date"]))
        assert day.kind == told["kind"]
        assert day.faults == tuple(str(fault) for fault in told.get("faults", ()))
        assert f"{day.opens:%H:%M}" == told.get("from", "00:00")
        assert f"{day.closes:%H:%M}" == told.get("until", "23:59")
    assert [str(day) for day in plan_days()] == [told["date"] for told in recording("days.json")]


@needs_recordings
def test_stations_are_told_as_recorded():
    """Names, places and order are those of the real feed."""
    told = recording("stations.json")
    bodies = [json.loads(day_body(day, 60)) for day in plan_days()]
    listed = {entry["id"]: entry for body in reversed(bodies) for entry in body.get("metadata", {}).get("stations", ())}
    assert [listed[entry["id"]] for entry in told["stations"]] == told["stations"]
    assert [station.id for station in load_plan().stations] == [entry["id"] for entry in told["stations"]]


@needs_recordings
@pytest.mark.parametrize("step", [60, 5])
def test_each_day_has_the_published_number_of_items_and_records(step):
    """A wrong hash says that something is wrong; these counts say on which day."""
    told = recording("expected.json")[f"step{step}"]["items_and_records_per_day"]
    for day in plan_days():
        assert [len(list(day_items(day, step))), len(list(day_records(day, step)))] == told[str(day)]


@needs_recordings
def test_the_records_are_the_published_lines():
    """Line by line, so that a difference shows itself."""
    lines = gzip.decompress((RECORDINGS / "expected_step60.jsonl.gz").read_bytes()).decode().splitlines()
    records = [record for day in plan_days() for record in day_records(day, 60)]
    assert sorted(json.dumps(record, sort_keys=True, separators=(",", ":")) for record in records) == lines


@needs_recordings
@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("recorded_empty-items.json", date(2019, 4, 21)),
        ("recorded_blank-item.json", date(2019, 4, 22)),
        ("recorded_error-500.json", date(2019, 4, 29)),
    ],
)
def test_bodies_without_readings_are_the_recorded_ones(name, day):
    """Byte for byte, but for a newline at the end of the file."""
    assert day_body(day, 60) == (RECORDINGS / name).read_bytes().rstrip()


@needs_recordings
def test_a_body_has_the_recorded_shape():
    """The same keys in the same order at every level as in a real answer."""

    def shape(value):
        match value:
            case dict():
                return [(key, shape(inner)) for key, inner in value.items()]
            case list():
                return [shape(value[0])] if value else []
            case _:
                return type(value)

    # Its first reading, at S06 at midnight, is 27.3: a float, as in the recording.
    assert shape(json.loads(day_body(date(2019, 4, 15), 60))) == shape(
        recording("recorded_air-temperature-2018-06-13.json")
    )
