"""data.gov.sg's air temperature, version 2: a day in pages of 25 readings, newest first, by a token in the body."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

from aiohttp import web

from fetcher.testing.air_temperature import degrees, is_left_out, tenths
from tests.open.serving import Emulator, Window, recorded

API = "datagovsg-v2-air-temperature"
PATH = "/v2/real-time/api/air-temperature"
PER_PAGE = 25
FINISHED, NOTHING, SHORTENED, LIVE = "2026-01-12", "2026-01-13", "2026-01-14", "2026-01-15"
PER_KEY = {"": 6, "dev-key": 12, "prod-key": 30}
BAD_DATE = (
    "Invalid date format. Date format must be YYYY-MM-DD (2024-06-01) or YYYY-MM-DDTHH:mm:ss (2024-06-01T08:30:00)."
)


@dataclass(frozen=True)
class Feed:
    """What there is to tell: stations in order, days with their kinds, and values that replace the series' own."""

    stations: list[dict[str, Any]]
    days: dict[str, dict[str, Any]]
    values: dict[str, float]

    def readings(self, day: str) -> list[dict[str, Any]]:
        """All readings of a finished day, oldest first."""
        return [self.reading(day, minute) for minute in range(24 * 60)]

    def reading(self, day: str, minute: int) -> dict[str, Any]:
        """All stations at one minute of a day."""
        hour, within = divmod(minute, 60)
        timestamp = f"{day}T{hour:02}:{within:02}:00+08:00"
        absent = self.days[day].get("absent", {})
        told = []
        for id_ in (station["id"] for station in self.stations):
            value = self.values.get(f"{timestamp}|{id_}")
            if value is None and not silent(id_, day, hour):
                value = degrees(tenths(id_, day, hour, within))
            if value is not None and f"{hour:02}:{within:02}" < absent.get(id_, "24"):
                told.append({"stationId": id_, "value": value})
        return {"timestamp": timestamp, "data": told}


silent = cache(is_left_out)


def recorded_feed() -> Feed:
    """The recorded stations and values, and the series between them."""
    return Feed(recorded(API, "stations.json"), recorded(API, "days.json"), recorded(API, "recorded_values.json"))


def generated_feed() -> Feed:
    """Stations and values of our own."""
    stations = [
        {"id": f"G{n}", "deviceId": f"G{n}", "name": f"Mast {n}", "location": {"latitude": n / 8, "longitude": 100 + n}}
        for n in range(1, 7)
    ]
    days: dict[str, dict[str, Any]] = {
        FINISHED: {"kind": "ok"},
        NOTHING: {"kind": "not_found"},
        SHORTENED: {"kind": "ok", "absent": {"G4": "12:00"}},
        LIVE: {"kind": "live", "start": 300, "max": 330},
    }
    values = {f"{FINISHED}T{hour:02}:59:00+08:00|G{hour % 6 + 1}": hour + 0.5 for hour in range(0, 24, 5)}
    return Feed(stations, days, values)


def expected(feed: Feed, day: str, readings: int = 24 * 60) -> list[dict[str, Any]]:
    """The records that a correct run makes of a day's first readings."""
    return [
        {"timestamp": f"{day}T{minute // 60:02}:{minute % 60:02}:00+08:00", **entry}
        for minute in range(readings)
        for entry in feed.reading(day, minute)["data"]
    ]


@dataclass
class AirTemperature(Emulator):
    """The API. A day that is `live` grows by one reading with each request for it, to its `max`."""

    feed: Feed = field(default_factory=generated_feed)
    lasts_s: float = 0.5
    windows: dict[str, Window] = field(default_factory=dict)
    grown: dict[str, int] = field(default_factory=dict)
    _days: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.Response:
        if request.path != PATH:
            return web.json_response({"message": "Missing Authentication Token"}, status=403)
        key = request.headers.get("x-api-key", "")
        key = key if key in PER_KEY else ""
        if not self.windows.setdefault(key, Window(PER_KEY[key], self.lasts_s)).admits():
            return failure(429, 24, "TOO_MANY_REQUESTS", "Rate limit exceeded")
        return self._day(request.query)

    def _day(self, query: Mapping[str, str]) -> web.Response:
        day = query.get("date", max(self.feed.days))
        try:
            date.fromisoformat(day)
        except ValueError:
            return failure(400, 4, "ERROR_PARAMS", BAD_DATE)
        kind = self.feed.days.get(day, {"kind": "not_found"})
        if kind["kind"] == "not_found":
            return failure(404, 17, "REAL_TIME_API_DATA_NOT_FOUND", "Data not found")
        told = self._told(day)
        try:
            offset = token_offset(query.get("paginationToken", ""), len(told))
        except ValueError:
            return failure(400, 4, "ERROR_PARAMS", "Invalid pagination token.")
        return self._page(told, offset, 1 if "date" not in query else PER_PAGE)

    def _told(self, day: str) -> list[dict[str, Any]]:
        """What there is of a day now, newest first."""
        if day not in self._days:
            self._days[day] = self.feed.readings(day)
        kind = self.feed.days[day]
        if kind["kind"] != "live":
            return self._days[day][::-1]
        self.grown[day] = min(self.grown.get(day, kind["start"] - 1) + 1, kind["max"])
        return self._days[day][self.grown[day] - 1 :: -1]

    def _page(self, told: list[dict[str, Any]], offset: int, size: int) -> web.Response:
        readings = told[offset : offset + size]
        seen = {entry["stationId"] for reading in readings for entry in reading["data"]}
        stations = [station for station in self.feed.stations if station["id"] in seen]
        data = {"stations": stations, "readings": readings, "readingType": "DBT 1M F", "readingUnit": "deg C"}
        if size == PER_PAGE and offset + size < len(told):
            data["paginationToken"] = token(offset + size)
        return web.json_response({"code": 0, "data": data, "errorMsg": ""})


def token(offset: int) -> str:
    """How a page that begins there is named."""
    return base64.b64encode(f"offset={offset}".encode()).decode()


def token_offset(text: str, end: int) -> int:
    """Where that page begins. Raises ValueError for a token that names none."""
    name, _, offset = base64.b64decode(text, validate=True).decode().partition("=") if text else ("offset", "", "0")
    if name != "offset" or not 0 <= int(offset) < end:
        raise ValueError(text)
    return int(offset)


def failure(status: int, code: int, name: str, message: str) -> web.Response:
    """An error in this API's words."""
    return web.json_response({"code": code, "name": name, "data": None, "errorMsg": message}, status=status)
