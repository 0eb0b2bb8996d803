"""Answers that fail by their status, or by what the body says beside a status that does not."""

from http import HTTPStatus
from types import MappingProxyType

from aiohttp import web

from fetcher.testing.faults.exchange import Exchange, Fault, fault, json_answer

RETRY = "retries with jittered waits, within the retry budget"
REFUSED = "permanent: not asked again"
MISSING = "the row is missing at the API: not asked again"
TOKEN = "one refresh of the credential for all, then the run stops"
THROTTLED = "throttled, not an authentication error: the realm cools down"

EXPECTED = {
    **dict.fromkeys((400, 405, 411, 413, 414, 415, 422, 431, 451, 501, 505), REFUSED),
    **dict.fromkeys((404, 410), MISSING),
    **dict.fromkeys((408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529), RETRY),
    401: TOKEN,
    403: "not asked again in this run, unless a hint or a rule says that it is throttling; the next run does",
    407: "a proxy's error; proxy credentials never reach the origin",
    409: "permanent unless the job says otherwise",
    423: "permanent unless the job says otherwise",
}
VENDORS = {
    520: "Web Server Returned an Unknown Error",
    521: "Web Server Is Down",
    522: "Connection Timed Out",
    523: "Origin Is Unreachable",
    524: "A Timeout Occurred",
    529: "Site Is Overloaded",
}
IDS = {401: "S04", 404: "S15", 410: "S15", 429: "S01", 503: "S02", 403: "S03"}


def reason_of(status: int) -> str:
    """`Service Unavailable` for 503."""
    return VENDORS.get(status) or HTTPStatus(status).phrase


def plain(status: int) -> Fault:
    """The fault that answers with that status and nothing that tells when to come back."""

    async def play(exchange: Exchange) -> web.StreamResponse:
        return json_answer(status, {"message": reason_of(status)})

    does = f"Answers {status} {reason_of(status)}, without a hint."
    return Fault(f"status-{status}", IDS.get(status, ""), does, EXPECTED[status], play, MappingProxyType({}))


async def outage(exchange: Exchange) -> web.StreamResponse:
    """Answers 503 for `seconds` after the first request."""
    world, asked = exchange.world, exchange.asked
    began = world.memory.recall("outage", asked.text, world.now)
    if world.now() - began < asked.number("seconds"):
        return json_answer(503, {"message": "Service Unavailable"})
    return await exchange.inner()


async def flapping(exchange: Exchange) -> web.StreamResponse:
    """Answers every second request for a row with 500, the first included."""
    return await exchange.inner() if exchange.nth % 2 else json_answer(500, {"message": "Internal Server Error"})


async def network_authentication(exchange: Exchange) -> web.StreamResponse:
    """Answers 511 with the login page of a captive portal."""
    return web.Response(status=511, text="<html><title>Log in to the network</title></html>", content_type="text/html")


async def forbidden_remaining_0(exchange: Exchange) -> web.StreamResponse:
    """Answers 403 with X-RateLimit-Remaining 0 and a reset `seconds` ahead, as GitHub does."""
    wait_s = exchange.asked.whole("seconds")
    reset = str(int(exchange.world.epoch()) + wait_s)
    exchange.ask_to_wait(wait_s - 1)
    return json_answer(403, {"message": "API rate limit exceeded"}, x_ratelimit_remaining="0", x_ratelimit_reset=reset)


async def forbidden_secondary(exchange: Exchange) -> web.StreamResponse:
    """Answers 403 whose body alone speaks of a secondary rate limit."""
    return json_answer(403, {"message": "You have exceeded a secondary rate limit. Please wait a few minutes."})


async def never_again(exchange: Exchange) -> web.StreamResponse:
    """Answers 429 with a problem document: abnormal usage detected; asking again makes it worse."""
    told = {"type": "https://iana.org/assignments/http-problem-types#abnormal-usage-detected", "status": 429}
    response = json_answer(429, told)
    response.content_type = "application/problem+json"
    return response


async def should_not_retry(exchange: Exchange) -> web.StreamResponse:
    """Answers 503 with `x-should-retry: false`."""
    return json_answer(503, {"message": "Service Unavailable"}, x_should_retry="false")


async def problem_of_wrong_types(exchange: Exchange) -> web.StreamResponse:
    """Answers 503 with a problem document whose members have wrong types and whose status says 200."""
    response = json_answer(503, {"type": 7, "title": ["no"], "status": 200, "detail": None, "instance": {}})
    response.content_type = "application/problem+json"
    return response


async def cacheable_429(exchange: Exchange) -> web.StreamResponse:
    """Answers 429 with `Cache-Control: max-age=3600`."""
    return json_answer(429, {"message": "Too Many Requests"}, cache_control="max-age=3600")


async def not_ok(exchange: Exchange) -> web.StreamResponse:
    """Answers 200 with `{"ok": false, "error": "ratelimited"}`, as Slack does."""
    return json_answer(200, {"ok": False, "error": "ratelimited"})


async def graphql_errors(exchange: Exchange) -> web.StreamResponse:
    """Answers 200 with half of the data and a GraphQL error."""
    errors = [{"message": "Timeout", "path": ["items", 1], "extensions": {"code": "TIMEOUT"}}]
    return json_answer(200, {"data": {"items": [{"id": 1}, None]}, "errors": errors})


async def wait_in_words(exchange: Exchange) -> web.StreamResponse:
    """Answers 429 that says in English, and nowhere else, to try again in `seconds`."""
    wait_s = exchange.asked.whole("seconds")
    exchange.ask_to_wait(wait_s)
    return json_answer(429, {"error": {"message": f"Rate limit reached. Please try again in {wait_s} seconds."}})


async def backoff_field(exchange: Exchange) -> web.StreamResponse:
    """Answers 200 with `{"backoff": seconds}` beside the records, as Stack Exchange does."""
    wait_s = exchange.asked.whole("seconds")
    exchange.ask_to_wait(wait_s)
    return json_answer(200, {"items": [{"id": 1}], "backoff": wait_s, "quota_remaining": 41})


RULE = "a rule of the job decides; never a success where one matches"

FAULTS = (
    *(plain(status) for status in sorted(EXPECTED)),
    fault(outage, "S02", "the breaker opens, few requests are lost, full speed soon after", seconds=60.0),
    fault(flapping, "S01", RETRY),
    fault(network_authentication, "H18", "retries later; never parsed, never kept"),
    fault(forbidden_remaining_0, "S03", THROTTLED, seconds=2),
    fault(forbidden_secondary, "S03", THROTTLED + " for at least a minute"),
    fault(never_again, "H08", "stops asking"),
    fault(should_not_retry, "", "not retried where the job says that the API sends it"),
    fault(problem_of_wrong_types, "H27", "the real status rules, the members are ignored"),
    fault(cacheable_429, "H23", "never kept"),
    fault(not_ok, "S05", RULE),
    fault(graphql_errors, "S05", RULE),
    fault(wait_in_words, "S05", "a rule of the job reads the wait", seconds=2),
    fault(backoff_field, "S05", "a rule of the job reads the wait", seconds=2),
)
