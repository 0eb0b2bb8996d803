"""Bodies that are not what they should be (C01 to C15, H16 to H18, H22)."""

from types import MappingProxyType

from aiohttp import web

from fetcher.testing.faults.exchange import Exchange, Fault, fault

ROW_FAILS = "an error of that row; the worker and the other rows go on"
UNEXPECTED = "not kept as a full answer; an error of that row"


def replaced(name: str, ids: str, does: str, expected: str, body: bytes) -> Fault:
    """The fault that answers 200 with that body instead."""

    async def play(exchange: Exchange) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    return Fault(name, ids, does, expected, play, MappingProxyType({}))


def odd_member(name: str, ids: str, does: str, expected: str, text: bytes) -> Fault:
    """The fault that puts one more member, `"odd"`, at the front of the normal JSON object."""

    async def play(exchange: Exchange) -> web.StreamResponse:
        body = (await exchange.body()).replace(b"{", b'{"odd":' + text + b",", 1)
        return web.Response(body=body, content_type="application/json")

    return Fault(name, ids, does, expected, play, MappingProxyType({}))


def labelled(name: str, does: str, expected: str, status: int, kind: str, text: str | None) -> Fault:
    """The fault that answers with that status and content type; with the normal body where `text` is None."""

    async def play(exchange: Exchange) -> web.StreamResponse:
        body = await exchange.body() if text is None else text.encode()
        return web.Response(status=status, body=body, headers={"Content-Type": kind})

    return Fault(name, "H17 H18", does, expected, play, MappingProxyType({}))


async def bom(exchange: Exchange) -> web.StreamResponse:
    """Puts a byte order mark before the JSON."""
    return web.Response(body=b"\xef\xbb\xbf" + await exchange.body(), content_type="application/json")


async def utf_16(exchange: Exchange) -> web.StreamResponse:
    """Sends the body in UTF-16 and says so."""
    body = (await exchange.body()).decode().encode("utf-16")
    return web.Response(body=body, headers={"Content-Type": "application/json; charset=utf-16"})


async def wrong_charset(exchange: Exchange) -> web.StreamResponse:
    """Says UTF-8 and sends an `é` in Latin-1."""
    body = (await exchange.body()).replace(b"{", b'{"odd":"caf\xe9",', 1)
    return web.Response(body=body, headers={"Content-Type": "application/json; charset=utf-8"})


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


async def torn_ndjson(exchange: Exchange) -> web.StreamResponse:
    """Sends NDJSON whose last line is cut."""
    return web.Response(body=b'{"id":1}\n{"id":2}\n{"id":', headers={"Content-Type": "application/x-ndjson"})


LOGIN = "<!doctype html><title>Log in</title><form method=post><input name=password type=password></form>"
JSON = "application/json"

FAULTS = (
    replaced("not-json", "C01", "Sends `}{`.", ROW_FAILS, b"}{"),
    replaced("half-json", "C01 N08", "Sends half of a JSON document as if it were whole.", ROW_FAILS, b'{"items":[{"id"'),
    replaced("deep-nesting", "C02", "Sends 100,000 brackets within each other.", ROW_FAILS,
             b"[" * 100_000 + b"]" * 100_000),
    replaced("no-records", "C15", "Sends an empty list of records.", "done, with 0 records", b'{"items":[]}'),
    replaced("not-an-object", "C13", "Sends a JSON string where an object should be.", ROW_FAILS, b'"maintenance"'),
    replaced("drift", "C13", "Sends records without their key, with a null, another type and a new field.",
             "as the job's schema says; counted",
             b'{"items":[{"value":1},{"id":null},{"id":"7","value":"1"},{"id":8,"value":1,"new":true}]}'),
    replaced("xml-bomb", "C11", "Sends XML whose entities unpack to gigabytes.", "refused",
             b'<!DOCTYPE b [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><b>&b;</b>'),
    odd_member("nan", "C04", "Puts a NaN into the JSON.", "an error, or as the job says; output stays JSON", b"NaN"),
    odd_member("infinity", "C04", "Puts 1e999 into the JSON.", "an error, or as the job says; output stays JSON", b"1e999"),
    odd_member("long-integer", "C03", "Puts an integer of 5,000 digits into the JSON.", "preserved, or " + ROW_FAILS,
               b"7" * 5000),
    odd_member("exact-numbers", "C12", "Puts numbers into the JSON that a float cannot hold.", "preserved digit by digit",
               b"[9007199254740993,1.10,12345678901234567890.123]"),
    odd_member("duplicate-keys", "C05", "Puts one key into the JSON twice.", "detected", b'1,"odd":2'),
    odd_member("lone-surrogate", "C07", "Puts half a surrogate pair into the JSON.", ROW_FAILS, b'"\\ud800"'),
    labelled("empty-200", "Answers 200 with nothing.", UNEXPECTED, 200, JSON, ""),
    labelled("no-content", "Answers 204.", UNEXPECTED, 204, JSON, ""),
    labelled("partial-content", "Answers 206, unasked.", UNEXPECTED, 206, JSON, None),
    labelled("range-not-satisfiable", "Answers 416, unasked.", "permanent", 416, JSON, "{}"),
    labelled("login-page", "Answers 200 with an HTML login page.", "no records, not kept", 200, "text/html", LOGIN),
    labelled("login-page-as-json", "Answers 200 with an HTML login page that says it is JSON.", ROW_FAILS, 200, JSON, LOGIN),
    labelled("json-as-html", "Sends the JSON as text/html.", "judged by the body, or refused", 200, "text/html", None),
    labelled("json-as-bytes", "Sends the JSON as application/octet-stream.", "judged by the body, or refused", 200,
             "application/octet-stream", None),
    fault(bom, "C07", "read as if it were not there"),
    fault(utf_16, "C07", "read, or " + ROW_FAILS),
    fault(wrong_charset, "C07", ROW_FAILS),
    fault(torn_ndjson, "C01", ROW_FAILS),
    fault(huge_body, "C09", "stopped at the size cap", mb=200),
    fault(many_records, "C15 C09", "bounded batches, all or nothing", count=1_000_000),
    fault(not_modified, "H16", "one unconditional request more where nothing is stored"),
    fault(not_cacheable, "H22", "no trace of it is kept"),
    fault(two_max_ages, "H22", "taken for stale"),
)  # fmt: skip
