"""From one page of a row to the next: where it begins, and whether there is one. Pure.

The rule: an end is believed only where the answer says so or brings nothing more. What cannot be true (the same page
again, fewer items than announced, no end in sight) is a failure of the row, never a short success.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import msgspec

from fetcher.compose.halving import beside, deeper, window_of
from fetcher.compose.links import next_link
from fetcher.errors import Incomplete, Quarantined, Refused
from fetcher.job.pages import NUMBERED, Pages
from fetcher.model import PageFacts, Response, Scalar, Value
from fetcher.origins import Homes, homes_of, origin_of, resolved, without_user

NO_MORE = (None, "", False)  # and 0, which equals False: numbers that count down, and SCAN, end so
MOST_EMPTY = 100
"""Some servers look through so much for a page that nothing is found; for ever is another thing."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page begins: its number, counting from 1, the items and records of those before it, and the cursor or
    address that leads there, where the job goes by one. `empty` counts the pages without items just before it.

    Of a row that waits for a `job` at the server: its `phase`, and `since` when it waits (epoch seconds).

    Where its answer `is_here` and annotators ask about its records: `in_flight` are the questions that were sent, and
    whose answers were not kept yet."""

    number: int = 1
    items: int = 0
    records: int = 0
    cursor: str | int | float | None = None
    empty: int = 0
    phase: str = ""
    job: str = ""
    since: float = 0.0
    is_here: bool = False
    in_flight: tuple[str, ...] = ()

    @property
    def bare(self) -> "Place":
        """The place of the answer itself."""
        return replace(self, is_here=False, in_flight=()) if self.is_here else self

    @property
    def text(self) -> str:
        """As the ledger keeps it; nothing for the first page."""
        return "" if self == FIRST else msgspec.json.encode(self).decode()


FIRST = Place()


def place_of(text: str) -> Place:
    """The place that `Place.text` was made of."""
    return msgspec.json.decode(text, type=Place) if text else FIRST


def parameters(pages: Pages, place: Place) -> list[tuple[str, str | int | float]]:
    """What the query or the body says to ask for that page."""
    asked: list[tuple[str, str | int | float]] = []
    value = started_with(pages, place)
    if value is not None and pages.kind in (*NUMBERED, "cursor"):
        asked.append((pages.parameter or pages.kind, value))
    if pages.size and pages.size_parameter:
        asked.append((pages.size_parameter, pages.size))
    return asked


def started_with(pages: Pages, place: Place) -> str | int | float | None:
    """The page's number, offset or cursor. An offset counts what came, not what was asked for: a server may give less
    than it is asked for, and nothing may be left out."""
    first = pages.first
    match pages.kind:
        case "page":
            return (1 if first is None else int(first)) + place.number - 1
        case "offset":
            return (0 if first is None else int(first)) + place.items
        case _:
            return first if place.number == 1 else place.cursor


def is_capped(pages: Pages, facts: PageFacts) -> bool:
    """Whether an answer to a part of a window says, or is so full, that it cannot be all."""
    total = whole(facts.total)
    is_full = pages.size is not None and facts.items >= pages.size
    return is_full or truth(facts.more) or (total is not None and total > facts.items)


def following_part(pages: Pages, place: Place, values: Mapping[str, Value], facts: PageFacts | None) -> Place | None:
    """Where a row that is asked in parts of its window goes on; `facts` is None where this part held too much.

    Raises `Incomplete` where it cannot be halved any more.
    """
    way, least = str(place.cursor or ""), timedelta(seconds=pages.least)
    part = beside(way) if facts else deeper(window_of(values), way, least)
    if part is None:
        return None
    check_not_endless(pages, place)
    found = facts or PageFacts()
    return Place(place.number + 1, place.items + found.items, place.records + found.records, part)


def check_not_endless(pages: Pages, place: Place) -> None:
    """Raise `Incomplete` where there is to be one page more than the job allows."""
    if place.number >= pages.most:
        raise Incomplete(f"page {place.number:,} is not the last, and fetch.pages.most = {pages.most:,}; raise it")


def following(
    pages: Pages, place: Place, facts: PageFacts, response: Response, *, homes: Homes | None = None
) -> Place | None:
    """Where the next page begins; None after the last. It may lie in the `homes`: where this one lies, unless said.

    Raises `Incomplete` where the pages hold less than they announce or do not end, `Refused` where the next one lies
    elsewhere.
    """
    items = place.items + facts.items
    cursor = next_cursor(pages, facts, response, homes or homes_of(response.url, ()))
    if not has_next(pages, place, facts, cursor):
        total = whole(facts.total)
        if total is not None and items < total:
            raise Incomplete(f"the answer announces {total:,} items, its pages hold {items:,}")
        return None
    if cursor is None and pages.kind not in NUMBERED:
        raise Incomplete(f"page {place.number:,} says that there are more, and not where")
    empty = place.empty + 1 if facts.items == 0 else 0
    if empty >= MOST_EMPTY:
        raise Incomplete(f"{empty} pages in a row are empty, and the answer says that there are more")
    check_not_endless(pages, place)
    return Place(place.number + 1, items, place.records + facts.records, cursor, empty)


def has_next(pages: Pages, place: Place, facts: PageFacts, cursor: Scalar) -> bool:
    """Whether the answer to a page leads to another one."""
    total = whole(facts.total)
    if pages.more:
        has_all = facts.items == 0 and total is not None and place.items >= total
        return truth(facts.more) and not has_all
    if pages.kind not in NUMBERED:
        # A server that always hands out a cursor says by an empty page that it was the last.
        return cursor not in NO_MORE and not (facts.items == 0 and cursor == place.cursor)
    count = whole(facts.pages)
    if facts.items == 0:
        return False
    if total is not None:
        return place.items + facts.items < total
    if count is not None:
        return place.number < count
    return not (pages.short_is_last and pages.size and facts.items < pages.size)


def next_cursor(pages: Pages, facts: PageFacts, response: Response, homes: Homes) -> str | int | float | None:
    """The next cursor, or the whole address of the next page, as the answer has it."""
    found: Scalar
    match pages.kind:
        case "page" | "offset":
            return None
        case "link":
            found = next_link(response)
        case "cursor" if pages.next_header:
            found = response.header(pages.next_header)
        case _:
            found = facts.next
    if found in NO_MORE or found is True:
        return None
    return found if pages.kind == "cursor" else within_homes(str(found), response.url, homes)


def within_homes(link: str, url: str, homes: Homes) -> str:
    """A link in the answer from `url` as an absolute address. Raises `Refused` where it leads away from the API: it
    would take headers and credentials along."""
    try:
        target = resolved(link, url)
        is_home = homes.has(target)
    except ValueError as error:
        raise Refused(f"the next page's address {without_user(link)!r} cannot be asked: {error}") from error
    if not is_home:
        raise Refused(
            f"the next page lies elsewhere, at {origin_of(target)}; only {homes.own} is asked, and fetch.allowed_hosts"
        )
    return target


def whole(value: Scalar) -> int | None:
    """A number of items or pages, which some write as text; None for what is only about right, such as '>1000'."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def truth(value: Scalar) -> bool:
    """A flag, however it is written. Raises `Quarantined` for what is none: a guess would end too soon."""
    flags: Mapping[Any, bool] = {
        "true": True, "1": True, "y": True, "yes": True, "false": False, "0": False, "n": False, "no": False, "": False
    }  # fmt: skip
    if value is None:
        return False
    found = flags.get(str(value).strip().lower())
    if found is None:
        raise Quarantined(f"fetch.pages.more is {value!r}, expected true or false")
    return found
