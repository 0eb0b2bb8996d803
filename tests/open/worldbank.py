"""World Bank indicators: `[meta, rows]` in pages, and errors as well as "nothing found" inside a 200."""

import random
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.open.serving import Emulator, recorded

API = "worldbank-indicators"
USA, MEXICO = ("USA", "SP.POP.TOTL"), ("MEX", "NY.GDP.MKTP.CD")
XML = (
    '\ufeff<?xml version="1.0" encoding="utf-8"?><wb:data page="1" pages="1" per_page="50" total="0" '
    'xmlns:wb="http://www.worldbank.org" />'
)
INVALID = {"id": "120", "key": "Invalid value", "value": "The provided parameter value is not valid"}

Series = dict[tuple[str, str], list[dict[str, Any]]]


def recorded_series() -> Series:
    """Fifty years of one country, and four rows that have every odd shape."""
    return {USA: recorded(API, "rows.json"), MEXICO: recorded(API, "mexico_gdp.json")[1]}


def generated_series(seed: int = 8) -> Series:
    """The same shapes with values of our own: the newest year is null, one code is empty, one value is 5.0."""
    chance = random.Random(seed)
    usa = [row(USA[1], "US", "United States", "USA", year) for year in range(2023, 1973, -1)]
    for entry in usa[1:]:
        entry["value"] = chance.randrange(10**8)
    mexico = [row(MEXICO[1], "MX", "Mexico", "MEX", year) for year in (2025, 2024)]
    mexico[0]["value"], mexico[1]["value"] = round(chance.uniform(1e12, 2e12), 2), round(chance.uniform(1e12, 2e12), 2)
    nowhere = row(MEXICO[1], "XX", "Not classified", "", 2025)
    nowhere["value"] = 5.0
    return {USA: usa, MEXICO: [*mexico, row(MEXICO[1], "XC", "Euro area", "EMU", 2025), nowhere]}


def row(indicator: str, id_: str, name: str, iso3: str, year: int) -> dict[str, Any]:
    """One year of a series, without a value."""
    return {
        "indicator": {"id": indicator, "value": f"About {indicator}"},
        "country": {"id": id_, "value": name},
        "countryiso3code": iso3,
        "date": str(year),
        "value": None,
        "unit": "",
        "obs_status": "",
        "decimal": 0,
    }


def expected(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records that a correct run makes of a series."""
    return [
        {
            "country_id": entry["country"]["id"],
            "country": entry["country"]["value"],
            "iso3": entry["countryiso3code"] or None,
            "indicator": entry["indicator"]["id"],
            "year": int(entry["date"]),
            "value": entry["value"],
        }
        for entry in rows
    ]


@dataclass
class WorldBank(Emulator):
    """The API, of two series."""

    series: Series = field(default_factory=generated_series)

    async def answer(self, request: web.Request) -> web.Response:
        match request.path.split("/"):
            case ["", "v2", "country", country, "indicator", indicator]:
                pass
            case _:
                return web.Response(status=404, text="Not found")
        if request.query.get("format") != "json":
            return web.Response(text=XML, content_type="text/xml", charset="utf-8")
        if country not in {known for known, _ in self.series}:
            return web.json_response([{"message": [INVALID]}])
        rows = within(self.series.get((country, indicator), []), request.query.get("date", "0:9999"))
        if not rows:
            return web.json_response([{"page": 0, "total": 0}, None])
        return page_of(rows, int(request.query.get("page", "1")), int(request.query.get("per_page", "50")))


def within(rows: list[dict[str, Any]], years: str) -> list[dict[str, Any]]:
    """The rows of a range of years, `2000:2010`, or of one year."""
    first, _, last = years.partition(":")
    return [entry for entry in rows if int(first) <= int(entry["date"]) <= int(last or first)]


def page_of(rows: list[dict[str, Any]], page: int, size: int) -> web.Response:
    """One page; `per_page` is a number on the first one and text on the others."""
    meta = {"page": page, "pages": -(-len(rows) // size), "per_page": size if page == 1 else str(size)}
    meta |= {"total": len(rows), "sourceid": "2", "lastupdated": "2024-03-28"}
    return web.json_response([meta, rows[(page - 1) * size : page * size]])
