"""A collection in pages: records that follow from their number and a seed, by page, by offset or by cursor.

    GET /v1/items?total=100&page=1&size=20        also offset=&limit=, or cursor=&limit=; seed= for other records

The answer has `items`, `total`, `has_more`, the URL of the `next` page and its `next_cursor`; Link says the same.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlencode

from aiohttp import web

from fetcher.testing.faults.exchange import json_answer

ITEMS = "/v1/items"
TOTAL = 100
SIZE = 20
LARGEST = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it is asked for: records `first` to `first + size`, of `total`; `style` is how the next is named."""

    style: str
    first: int
    size: int
    total: int
    seed: str

    @property
    def has_more(self) -> bool:
        """Whether a page follows."""
        return self.first + self.size < self.total

    def after(self) -> "Page":
        """The page that follows."""
        return replace(self, first=self.first + self.size)

    def query(self) -> dict[str, str]:
        """What asks for this page."""
        common = {"total": str(self.total), "seed": self.seed}
        match self.style:
            case "offset":
                return common | {"offset": str(self.first), "limit": str(self.size)}
            case "cursor":
                return common | {"cursor": cursor_of(self.first), "limit": str(self.size)}
            case _:
                return common | {"page": str(self.first // self.size + 1), "size": str(self.size)}

    def records(self) -> list[dict[str, object]]:
        """Its records."""
        return [record(number, self.seed) for number in range(self.first, min(self.first + self.size, self.total))]


def record(number: int, seed: str) -> dict[str, object]:
    """Record `number` (from 0): the same everywhere."""
    digest = hashlib.sha256(f"{seed}|{number}".encode()).hexdigest()
    return {"id": number, "name": f"item-{number}", "value": int(digest[:4], 16)}


def cursor_of(first: int) -> str:
    """What a client passes on without looking into it."""
    return f"c{first:x}"


def read_page(query: Mapping[str, str]) -> Page:
    """The page that a query asks for. Raises ValueError where a number makes no sense."""
    total, seed = int(query.get("total", TOTAL)), query.get("seed", "0")
    size = min(int(query.get("size", query.get("limit", SIZE))), LARGEST)
    if "cursor" in query:
        text = query["cursor"]
        style, first = "cursor", int(text.removeprefix("c"), 16) if text else 0
    elif "offset" in query:
        style, first = "offset", int(query["offset"])
    else:
        style, first = "page", (int(query.get("page", 1)) - 1) * size
    if size < 1 or first < 0 or total < 0:
        raise ValueError("expected page, size and limit from 1, offset and total from 0")
    return Page(style, first, size, total, seed)


def page_told(page: Page, home: str) -> dict[str, object]:
    """The answer's JSON; `home` is what its links begin with."""
    after = links(page.after(), home) if page.has_more else {"next": None, "next_cursor": None}
    return {"items": page.records(), "total": page.total, "has_more": page.has_more, **after}


def links(page: Page, home: str) -> dict[str, object]:
    """What names this page as the next one."""
    return {"next": f"{home}{ITEMS}?{urlencode(page.query())}", "next_cursor": cursor_of(page.first)}


def page_answer(told: Mapping[str, object]) -> web.Response:
    """The answer with that JSON, and its next page as Link."""
    response = json_answer(200, told)
    if told.get("next"):
        response.headers["Link"] = f'<{told["next"]}>; rel="next"'
    return response


def items(query: Mapping[str, str], home: str) -> web.Response:
    """The answer to a request for a page."""
    try:
        page = read_page(query)
    except ValueError as error:
        return json_answer(400, {"message": str(error)})
    return page_answer(page_told(page, home))
