"""Bodies that are not what they should be (C01 to C15, H16 to H18, H22)."""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from aiohttp import web

from fetcher.testing.faults.exchange import Exchange, Fault, fault

ROW_FAILS = "an error of that row; the worker and the other rows go on"
STRICT = "an error, or as the job says; output stays JSON"
BY_BODY = "judged by the body, or refused"
UNEXPECTED = "not kept as a full answer; an error of that row"


JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Spoilt:
    """A way to spoil a body: `made(normal body)` is sent instead, with that status and content type."""

    name: str
    ids: str
    does: str
    expected: str
    made: Callable[[bytes], bytes]
    status: int = 200
    kind: str = JSON


def as_fault(spoilt: Spoilt) -> Fault:
    """The fault that spoils bodies in that way."""

    async def play(exchange: Exchange) -> web.StreamResponse:
        body = spoilt.made(await exchange.body())
        return web.Response(status=spoilt.status, body=body, headers={"Content-Type": spoilt.kind})

    return Fault(spoilt.name, spoilt.ids, spoilt.does, spoilt.expected, play, MappingProxyType({}))


def instead(body: bytes) -> Callable[[bytes], bytes]:
    """That body, whatever the normal one is."""
    return lambda normal: body


def odd(value: bytes) -> Callable[[bytes], bytes]:
    """One more member, `"odd"`, at the front of the normal JSON object."""
    return lambda normal: normal.replace(b"{", b'{"odd":' + value + b",", 1)


def unchanged(normal: bytes) -> bytes:
    """The normal body."""
    return normal


async def not_modified(exchange: Exchange) -> web.StreamResponse:
    """Answers 304 to everybody, asked for or not."""
    return web.Response(status=304, headers={"ETag": '"e1"'})


async def not_cacheable(exchange: Exchange) -> web.StreamResponse:
    """Answers normally with `Cache-Control: no-store`."""
    response = await exchange.answer()
    response.headers["Cache-Control"] = "no-store"
    return response


async def two_max_ages(exchange: Exchange) -> web.StreamResponse:
    """Answers normally with two max-age that differ, `Expires: 0`, `Vary: *` and a weak ETag."""
    response = await exchange.answer()
    told = {"Cache-Control": "max-age=60, max-age=3600", "Expires": "0", "Vary": "*", "ETag": 'W/"e1"'}
    response.headers.update(told)
    return response


async def huge_body(exchange: Exchange) -> web.StreamResponse:
    """Sends JSON of `mb` megabytes."""
    filler = b" " * (exchange.asked.whole("mb") * 1_000_000)
    return web.Response(body=b"{" + filler + b"}", content_type="application/json")


async def many_records(exchange: Exchange) -> web.StreamResponse:
    """Answers with `count` records."""
    count = exchange.asked.whole("count")
    records = b",".join(b'{"id":%d,"value":0}' % number for number in range(count))
    return web.Response(body=b'{"items":[' + records + b"]}", content_type="application/json")


LOGIN = b"<!doctype html><title>Log in</title><form method=post><input name=password type=password></form>"
SPOILT = (
    Spoilt("not-json", "C01", "Sends `}{`.", ROW_FAILS, instead(b"}{")),
    Spoilt("half-json", "C01 N08", "Sends half of a JSON document as if it were whole.", ROW_FAILS,
           lambda normal: normal[: len(normal) // 2]),
    Spoilt("deep-nesting", "C02", "Sends 100,000 brackets within each other.", ROW_FAILS,
           instead(b"[" * 100_000 + b"]" * 100_000)),
    Spoilt("no-records", "C15", "Sends an empty list of records.", "done, with 0 records", instead(b'{"items":[]}')),
    Spoilt("not-an-object", "C13", "Sends a JSON string for an object.", ROW_FAILS, instead(b'"maintenance"')),
    Spoilt("drift", "C13", "Sends records without their key, with a null, another type and a new field.",
           "as the job's schema says; counted",
           instead(b'{"items":[{"value":1},{"id":null},{"id":"7","value":"1"},{"id":8,"value":1,"new":true}]}')),
    Spoilt("xml-bomb", "C11", "Sends XML with entities within entities.", "refused",
           instead(b'<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><b>&b;</b>'), kind="application/xml"),
    Spoilt("nan", "C04", "Puts a NaN into the JSON.", STRICT, odd(b"NaN")),
    Spoilt("infinity", "C04", "Puts 1e999 into the JSON.", STRICT, odd(b"1e999")),
    Spoilt("long-integer", "C03", "Puts an integer of 5,000 digits into the JSON.", "preserved, or " + ROW_FAILS,
           odd(b"7" * 5000)),
    Spoilt("exact-numbers", "C12", "Puts numbers into the JSON that a float cannot hold.", "kept digit by digit",
           odd(b"[9007199254740993,1.10,12345678901234567890.123]")),
    Spoilt("duplicate-keys", "C05", "Puts one key into the JSON twice.", "detected", odd(b'1,"odd":2')),
    Spoilt("lone-surrogate", "C07", "Puts half a surrogate pair into the JSON.", ROW_FAILS, odd(b'"\\ud800"')),
    Spoilt("bom", "C07", "Puts a byte order mark before the JSON.", "read as if it were not there",
           lambda normal: b"\xef\xbb\xbf" + normal),
    Spoilt("utf-16", "C07", "Sends the body in UTF-16 and says so.", "read, or " + ROW_FAILS,
           lambda normal: normal.decode().encode("utf-16"), kind="application/json; charset=utf-16"),
    Spoilt("wrong-charset", "C07", "Says UTF-8 and sends an `é` in Latin-1.", ROW_FAILS, odd(b'"caf\xe9"'),
           kind="application/json; charset=utf-8"),
    Spoilt("torn-ndjson", "C01", "Sends NDJSON whose last line is cut.", ROW_FAILS,
           instead(b'{"id":1}\n{"id":2}\n{"id":'), kind="application/x-ndjson"),
    Spoilt("empty-200", "H17", "Answers 200 with nothing.", UNEXPECTED, instead(b"")),
    Spoilt("no-content", "H17", "Answers 204.", UNEXPECTED, instead(b""), 204),
    Spoilt("partial-content", "H17", "Answers 206, unasked.", UNEXPECTED, unchanged, 206),
    Spoilt("range-not-satisfiable", "H17", "Answers 416, unasked.", "permanent", instead(b"{}"), 416),
    Spoilt("login-page", "H18", "Answers 200 with an HTML login page.", "no records, not kept", instead(LOGIN),
           kind="text/html"),
    Spoilt("login-page-as-json", "H18", "Answers 200 with an HTML login page, labelled JSON.", ROW_FAILS,
           instead(LOGIN)),
    Spoilt("json-as-html", "H18", "Sends the JSON as text/html.", BY_BODY, unchanged, kind="text/html"),
    Spoilt("json-as-bytes", "H18", "Sends the JSON as application/octet-stream.", BY_BODY, unchanged,
           kind="application/octet-stream"),
)  # fmt: skip

FAULTS = (
    *map(as_fault, SPOILT),
    fault(huge_body, "C09", "stopped at the size cap", mb=200),
    fault(many_records, "C15 C09", "bounded batches, all or nothing", count=1_000_000),
    fault(not_modified, "H16", "one unconditional request more where nothing is stored"),
    fault(not_cacheable, "H22", "no trace of it is kept"),
    fault(two_max_ages, "H22", "taken for stale"),
)
