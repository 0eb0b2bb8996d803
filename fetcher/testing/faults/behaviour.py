"""Servers that are slow, forgetful or strict over several requests: latency, tokens, keys, jobs (S04 to S16)."""

from typing import Never

from aiohttp import web

from fetcher.testing.faults.exchange import Exchange, fault, json_answer
from fetcher.testing.faults.gate import chance


async def slow(exchange: Exchange) -> web.StreamResponse:
    """Answers normally, `seconds` late."""
    await exchange.world.sleep(exchange.asked.number("seconds"))
    return await exchange.inner()


async def jitter(exchange: Exchange) -> web.StreamResponse:
    """Answers normally, late by a different part of `seconds` each time."""
    row = f"{exchange.asked.text}|{exchange.row}|{exchange.nth}"
    await exchange.world.sleep(exchange.asked.number("seconds") * chance(row))
    return await exchange.inner()


async def growing_latency(exchange: Exchange) -> web.StreamResponse:
    """Answers normally; each request waits `step_s` longer than the one before it, up to `most_s`."""
    asked = exchange.asked
    grown = exchange.world.memory.next_number("latency", asked.text) * asked.number("step_s")
    await exchange.world.sleep(min(grown, asked.number("most_s")))
    return await exchange.inner()


async def crowded(exchange: Exchange) -> web.StreamResponse:
    """Answers normally; each request beyond `capacity` that is under way adds `step_s` to the wait."""
    asked, world = exchange.asked, exchange.world
    under_way = world.memory.recall("crowd", asked.text, lambda: [0])
    under_way[0] += 1
    try:
        await world.sleep(max(0, under_way[0] - asked.whole("capacity")) * asked.number("step_s"))
        return await exchange.inner()
    finally:
        under_way[0] -= 1


async def random_errors(exchange: Exchange) -> web.StreamResponse:
    """Answers 500, 502, 503 or 504, or resets the connection; for a `share` of all requests, say `share=0.2`."""
    pick = int(chance(f"{exchange.asked.text}|{exchange.row}|{exchange.nth}|which") * 5)
    if pick == 4:
        exchange.wire().reset()
    return json_answer((500, 502, 503, 504)[pick], {"message": "Something went wrong"})


async def token_expires(exchange: Exchange) -> web.StreamResponse:
    """Each credential is good for `uses` requests, then 401; `POST /v1/token` gives a new one."""
    token = exchange.request.headers.get("Authorization", "")
    uses = exchange.world.memory.next_number("uses", f"{exchange.asked.text}|{token}")
    if token and uses < exchange.asked.whole("uses"):
        return await exchange.inner()
    return unauthorized("invalid_token")


async def token_refused(exchange: Exchange) -> web.StreamResponse:
    """Refuses every credential with 401, new ones too."""
    return unauthorized("invalid_token")


async def answer_lost(exchange: Exchange) -> Never:
    """Does what is asked, then resets the connection without an answer."""
    await exchange.inner()
    exchange.wire().reset()


async def key_in_progress(exchange: Exchange) -> web.StreamResponse:
    """Answers 409: a request with this Idempotency-Key is still under way. Use `times` for how often."""
    return json_answer(409, {"message": "A request with this Idempotency-Key is in progress"}, retry_after="1")


async def key_reused(exchange: Exchange) -> web.StreamResponse:
    """Answers 422: this Idempotency-Key was used for another request."""
    return json_answer(422, {"message": "This Idempotency-Key was used with another payload"})


async def key_missing(exchange: Exchange) -> web.StreamResponse:
    """Answers 400 where Idempotency-Key is missing."""
    if "Idempotency-Key" in exchange.request.headers:
        return await exchange.inner()
    return json_answer(400, {"message": "Idempotency-Key is required"})


async def later(exchange: Exchange) -> web.StreamResponse:
    """Answers 202 with Location and Retry-After; the job found there runs for `polls` requests, then has the answer."""
    if "__job" not in exchange.request.query:
        return accepted(exchange)
    polled = exchange.world.memory.next_number("polls", f"{exchange.asked.text}|{exchange.row}")
    if polled < exchange.asked.whole("polls"):
        return still_running(exchange)
    return await exchange.inner()


async def later_never(exchange: Exchange) -> web.StreamResponse:
    """Answers 202 with Location and Retry-After; the job found there never ends."""
    return still_running(exchange) if "__job" in exchange.request.query else accepted(exchange)


async def later_fails(exchange: Exchange) -> web.StreamResponse:
    """Answers 202 with Location and Retry-After; the job found there has failed."""
    if "__job" not in exchange.request.query:
        return accepted(exchange)
    return json_answer(200, {"status": "failed", "error": "out of memory"})


def accepted(exchange: Exchange) -> web.Response:
    """202, and where the job is."""
    joint = "&" if exchange.request.query else "?"
    location = f"{exchange.home}{exchange.request.path_qs}{joint}__job=1"
    return json_answer(202, {"status": "accepted"}, location=location, retry_after=exchange.asked.words("seconds"))


def still_running(exchange: Exchange) -> web.Response:
    """202 again."""
    return json_answer(202, {"status": "running"}, retry_after=exchange.asked.words("seconds"))


def unauthorized(error: str) -> web.Response:
    """401 as RFC 6750 has it."""
    return json_answer(401, {"error": error}, www_authenticate=f'Bearer error="{error}"')


EASES = "concurrency falls, no cascade of timeouts; back at full speed within two minutes"
POLLS = "polls as often as the hint says"

FAULTS = (
    fault(slow, "S11", "waits, up to the timeout of an attempt", seconds=3.0),
    fault(jitter, "S11", "windows hold all the same", seconds=0.5),
    fault(growing_latency, "S11", EASES, step_s=0.01, most_s=5.0),
    fault(crowded, "S11", EASES, capacity=4, step_s=0.05),
    fault(random_errors, "N14", "complete; at most 1.3 requests a row at a share of 0.2"),
    fault(token_expires, "S04", "one refresh for all, every row asked again", uses=100),
    fault(token_refused, "S04", "one refresh, then the run stops"),
    fault(answer_lost, "S09 N04", "with a key: sent again, executed once; without: reported as unknown"),
    fault(key_in_progress, "S10", "waits, then the same key"),
    fault(key_reused, "S10", "permanent"),
    fault(key_missing, "S10", "permanent without a key, accepted with one"),
    fault(later, "S16", POLLS, polls=2, seconds=1),
    fault(later_never, "S16", POLLS + ", ends at the row's deadline", seconds=1),
    fault(later_fails, "S16", "an error of that row", seconds=1),
)
