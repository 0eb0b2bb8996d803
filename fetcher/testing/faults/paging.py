"""Collections that cannot be paged through as they say (S06, S07, S17, H25). All of them are for `/v1/items`."""

from dataclasses import replace

from aiohttp import web

from fetcher.testing.faults.exchange import Exchange, fault, json_answer
from fetcher.testing.items import ITEMS, Page, links, page_answer, page_told, read_page

ENDLESS = "noticed within one cycle or at the cap of pages; incomplete, with the reason"
TOTALS = "reported: what came is not what was announced"


async def same_page(exchange: Exchange) -> web.StreamResponse:
    """Gives the first page again, whatever page is asked for; its next page is the second."""
    return shown(exchange, replace(asked_page(exchange), first=0))


async def two_cycle(exchange: Exchange) -> web.StreamResponse:
    """The page after the second is the first, for ever."""
    page = asked_page(exchange)
    after = links(replace(page, first=0 if page.first else page.size), exchange.home)
    return page_answer(page_told(page, exchange.home) | after | {"has_more": True})


async def endless_more(exchange: Exchange) -> web.StreamResponse:
    """Says `has_more` on every page, also on the empty ones behind the last."""
    page = asked_page(exchange)
    more = {"has_more": True, **links(page.after(), exchange.home)}
    return page_answer(page_told(page, exchange.home) | more)


async def total_wrong(exchange: Exchange) -> web.StreamResponse:
    """Announces `more` records more than there are."""
    told = page_told(asked_page(exchange), exchange.home)
    return page_answer(told | {"total": asked_page(exchange).total + exchange.asked.whole("more")})


async def total_as_text(exchange: Exchange) -> web.StreamResponse:
    """Announces the total as a string."""
    return page_answer(page_told(asked_page(exchange), exchange.home) | {"total": str(asked_page(exchange).total)})


async def rows_inserted(exchange: Exchange) -> web.StreamResponse:
    """A record is inserted before the first with each request: the last of a page comes again on the next."""
    return shifted(exchange, -1)


async def rows_deleted(exchange: Exchange) -> web.StreamResponse:
    """A record before the page is deleted with each request: one record between two pages is never shown."""
    return shifted(exchange, 1)


async def short_page(exchange: Exchange) -> web.StreamResponse:
    """The second page lacks half of its records; others follow it."""
    page = asked_page(exchange)
    told = page_told(page, exchange.home)
    return page_answer(told | {"items": page.records()[: page.size // 2]} if is_second(page) else told)


async def empty_page(exchange: Exchange) -> web.StreamResponse:
    """The second page is empty; others follow it."""
    told = page_told(asked_page(exchange), exchange.home)
    return page_answer(told | {"items": []} if is_second(asked_page(exchange)) else told)


async def stuck_cursor(exchange: Exchange) -> web.StreamResponse:
    """Gives the cursor and the link of the page itself for the next one."""
    page = asked_page(exchange)
    return page_answer(page_told(page, exchange.home) | links(page, exchange.home))


async def cursor_expired(exchange: Exchange) -> web.StreamResponse:
    """Refuses every page but the first with 410, `cursor expired`, from `seconds` after the first request on."""
    world = exchange.world
    began = world.memory.recall("cursors", exchange.asked.text, world.now)
    if asked_page(exchange).first and world.now() - began >= exchange.asked.number("seconds"):
        return json_answer(410, {"message": "cursor expired"})
    return await exchange.inner()


async def past_the_end_404(exchange: Exchange) -> web.StreamResponse:
    """Answers 404 for a page behind the last, and never says which is the last."""
    page = asked_page(exchange)
    if page.first >= page.total:
        return json_answer(404, {"message": "no such page"})
    told = page_told(page, exchange.home)
    return json_answer(200, {"items": told["items"]})


async def size_capped(exchange: Exchange) -> web.StreamResponse:
    """Gives at most `most` records a page, however many are asked for, and says nothing of it."""
    page = asked_page(exchange)
    return shown(exchange, replace(page, size=min(page.size, exchange.asked.whole("most"))))


async def one_id_two_bodies(exchange: Exchange) -> web.StreamResponse:
    """Shows the last record of the page before again, with another value."""
    page = asked_page(exchange)
    told = page_told(page, exchange.home)
    again = replace(page, first=max(0, page.first - 1), size=1).records() if page.first else []
    return page_answer(told | {"items": [one | {"value": -1} for one in again] + page.records()})


async def next_foreign(exchange: Exchange) -> web.StreamResponse:
    """Links to the next page on another host (`to`)."""
    return linked(exchange, exchange.asked.words("to"))


async def next_userinfo(exchange: Exchange) -> web.StreamResponse:
    """Links to the next page with a user name in the address that looks like this host."""
    return linked(exchange, f"http://{exchange.request.host.replace(':', '%3A')}@localhost:9")


async def next_relative(exchange: Exchange) -> web.StreamResponse:
    """Links to the next page by a reference that is relative to this one."""
    return linked(exchange, None)


async def odd_link(exchange: Exchange) -> web.StreamResponse:
    """Names the next page only in Link: unquoted, in capitals, two relations in one value, over two lines."""
    told = page_told(asked_page(exchange), exchange.home)
    response = json_answer(200, {"items": told["items"]})
    response.headers.add("Link", '<https://example.org/a,b;c>; title="a, b; rel=next"; rel=help')
    if told["next"]:
        response.headers.add("Link", f'<{told["next"]}> ; REL="last NEXT"')
    return response


def asked_page(exchange: Exchange) -> Page:
    """The page that is asked for. Raises ValueError where something else is."""
    if exchange.request.path != ITEMS:
        raise ValueError(f"{exchange.asked.name}: is for {ITEMS}, not for {exchange.request.path}")
    return read_page(exchange.request.query)


def shown(exchange: Exchange, page: Page) -> web.Response:
    """The answer with that page."""
    return page_answer(page_told(page, exchange.home))


def shifted(exchange: Exchange, by: int) -> web.Response:
    """The page that is asked for, its records moved once more with each request."""
    page = asked_page(exchange)
    moved = by * exchange.world.memory.next_number("moved", exchange.asked.text)
    records = replace(page, first=max(0, page.first + moved)).records()
    return page_answer(page_told(page, exchange.home) | {"items": records})


def is_second(page: Page) -> bool:
    """Whether it is the second page."""
    return page.first // page.size == 1


def linked(exchange: Exchange, home: str | None) -> web.Response:
    """The page that is asked for, its link to the next one beginning with `home`, or with the query."""
    told = page_told(asked_page(exchange), home or exchange.home)
    if home is None and told["next"]:
        told["next"] = "?" + str(told["next"]).partition("?")[2]
    return page_answer(told)


FAULTS = (
    fault(same_page, "S06", ENDLESS),
    fault(two_cycle, "S06", ENDLESS),
    fault(endless_more, "S06", ENDLESS),
    fault(stuck_cursor, "S06", ENDLESS),
    fault(total_wrong, "S06", TOTALS, more=7),
    fault(total_as_text, "S06", "read as a number"),
    fault(rows_inserted, "S07", "repeats of a key are dropped and counted"),
    fault(rows_deleted, "S07", TOTALS),
    fault(short_page, "S06", "goes on: a short page is not the last"),
    fault(empty_page, "S06", "goes on where the API says that more follows"),
    fault(cursor_expired, "S06", "starts again from the first page; repeats of a key are dropped", seconds=0.0),
    fault(past_the_end_404, "S06", "the end, where the job says so"),
    fault(size_capped, "S06", "goes on from what came, not from what was asked for", most=10),
    fault(one_id_two_bodies, "S17", "first, last or an error, as the job says; counted"),
    fault(next_foreign, "X02", "refused, incomplete, with the reason", to="http://example.org"),
    fault(next_userinfo, "X02", "refused, incomplete, with the reason"),
    fault(next_relative, "H25", "the right next page"),
    fault(odd_link, "H25", "the right next page"),
)
