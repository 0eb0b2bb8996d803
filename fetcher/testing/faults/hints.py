"""What servers say about when to come back, well and badly put: Retry-After, X-RateLimit, RateLimit (H01 to H12)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from types import MappingProxyType
from typing import Never

from aiohttp import web

from fetcher.testing.faults.exchange import Exchange, Fault, fault, head, json_answer
from fetcher.testing.faults.spec import Value

Headers = list[tuple[str, str]]

WAITS = "the whole realm waits as long as that, plus a tenth at most"
BACKOFF = "own back-off; no crash, no hot loop"
IGNORED = "the field is ignored whole; own limits and back-off rule"


def imf_date(epoch_s: float) -> str:
    """`Sun, 06 Nov 1994 08:49:37 GMT`."""
    return format_datetime(datetime.fromtimestamp(int(epoch_s), UTC), usegmt=True)


def rfc850_date(epoch_s: float) -> str:
    """`Sunday, 06-Nov-94 08:49:37 GMT`."""
    return datetime.fromtimestamp(int(epoch_s), UTC).strftime("%A, %d-%b-%y %H:%M:%S GMT")


def asctime_date(epoch_s: float) -> str:
    """`Sun Nov  6 08:49:37 1994`."""
    return datetime.fromtimestamp(int(epoch_s), UTC).strftime("%a %b %e %H:%M:%S %Y")


@dataclass(frozen=True, slots=True)
class Hint:
    """A way to tell a wait: `headers(epoch, wait)` gives them; `asks` says how long a client has to wait for it, if."""

    name: str
    ids: str
    does: str
    expected: str
    headers: Callable[[float, float], Headers]
    asks: Callable[[float], float] = lambda wait_s: 0.0
    status: int = 429
    seconds: float = 2.0


def as_fault(hint: Hint) -> Fault:
    """The fault that answers with those headers; its `status` may be another, also 200."""

    async def play(exchange: Exchange) -> web.StreamResponse:
        status, wait_s = exchange.asked.whole("status"), exchange.asked.number("seconds")
        good = status < 400
        response = await exchange.answer() if good else json_answer(status, {"message": "Too Many Requests"})
        for name, value in hint.headers(exchange.world.epoch(), wait_s):
            if name == "Date":
                response.headers.popall("Date", None)
            response.headers.add(name, value)
        if asked_s := hint.asks(wait_s):
            exchange.ask_to_wait(asked_s)
        return response

    parameters: dict[str, Value] = {"seconds": hint.seconds, "status": hint.status}
    return Fault(hint.name, hint.ids, hint.does, hint.expected, play, MappingProxyType(parameters))


def whole(wait_s: float) -> float:
    """A wait that is told as a date or an epoch: whole seconds, so up to one less is asked for."""
    return max(0.0, wait_s - 1)


def whole_up(wait_s: float) -> str:
    """Whole seconds, never fewer."""
    return str(math.ceil(wait_s))


def exact(wait_s: float) -> float:
    """A wait that is told as it is."""
    return wait_s


def retry_after(written: Callable[[float, float], str]) -> Callable[[float, float], Headers]:
    """A Retry-After; `written(epoch, wait)` gives its value."""
    return lambda epoch, wait_s: [("Retry-After", written(epoch, wait_s))]


def fixed(value: str) -> Callable[[float, float], Headers]:
    """A Retry-After that says the same always."""
    return retry_after(lambda epoch, wait_s: value)


def dated(skew_s: float) -> Callable[[float, float], Headers]:
    """A Retry-After as a date by a clock that is off by so many seconds, and is told as Date."""
    return lambda epoch, wait_s: [
        ("Date", imf_date(epoch + skew_s)),
        ("Retry-After", imf_date(epoch + skew_s + wait_s)),
    ]


def reset(written: Callable[[float, float], str]) -> Callable[[float, float], Headers]:
    """X-RateLimit headers with nothing remaining; `written(epoch, wait)` gives the reset."""
    return lambda epoch, wait_s: [
        ("X-RateLimit-Limit", "100"),
        ("X-RateLimit-Remaining", "0"),
        ("X-RateLimit-Reset", written(epoch, wait_s)),
    ]


def policy(limit: str, policy: str = "") -> Callable[[float, float], Headers]:
    """RateLimit and RateLimit-Policy; `{t}` becomes the wait in whole seconds."""

    def headers(epoch: float, wait_s: float) -> Headers:
        told = [("RateLimit-Policy", policy), ("RateLimit", limit.replace("{t}", whole_up(wait_s)))]
        return [(name, value) for name, value in told if value]

    return headers


def duration(wait_s: float) -> str:
    """As Go writes it: `1m2s`."""
    return f"{wait_s // 60:.0f}m{wait_s % 60:g}s"


def iso(epoch_s: float) -> str:
    """`1994-11-06T08:49:37Z`."""
    return datetime.fromtimestamp(int(epoch_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


RETRY_AFTERS = (
    Hint("retry-after", "H01", "429 with Retry-After in seconds.", WAITS,
         retry_after(lambda epoch, wait_s: whole_up(wait_s)), exact),
    Hint("retry-after-float", "H04", "429 with Retry-After as a fraction: `2.5`.", WAITS,
         retry_after(lambda epoch, wait_s: f"{wait_s:.1f}"), exact, seconds=2.5),
    Hint("retry-after-date", "H02", "429 with Retry-After as an IMF date.", WAITS, dated(0), whole, seconds=3.0),
    Hint("retry-after-rfc850", "H02", "429 with Retry-After as an RFC 850 date.", WAITS,
         retry_after(lambda epoch, wait_s: rfc850_date(epoch + wait_s)), whole, seconds=3.0),
    Hint("retry-after-asctime", "H02", "429 with Retry-After as an asctime date.", WAITS,
         retry_after(lambda epoch, wait_s: asctime_date(epoch + wait_s)), whole, seconds=3.0),
    Hint("retry-after-clock-ahead", "H02", "429 with a Retry-After date and a Date, by a clock an hour ahead.", WAITS,
         dated(3600), whole, seconds=3.0),
    Hint("retry-after-clock-behind", "H02", "429 with a Retry-After date and a Date, by a clock an hour behind.", WAITS,
         dated(-3600), whole, seconds=3.0),
    Hint("retry-after-bad-date", "T07", "429 with a Retry-After date and a Date that is none.",
         "the date counts from this machine's clock",
         lambda epoch, wait_s: [("Date", "yesterday"), ("Retry-After", imf_date(epoch + wait_s))], whole, seconds=3.0),
    Hint("retry-after-ms", "H01", "429 with `retry-after-ms`, and a Retry-After rounded down to 0.", WAITS,
         lambda epoch, wait_s: [("retry-after-ms", f"{wait_s * 1000:.0f}"), ("Retry-After", "0")], exact, seconds=0.5),
    Hint("retry-after-twice", "H04", "429 with two Retry-After headers, the second longer.", WAITS,
         lambda epoch, wait_s: [("Retry-After", "1"), ("Retry-After", whole_up(wait_s))]),
    Hint("retry-after-zero", "H04", "429 with Retry-After 0.", BACKOFF, fixed("0")),
    Hint("retry-after-past", "H04", "429 with a Retry-After date an hour ago.", BACKOFF,
         retry_after(lambda epoch, wait_s: imf_date(epoch - 3600))),
    Hint("retry-after-empty", "H04", "429 with an empty Retry-After.", BACKOFF, fixed("")),
    Hint("retry-after-garbage", "H04", "429 with Retry-After `soon`.", BACKOFF, fixed("soon")),
    Hint("retry-after-negative", "H04", "429 with Retry-After `-5`.", BACKOFF, fixed("-5")),
    Hint("retry-after-exponent", "H04", "429 with Retry-After `1e9`, which is no number here.", BACKOFF, fixed("1e9")),
    Hint("retry-after-nan", "H04", "429 with Retry-After `nan`.", BACKOFF, fixed("nan")),
    Hint("retry-after-30-digits", "H04", "429 with a Retry-After of thirty digits.", "parked; no crash",
         fixed("9" * 30), lambda wait_s: 1e9),
    Hint("retry-after-long", "H05", "429 with Retry-After 86400: a day.",
         "rows and realm parked, exit 75; a start before that sends nothing",
         retry_after(lambda epoch, wait_s: whole_up(wait_s)), exact, seconds=86400.0),
    Hint("retry-after-503", "H01", "503 with Retry-After in seconds.", WAITS,
         retry_after(lambda epoch, wait_s: whole_up(wait_s)), exact, status=503),
    Hint("retry-after-413", "H01", "413 with Retry-After in seconds.", "retried after that, unlike a bare 413",
         retry_after(lambda epoch, wait_s: whole_up(wait_s)), exact, status=413),
    Hint("retry-after-403", "S03", "403 with Retry-After in seconds.", "throttled, not an authentication error",
         retry_after(lambda epoch, wait_s: whole_up(wait_s)), exact, status=403),
)  # fmt: skip

AT_TIME = "the next request comes at the reset, not before"
X_RATE_LIMITS = (
    Hint("reset-epoch", "H06", "200 with nothing remaining, X-RateLimit-Reset in epoch seconds.", AT_TIME,
         reset(lambda epoch, wait_s: f"{epoch + wait_s:.0f}"), whole, 200, 3.0),
    Hint("reset-epoch-ms", "H06", "200 with nothing remaining, X-RateLimit-Reset in epoch milliseconds.", AT_TIME,
         reset(lambda epoch, wait_s: f"{(epoch + wait_s) * 1000:.0f}"), exact, 200),
    Hint("reset-delta", "H06", "200 with nothing remaining, X-RateLimit-Reset in seconds from now.", AT_TIME,
         reset(lambda epoch, wait_s: whole_up(wait_s)), exact, 200),
    Hint("reset-delta-ms", "H06", "200 with nothing remaining, X-RateLimit-Reset in milliseconds from now.",
         "at the reset where the job says that the API sends milliseconds; parked else",
         reset(lambda epoch, wait_s: f"{wait_s * 1000:.0f}"), exact, 200),
    Hint("reset-float", "H06", "200 with nothing remaining, X-RateLimit-Reset as a fraction of seconds.", AT_TIME,
         reset(lambda epoch, wait_s: f"{wait_s:.3f}"), exact, 200, 1.5),
    Hint("reset-duration", "H06", "200 with nothing remaining, X-RateLimit-Reset as `1m2s`.", AT_TIME,
         reset(lambda epoch, wait_s: duration(wait_s)), exact, 200),
    Hint("reset-iso", "H06", "200 with nothing remaining, X-RateLimit-Reset as an ISO date.", AT_TIME,
         reset(lambda epoch, wait_s: iso(epoch + wait_s)), whole, 200, 3.0),
    Hint("reset-negative", "H06", "200 with Remaining and Reset of -1.", "the family is ignored",
         lambda epoch, wait_s: [("X-RateLimit-Remaining", "-1"), ("X-RateLimit-Reset", "-1")], status=200),
)  # fmt: skip

RATE_LIMITS = (
    Hint("ratelimit", "H08", "200 with two policies in RateLimit, one used up for `seconds`.", AT_TIME,
         policy('"burst";r=0;t={t}, "daily";r=900;t=40000', '"burst";q=100;w=60, "daily";q=1000;w=86400'),
         exact, 200, 3.0),
    Hint("ratelimit-draft-6", "H06", "200 with RateLimit-Limit, -Remaining 0 and -Reset, as in older drafts.", AT_TIME,
         lambda epoch, wait_s: [("RateLimit-Limit", "100, 100;w=60"), ("RateLimit-Remaining", "0"),
                                ("RateLimit-Reset", whole_up(wait_s))], exact, 200),
    Hint("ratelimit-two-lines", "H08", "200 with RateLimit split over two header lines.", AT_TIME,
         lambda epoch, wait_s: [("RateLimit", '"daily";r=900;t=40000'), ("RateLimit", f'"burst";r=0;t={wait_s:.0f}')],
         exact, 200),
    Hint("ratelimit-retry-after", "H10", "429 with Retry-After 1 and a RateLimit that says 30 s.",
         "waits 1 s: Retry-After wins",
         lambda epoch, wait_s: [("Retry-After", "1"), ("RateLimit", '"burst";r=0;t=30')], lambda wait_s: 1.0),
    Hint("ratelimit-unclosed", "H09", "200 with a RateLimit whose string does not end.", IGNORED,
         policy('"burst;r=0;t=30'), status=200),
    Hint("ratelimit-float", "H09", "200 with a RateLimit-Policy whose quota is a fraction.", IGNORED,
         policy('"burst";r=5;t=1', '"burst";q=1.5;w=60'), status=200),
    Hint("ratelimit-negative", "H09", "200 with a RateLimit of a negative remainder.", IGNORED,
         policy('"burst";r=-3;t=30'), status=200),
    Hint("ratelimit-absurd", "H11", "200 with r=10^15, t=0 and w=0.", "own caps rule",
         policy('"burst";r=999999999999999;t=0', '"burst";q=999999999999999;w=0'), status=200),
    Hint("ratelimit-bytes", "H12", '200 with a quota of `qu="content-bytes"`.', "not read as a count of requests",
         policy('"volume";r=0;t={t}', '"volume";q=1000000;w=60;qu="content-bytes"'), status=200),
    Hint("ratelimit-concurrent", "H12", '200 with a quota of `qu="concurrent-requests"`.',
         "not read as a count of requests; caps the concurrency",
         policy('"slots";r=4', '"slots";q=4;qu="concurrent-requests"'), status=200),
    Hint("ratelimit-unknown-unit", "H12", '200 with a quota of `qu="bananas"`.', "not read as a count of requests",
         policy('"fruit";r=0;t={t}', '"fruit";q=9;w=60;qu="bananas"'), status=200),
)  # fmt: skip


async def reset_growing(exchange: Exchange) -> web.StreamResponse:
    """Answers normally with a RateLimit whose `t` grows from answer to answer."""
    grown = exchange.world.memory.next_number("growing", exchange.asked.text)
    response = await exchange.answer()
    response.headers["RateLimit"] = f'"burst";r=50;t={10 * (grown + 1)}'
    return response


async def quota_shared(exchange: Exchange) -> web.StreamResponse:
    """Answers normally; another client uses the quota too: what remains falls by `step` with each answer."""
    used = exchange.world.memory.next_number("shared", exchange.asked.text) + 1
    limit = exchange.asked.whole("limit")
    response = await exchange.answer()
    response.headers["RateLimit"] = f'"shared";r={max(0, limit - used * exchange.asked.whole("step"))};t=60'
    return response


async def quota_problem(exchange: Exchange) -> web.StreamResponse:
    """Answers 429 with a problem document that names the policy that was violated, and Retry-After."""
    wait_s = exchange.asked.number("seconds")
    exchange.ask_to_wait(wait_s)
    kind = "https://iana.org/assignments/http-problem-types#quota-exceeded"
    response = json_answer(429, {"type": kind, "violated-policies": ["burst"]}, retry_after=whole_up(wait_s))
    response.content_type = "application/problem+json"
    return response


async def retry_after_without_date(exchange: Exchange) -> Never:
    """Answers 429 with a Retry-After date and without Date."""
    wait_s = exchange.asked.number("seconds")
    line = f"Retry-After: {imf_date(exchange.world.epoch() + wait_s)}"
    exchange.ask_to_wait(whole(wait_s))
    wire = exchange.wire()
    wire.send(head("429 Too Many Requests", line, "Content-Length: 0"))
    wire.close()


FAULTS = (
    *map(as_fault, (*RETRY_AFTERS, *X_RATE_LIMITS, *RATE_LIMITS)),
    fault(retry_after_without_date, "T07", "the date counts from this machine's clock", seconds=3.0),
    fault(reset_growing, "S13", "the newest value rules"),
    fault(quota_shared, "S12", "obeys the server's number, not its own count", limit=100, step=3),
    fault(quota_problem, "H08", WAITS, seconds=2.0),
)
