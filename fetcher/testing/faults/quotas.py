"""Quotas that count each request: what is beyond them is refused, and told in `/__stats` as `exceeded`.

All clients that write a limit in the same words share it.
"""

import math

from aiohttp import web

from fetcher.testing.faults.exchange import Exchange, fault, json_answer
from fetcher.testing.faults.windows import CalendarDay, FixedWindow, LeakyBucket, Limit, SeveralWindows, SlidingWindow

HELD = "no window is ever exceeded, at least 95 % of it is used"


async def fixed_window(exchange: Exchange) -> web.StreamResponse:
    """Lets `limit` requests through in each `window_s`, counted by the clock's own windows; 429 beyond."""
    asked, epoch = exchange.asked, exchange.world.epoch()
    return await limited(exchange, FixedWindow(asked.number("limit"), asked.number("window_s")), epoch)


async def sliding_window(exchange: Exchange) -> web.StreamResponse:
    """Lets `limit` requests through in any `window_s`, wherever it begins; 429 beyond."""
    asked = exchange.asked
    limit = SlidingWindow(asked.number("limit"), asked.number("window_s"))
    return await limited(exchange, limit, exchange.world.now())


async def several_windows(exchange: Exchange) -> web.StreamResponse:
    """Holds several windows at once: `windows=5:1+50:60` is 5 a second and 50 a minute; 429 beyond."""
    pairs = [pair.partition(":") for pair in exchange.asked.words("windows").split("+")]
    limit = SeveralWindows([(float(limit), float(window_s)) for limit, _, window_s in pairs])
    return await limited(exchange, limit, exchange.world.now())


async def leaky_bucket(exchange: Exchange) -> web.StreamResponse:
    """Lets `rate_per_s` through evenly and `burst` ahead of it, as nginx's limit_req does; 429 beyond."""
    limit = LeakyBucket(exchange.asked.number("rate_per_s"), exchange.asked.number("burst"))
    return await limited(exchange, limit, exchange.world.now())


async def calendar_day(exchange: Exchange) -> web.StreamResponse:
    """Lets `limit` requests through in a calendar day of time zone `zone`; 429 beyond."""
    limit = CalendarDay(exchange.asked.number("limit"), exchange.asked.words("zone"))
    return await limited(exchange, limit, exchange.world.epoch())


async def weighted(exchange: Exchange) -> web.StreamResponse:
    """Lets `limit` units through in any `window_s`; the query's parameter `cost` says how many a request is."""
    asked = exchange.asked
    limit = SlidingWindow(asked.number("limit"), asked.number("window_s"))
    text = exchange.request.query.get("cost", "1")
    return await limited(exchange, limit, exchange.world.now(), float(text) if text.isdecimal() else 1.0)


async def spacing(exchange: Exchange) -> web.StreamResponse:
    """Wants at least `gap_s` between two requests; 429 for one that comes sooner."""
    limit = SlidingWindow(1, exchange.asked.number("gap_s"))
    return await limited(exchange, limit, exchange.world.now())


async def drop_over_limit(exchange: Exchange) -> web.StreamResponse:
    """Lets `limit` requests through in any `window_s`, and resets the connection of those beyond."""
    asked, world = exchange.asked, exchange.world
    limit = world.memory.recall(
        "limit", asked.text, lambda: SlidingWindow(asked.number("limit"), asked.number("window_s"))
    )
    if limit.wait_s(world.now(), 1):
        world.book.note_exceeded(asked.text)
        exchange.wire().reset()
    return await exchange.inner()


async def at_once(exchange: Exchange) -> web.StreamResponse:
    """Lets `limit` requests be under way at once; 429 beyond. To hold them for a while, name `slow` after it."""
    asked, world = exchange.asked, exchange.world
    under_way = world.memory.recall("under way", asked.text, lambda: [0])
    if under_way[0] >= asked.whole("limit"):
        world.book.note_exceeded(asked.text)
        return json_answer(429, {"message": "Too many requests at once"})
    under_way[0] += 1
    try:
        return await exchange.inner()
    finally:
        under_way[0] -= 1


async def limited(exchange: Exchange, fresh: Limit, now: float, cost: float = 1.0) -> web.StreamResponse:
    """What is within passes; what is beyond gets 429, with the wait where the parameter `hint` names one."""
    world, asked = exchange.world, exchange.asked
    limit: Limit = world.memory.recall("limit", asked.text, lambda: fresh)
    wait_s = limit.wait_s(now, cost)
    if not wait_s:
        return await exchange.inner()
    world.book.note_exceeded(asked.text)
    refused = json_answer(429, {"message": "Too Many Requests"})
    told_s = math.ceil(wait_s)
    match asked.words("hint"):
        case "retry-after":
            refused.headers["Retry-After"] = str(told_s)
        case "ratelimit":
            refused.headers["RateLimit"] = f'"default";r=0;t={told_s}'
        case "x-ratelimit":
            refused.headers["X-RateLimit-Remaining"] = "0"
            refused.headers["X-RateLimit-Reset"] = str(told_s)
        case _:
            return refused
    exchange.ask_to_wait(wait_s)
    return refused


FAULTS = (
    fault(fixed_window, "S01", HELD, limit=10, window_s=1.0, hint="retry-after"),
    fault(sliding_window, "S01", HELD, limit=10, window_s=1.0, hint="retry-after"),
    fault(several_windows, "S01", HELD, windows="5:1+50:60", hint="retry-after"),
    fault(leaky_bucket, "S01", HELD, rate_per_s=50.0, burst=10, hint="none"),
    fault(calendar_day, "H05", "parked until midnight in that zone", limit=1000, zone="UTC", hint="retry-after"),
    fault(weighted, "S01", HELD, limit=100, window_s=1.0, hint="retry-after"),
    fault(spacing, "S01", "starts are spaced evenly", gap_s=0.1, hint="none"),
    fault(drop_over_limit, "N14 S01", "slows down; nothing lost", limit=10, window_s=1.0),
    fault(at_once, "S01", "never more under way than the job allows", limit=4),
)
