"""What the built-in API knows: a hundred days of air temperature at sixteen stations in Singapore.

Everything follows from `air_temperature.toml` and SHA-256, so every machine serves the same bytes and a test can hold
a whole run against one hash. Nothing in here knows of HTTP, faults or limits; days are Singapore days (+08:00).
"""

import hashlib
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, time
from functools import cache, lru_cache
from importlib.resources import files
from typing import Literal, NotRequired, TypedDict

import msgspec

DayKind = Literal["ok", "empty", "blank", "permanent500"]

HOURLY_TENTHS = (
    *(260, 257, 255, 253, 251, 250, 250, 254, 266, 279, 289, 296),
    *(301, 304, 305, 303, 298, 292, 285, 279, 274, 270, 267, 263),
)
"""A typical day, hour by hour, in tenths of a degree Celsius."""


@dataclass(frozen=True, slots=True)
class Place:
    """Degrees north and east."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Station:
    """One thermometer. It has no readings before `starts`; from `moved_on` on it stands at `moved_to`."""

    id: str
    name: str
    place: Place
    starts: date = date.min
    moved_on: date = date.max
    moved_to: Place | None = None

    def place_on(self, day: date) -> Place:
        """Where it stands on that day."""
        return self.moved_to if self.moved_to and day >= self.moved_on else self.place


@dataclass(frozen=True, slots=True)
class Day:
    """How one day is answered; `faults` come first, once each, in order."""

    kind: DayKind = "ok"
    opens: time = time.min
    closes: time = time.max
    faults: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        """The HTTP status once the faults are used up."""
        return 500 if self.kind == "permanent500" else 200


@dataclass(frozen=True, slots=True)
class Plan:
    """All there is to tell; `days` holds the irregular ones only."""

    first: date
    last: date
    stations: tuple[Station, ...]
    days: Mapping[date, Day]

    def day(self, day: date) -> Day:
        """How that day is answered. Before the first and after the last is nothing: an empty day, not an error."""
        return self.days.get(day, Day()) if self.first <= day <= self.last else Day("empty")


class Reading(TypedDict):
    """One station's temperature in degrees Celsius."""

    station_id: str
    value: int | float


class Item(TypedDict):
    """All readings of one moment, in station order."""

    timestamp: str
    readings: list[Reading]


class Record(TypedDict):
    """What a correct job makes of one reading; the timestamp is as sent, with its +08:00."""

    timestamp: str
    station_id: str
    value: int | float


class _Move(TypedDict):
    on: date
    latitude: float
    longitude: float


class _StationEntry(TypedDict):
    id: str
    name: str
    latitude: float
    longitude: float
    starts: NotRequired[date]
    moved: NotRequired[_Move]


@cache
def load_plan() -> Plan:
    """The plan in `air_temperature.toml`."""
    text = (files("fetcher.testing") / "air_temperature.toml").read_text(encoding="utf-8")
    told = tomllib.loads(text)
    days = {
        date.fromisoformat(day): Day(
            kind=entry.get("kind", "ok"),
            opens=entry.get("from", time.min),
            closes=entry.get("until", time.max),
            faults=tuple(entry.get("faults", ())),
        )
        for day, entry in told["days"].items()
    }
    return Plan(told["first"], told["last"], tuple(map(_station, told["stations"])), days)


def _station(entry: _StationEntry) -> Station:
    station = Station(
        id=entry["id"],
        name=entry["name"],
        place=Place(entry["latitude"], entry["longitude"]),
        starts=entry.get("starts", date.min),
    )
    if move := entry.get("moved"):
        to = Place(move["latitude"], move["longitude"])
        return Station(station.id, station.name, station.place, station.starts, moved_on=move["on"], moved_to=to)
    return station


def first_byte(text: str) -> int:
    """0 to 255, evenly spread and the same everywhere: the first byte of the text's SHA-256."""
    return hashlib.sha256(text.encode()).digest()[0]


def tenths(station_id: str, day: str, hour: int, minute: int) -> int:
    """The temperature in tenths of a degree Celsius: between two hours of a typical day, off by day, station, moment.

    `day` is an ISO date.
    """
    moment = f"{day}T{hour:02}:{minute:02}"
    return _usual_tenths(hour, minute) + _offset(station_id, day) + _flutter(station_id, moment)


def _usual_tenths(hour: int, minute: int) -> int:
    return (HOURLY_TENTHS[hour] * (60 - minute) + HOURLY_TENTHS[(hour + 1) % 24] * minute) // 60


def _flutter(station_id: str, moment: str) -> int:
    return first_byte(f"{station_id}|{moment}") % 7 - 3


@lru_cache(maxsize=4096)
def _offset(station_id: str, day: str) -> int:
    return first_byte(day) % 21 - 10 + first_byte(station_id) % 13 - 6


def is_left_out(station_id: str, day: str, hour: int) -> bool:
    """Whether the station is silent in that hour, as about one in fifty is."""
    return first_byte(f"gap|{station_id}|{day}|{hour:02}") % 50 == 0


def day_items(day: date, step: int) -> Iterator[Item]:
    """The items of one day, oldest first, one every `step` minutes (a divisor of 60)."""
    plan = load_plan()
    told = plan.day(day)
    if told.kind != "ok":
        return
    existing = [station.id for station in plan.stations if day >= station.starts]
    for hour in range(24):
        present = [id_ for id_ in existing if not is_left_out(id_, day.isoformat(), hour)]
        for minute in range(0, 60, step):
            if told.opens <= time(hour, minute) <= told.closes:
                yield _item(day.isoformat(), hour, minute, present)


def _item(day: str, hour: int, minute: int, station_ids: list[str]) -> Item:
    # `tenths` taken apart: at 4600 readings a day, what is the same for all stations is worth computing once.
    moment = f"{day}T{hour:02}:{minute:02}"
    usual = _usual_tenths(hour, minute)
    readings: list[Reading] = [
        {"station_id": id_, "value": degrees(usual + _offset(id_, day) + _flutter(id_, moment))} for id_ in station_ids
    ]
    return {"timestamp": f"{moment}:00+08:00", "readings": readings}


def degrees(tenths_of_degree: int) -> int | float:
    """The JSON number for it: whole degrees are integers (24, not 24.0), as in the real feed."""
    whole, rest = divmod(tenths_of_degree, 10)
    return tenths_of_degree / 10 if rest else whole


def day_records(day: date, step: int) -> Iterator[Record]:
    """The records that a correct job makes of one day, in the order they are sent."""
    for item in day_items(day, step):
        for reading in item["readings"]:
            yield {"timestamp": item["timestamp"], **reading}


@lru_cache(maxsize=128)
def day_body(day: date, step: int) -> bytes:
    """The JSON body of that day's answer, faults aside. Its status is `load_plan().day(day).status`."""
    match load_plan().day(day).kind:
        case "permanent500":
            return msgspec.json.encode({"message": "Internal Server Error"})
        case "empty":
            return _without_readings([])
        case "blank":
            return _without_readings([{"timestamp": "", "readings": []}])
        case "ok":
            return _with_readings(day, list(day_items(day, step)))


def _without_readings(items: list[Item]) -> bytes:
    return msgspec.json.encode({"metadata": {"stations": []}, "items": items, "api_info": {"status": "healthy"}})


def _with_readings(day: date, items: list[Item]) -> bytes:
    seen = {reading["station_id"] for item in items for reading in item["readings"]}
    stations = [
        {"id": station.id, "device_id": station.id, "name": station.name, "location": station.place_on(day)}
        for station in load_plan().stations
        if station.id in seen
    ]
    metadata = {"stations": stations, "reading_type": "DBT 1M F", "reading_unit": "deg C"}
    return msgspec.json.encode({"metadata": metadata, "items": items, "api_info": {"status": "healthy"}})


def canonical_hash(records: Iterable[Mapping[str, object]]) -> tuple[int, str]:
    """How many records, and one SHA-256 (hex) over all of them that sees neither their order nor 24.0 for 24.

    Each record becomes JSON with sorted keys and no spaces, whole floats as integers; the sorted lines are joined by
    newlines and one more ends them. Only the lines are held, not the records. Raises ValueError on NaN and infinity.
    """
    lines = sorted(_canonical_line(record) for record in records)
    digest = hashlib.sha256()
    for line in lines or [b"\n"]:
        digest.update(line)
    return len(lines), digest.hexdigest()


def _canonical_line(record: Mapping[str, object]) -> bytes:
    tidy = {key: _whole_as_integer(value) for key, value in record.items()}
    text = json.dumps(tidy, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def _whole_as_integer(value: object) -> object:
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {key: _whole_as_integer(inner) for key, inner in value.items()}
        case list():
            return [_whole_as_integer(inner) for inner in value]
        case _:
            return value
