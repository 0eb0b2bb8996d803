"""Open-Meteo's archive: columns instead of records, several places in one request, a cost a request."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from aiohttp import web

from tests.open.serving import Emulator, Window, recorded

API = "open-meteo-archive"
VARIABLES = ("temperature_2m_max", "temperature_2m_min", "precipitation_sum", "wind_speed_10m_max")
FIRST, LAST = date(2012, 1, 1), date(2015, 12, 31)
ASKED = {"Seattle": (47.61, -122.33), "New York": (40.71, -74.01)}
PLACES = {name: {"asked": list(asked), "latitude": asked[0] + 0.0174} for name, asked in ASKED.items()}
"""Made-up grid cells: answered coordinates are never those that were asked for."""

Columns = dict[str, list[Any]]


@dataclass(frozen=True)
class Weather:
    """Places with the coordinates that are asked for, and their columns."""

    places: dict[str, dict[str, Any]]
    daily: dict[str, Columns]


def recorded_weather() -> Weather:
    """Four real years of two cities."""
    told = recorded(API, "data.json")
    return Weather(told["locations"], told["daily"])


def generated_weather(seed: int = 8) -> Weather:
    """Four years of our own, with two nulls."""
    chance = random.Random(seed)
    days = [str(FIRST + timedelta(number)) for number in range((LAST - FIRST).days + 1)]
    daily: dict[str, Columns] = {}
    for name in ASKED:
        daily[name] = {"time": days} | {key: [round(chance.uniform(-20, 35), 1) for _ in days] for key in VARIABLES}
    daily["Seattle"]["precipitation_sum"][100] = daily["New York"]["wind_speed_10m_max"][1000] = None
    places = {
        name: {**place, "longitude": ASKED[name][1] - 0.0104, "elevation": 12.0} for name, place in PLACES.items()
    }
    return Weather(places, daily)


def expected(weather: Weather) -> list[dict[str, Any]]:
    """The records that a correct run makes of everything."""
    return [
        {"location": name, "date": day, **{key: columns[key][number] for key in VARIABLES}}
        for name, columns in weather.daily.items()
        for number, day in enumerate(columns["time"])
    ]


class BadQuery(ValueError):
    """What is wrong with a request, in the API's words."""


@dataclass(frozen=True)
class Asked:
    """One request, read."""

    places: list[tuple[float, float]]
    first: date
    last: date
    variables: list[str]

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "Asked":
        """Raises `BadQuery`."""
        latitudes, longitudes = query.get("latitude", "").split(","), query.get("longitude", "").split(",")
        if len(latitudes) != len(longitudes):
            raise BadQuery("Parameter 'latitude' and 'longitude' must have the same number of elements")
        variables = query.get("daily", "").split(",")
        if unknown := [name for name in variables if name not in VARIABLES]:
            told = f"Cannot initialize DailyVariable from invalid String value {unknown[0]}."
            raise BadQuery(f"Data corrupted at path ''. {told}")
        try:
            places = [(float(north), float(east)) for north, east in zip(latitudes, longitudes, strict=True)]
            first, last = (date.fromisoformat(query[name]) for name in ("start_date", "end_date"))
        except (KeyError, ValueError) as error:
            raise BadQuery("Invalid date") from error
        return cls(places, first, last, variables)

    @property
    def cost(self) -> int:
        """What it counts for in the limits."""
        days = (self.last - self.first).days + 1
        return len(self.places) * max(1, math.ceil(days / 14)) * max(1, math.ceil(len(self.variables) / 10))


@dataclass
class OpenMeteo(Emulator):
    """The API. After `daily` units of cost nothing is answered until `POST /__reset`; with `short` one list of each
    answer lacks its last element."""

    weather: Weather = field(default_factory=generated_weather)
    daily: int | None = None
    short: bool = False
    window: Window = field(default_factory=lambda: Window(60, 1.0))
    spent: int = 0

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "POST" and request.path == "/__reset":
            self.spent, self.daily = 0, None
            return web.Response(status=204)
        try:
            asked = Asked.read(request.query)
            if self.daily is not None and self.spent + asked.cost > self.daily:
                return failure(429, "Daily API request limit exceeded. Please try again tomorrow.")
            if not self.window.admits(asked.cost):
                return failure(429, "Minutely API request limit exceeded. Please try again in one minute.")
            self.spent += asked.cost
            answers = [self._place(number, asked) for number in range(len(asked.places))]
        except BadQuery as error:
            return failure(400, str(error))
        return web.json_response(answers[0] if len(answers) == 1 else answers)

    def _place(self, number: int, asked: Asked) -> dict[str, Any]:
        north, east = asked.places[number]
        name, place = next(
            (name, place)
            for name, place in self.weather.places.items()
            if abs(place["asked"][0] - north) <= 0.1 and abs(place["asked"][1] - east) <= 0.1
        )
        times = self.weather.daily[name]["time"]
        kept = [index for index, day in enumerate(times) if asked.first <= date.fromisoformat(day) <= asked.last]
        columns = {key: [self.weather.daily[name][key][index] for index in kept] for key in ("time", *asked.variables)}
        if self.short:
            columns[asked.variables[-1]].pop()
        told = {"latitude": place["latitude"], "longitude": place["longitude"], "elevation": place["elevation"]}
        told |= {"generationtime_ms": 0.5, "utc_offset_seconds": 0, "timezone": "GMT", "timezone_abbreviation": "GMT"}
        told |= {"daily_units": {"time": "iso8601"}, "daily": columns}
        return told | ({"location_id": number} if number else {})


def failure(status: int, reason: str) -> web.Response:
    """An error in this API's words."""
    return web.json_response({"error": True, "reason": reason}, status=status)
