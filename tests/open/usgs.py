"""USGS's earthquake catalogue: more matches than the cap are refused, both ends of a window are included."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tests.open.serving import Emulator, Window, recorded

API = "usgs-fdsn-earthquakes"
PATH = "/fdsnws/event/1"
FROM, TO = "2018-01-31T00:00:00", "2018-02-08T00:00:00"
TOO_MANY = """\
Error 400: Bad Request

{found} matching events exceeds search limit of {most}. Modify the search to match fewer events.

Usage details are available from https://earthquake.usgs.gov/fdsnws/event/1

Request Submitted:
2019-08-11T17:50:26+00:00

Service version:
1.8.1
"""

Events = list[dict[str, Any]]


def recorded_events() -> Events:
    """A week of events, three of them moved to midnight."""
    events: Events = recorded(API, "events.geojson")["features"]
    return events


def generated_events(seed: int = 8, count: int = 1700) -> Events:
    """A week of our own, most of it in a few swarms; some at the very middle of the week or at midnight, numbers as
    integers among fractions."""
    chance = random.Random(seed)
    start = epoch_ms(FROM)
    swarms = [start + chance.randrange(7 * 86_400_000) for _ in range(5)]
    borders = [epoch_ms(f"2018-02-0{day}T00:00:00") for day in (2, 4, 6)]
    times = [int(chance.gauss(chance.choice(swarms), 9e6)) for _ in range(count - len(borders))]
    inside = [min(max(time, start), epoch_ms(TO)) for time in times]
    return [event(number, time, chance) for number, time in enumerate(inside + borders)]


def event(number: int, time: int, chance: random.Random) -> dict[str, Any]:
    """One event as the API tells it."""
    mag = chance.choice([2, 3, round(chance.uniform(-1, 6), 2)])
    place = f"{number % 90}km NW of Nowhere, CA"
    kind = chance.choice(["earthquake"] * 20 + ["explosion", "quarry blast"])
    properties = {"mag": mag, "place": place, "time": time, "magType": "ml", "type": kind, "felt": None}
    depth = chance.choice([10, round(chance.uniform(-3, 90), 2)])
    coordinates = [round(chance.uniform(-180, 180), 4), round(chance.uniform(-90, 90), 4), depth]
    geometry = {"type": "Point", "coordinates": coordinates}
    return {"type": "Feature", "properties": properties, "geometry": geometry, "id": f"gen{number:05}"}


def expected(events: Events, least: float = -99) -> list[dict[str, Any]]:
    """The records that a correct run makes of all events of at least that magnitude."""
    return [
        {
            "id": found["id"],
            "time": iso_ms(found["properties"]["time"]),
            **{name: found["properties"][name] for name in ("mag", "magType", "place", "type")},
            **dict(zip(("longitude", "latitude", "depth"), found["geometry"]["coordinates"], strict=True)),
        }
        for found in events
        if found["properties"]["mag"] >= least
    ]


def iso_ms(epoch: int) -> str:
    """`2018-02-06T04:32:27.010Z`"""
    moment = datetime.fromtimestamp(epoch // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{epoch % 1000:03}Z"


def epoch_ms(text: str) -> int:
    """A moment without a zone is one of UTC."""
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


@dataclass
class Earthquakes(Emulator):
    """The API, with a cap of `most` matches."""

    events: Events = field(default_factory=generated_events)
    most: int = 200
    window: Window = field(default_factory=lambda: Window(10, 0.5))

    async def answer(self, request: web.Request) -> web.Response:
        if not self.window.admits():
            return web.Response(status=429, text="Too many requests")
        try:
            found = matching(self.events, request.query)
        except (KeyError, ValueError) as error:
            return refused(f"Bad starttime, endtime or minmagnitude: {error}")
        match request.path.removeprefix(PATH):
            case "/count" if request.query.get("format") == "geojson":
                return web.json_response({"count": len(found), "maxAllowed": self.most})
            case "/count":
                return web.Response(text=str(len(found)))
            case "/query":
                return self._found(found, request)
        return web.Response(status=404, text="Not found")

    def _found(self, found: Events, request: web.Request) -> web.Response:
        limit, offset = request.query.get("limit"), int(request.query.get("offset", "1"))
        if limit is None and len(found) > self.most:
            return web.Response(status=400, text=TOO_MANY.format(found=len(found), most=self.most))
        if limit is not None and not (limit.isdigit() and 1 <= int(limit) <= self.most):
            return refused(f'Bad limit value "{limit}". Valid values are between 1 and {self.most}.')
        page = found[offset - 1 :][: int(limit or self.most)]
        if not page:
            return web.Response(status=204)
        metadata = {"generated": 1517968154000, "url": str(request.url), "title": "USGS Earthquakes", "status": 200}
        metadata |= {"api": "1.8.1", "count": len(page)}
        return web.json_response({"type": "FeatureCollection", "metadata": metadata, "features": page})


def matching(events: Events, query: Mapping[str, str]) -> Events:
    """The events within the window, both ends included; the newest first unless asked otherwise."""
    first, last, least = epoch_ms(query["starttime"]), epoch_ms(query["endtime"]), query.get("minmagnitude", "-99")
    found = [
        event
        for event in events
        if first <= event["properties"]["time"] <= last and event["properties"]["mag"] >= float(least)
    ]
    return sorted(found, key=lambda event: event["properties"]["time"], reverse=query.get("orderby") != "time-asc")


def refused(reason: str) -> web.Response:
    """An error in this API's words: text, whatever was asked for."""
    return web.Response(status=400, text=f"Error 400: Bad Request\n\n{reason}\n")
