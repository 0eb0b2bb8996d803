"""Crossref works: a cursor that never changes, for the position is the server's; limits are told in headers."""

import asyncio
import random
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

from tests.open.serving import Emulator, Window, recorded

API = "crossref-works"
PER_PAGE = 20
TOTAL = 60
LASTS_S = 0.2
TAKES_S = 0.01
POOLS = {"public": (5, 1), "polite": (10, 3)}
"""Requests in a window, and requests at once."""
VALIDATION = "Integer specified as {} but must be a positive integer less than or equal to 1000. "


@dataclass(frozen=True)
class Works:
    """Three pages of works, and the cursor that leads to each next one."""

    pages: list[list[dict[str, Any]]]
    cursor: str


def recorded_works() -> Works:
    """Three recorded pages of one query."""
    answers = [recorded(API, f"page{number}.json")["message"] for number in (1, 2, 3)]
    return Works([answer["items"] for answer in answers], answers[0]["next-cursor"])


def generated_works(seed: int = 8) -> Works:
    """Works of our own with the same gaps: no year, no authors, no container."""
    chance = random.Random(seed)
    works = [work(number, chance) for number in range(TOTAL)]
    cursor = "".join(chance.choices(string.ascii_letters + "-_", k=1500)) + "=="
    return Works([works[first : first + PER_PAGE] for first in range(0, TOTAL, PER_PAGE)], cursor)


def work(number: int, chance: random.Random) -> dict[str, Any]:
    """One work as the API tells it."""
    told: dict[str, Any] = {
        "DOI": f"10.5555/widget.{number}",
        "type": chance.choice(["journal-article", "dataset", "book-chapter"]),
        "publisher": f"Publisher & Søn {number % 7}",
        "title": [f"On widgets, part {number}", "An alternative title"][: 1 + number % 2],
        "issued": {"date-parts": [[None] if number % 12 == 5 else [2000 + number % 25, 3]]},
    }
    if number % 5:
        told["author"] = [{"family": f"Author {n}", "sequence": "first"} for n in range(1 + number % 4)]
    if number % 9:
        told["container-title"] = [f"Journal of Widgets {number % 3}"] if number % 11 else []
    return told


def expected(works: Works) -> list[dict[str, Any]]:
    """The records that a correct run makes of all pages."""
    return [
        {
            "doi": item["DOI"],
            "title": (item.get("title") or [None])[0],
            "type": item["type"],
            "publisher": item["publisher"],
            "issued_year": item["issued"]["date-parts"][0][0],
            "authors": len(item.get("author", [])),
            "container": (item.get("container-title") or [None])[0],
        }
        for page in works.pages
        for item in page
    ]


@dataclass
class Crossref(Emulator):
    """The API. `fault` sends a 503 instead of the second good answer: `before` the position moves, or `after`.

    The page at `stops_at`, counting from 0, is never answered. The header's `interval` is that of the real API, longer
    than what a window lasts here. `positions` are the last page that each query has got to; `most_at_once` is the
    largest number of requests that were under way together.
    """

    works: Works = field(default_factory=generated_works)
    fault: Literal["", "before", "after"] = ""
    most_at_once: int = 0
    stops_at: int | None = None
    interval: str = "1s"
    positions: dict[str, int] = field(default_factory=dict)
    _good: int = 0
    _at_once: int = 0
    windows: dict[str, Window] = field(default_factory=dict)

    async def answer(self, request: web.Request) -> web.Response:
        is_polite = "mailto" in request.query or "mailto:" in request.headers.get("User-Agent", "")
        pool = "polite" if is_polite else "public"
        async with self._under_way():
            window = self.windows.setdefault(pool, Window(POOLS[pool][0], LASTS_S))
            is_admitted = self._at_once <= POOLS[pool][1] and window.admits()
            await asyncio.sleep(TAKES_S)
            answer = await self._works(request) if is_admitted else web.Response(status=429, text="Too many requests.")
        answer.headers["x-api-pool"] = pool
        answer.headers["x-rate-limit-limit"] = str(POOLS[pool][0])
        answer.headers["x-rate-limit-interval"] = self.interval
        answer.headers["x-concurrency-limit"] = str(POOLS[pool][1])
        return answer

    @asynccontextmanager
    async def _under_way(self) -> AsyncIterator[None]:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield
        finally:
            self._at_once -= 1

    async def _works(self, request: web.Request) -> web.Response:
        rows, cursor = request.query.get("rows", "20"), request.query.get("cursor", "*")
        if not (rows.isdigit() and 0 < int(rows) <= 1000):
            told = {"type": "integer-not-valid", "value": rows, "message": VALIDATION.format(rows)}
            failed = {"status": "failed", "message-type": "validation-failure", "message": [told]}
            return web.json_response(failed, status=400)
        if request.path != "/works" or cursor not in ("*", self.works.cursor):
            return web.Response(status=404, text="Resource not found.")
        query = request.query.get("query", "")
        position = 0 if cursor == "*" else self.positions.get(query, -1) + 1
        while position == self.stops_at and request.transport:  # noqa: ASYNC110  (nothing tells when the asker is gone)
            await asyncio.sleep(TAKES_S)
        return self._page(query, position)

    def _page(self, query: str, position: int) -> web.Response:
        self._good += 1
        fault = self.fault if self._good == 2 else ""
        if fault != "before":
            self.positions[query] = position
        if fault:
            return web.Response(status=503, text="upstream unavailable")
        items = self.works.pages[position] if position < len(self.works.pages) else []
        message = {"facets": {}, "next-cursor": self.works.cursor, "total-results": TOTAL, "items": items}
        return web.json_response({"status": "ok", "message-type": "work-list", "message": message})
