"""Every fault of the catalogue, shown over a socket to do what its line says."""

import gzip
import json
import re
import zlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from fetcher.cli import main
from fetcher.testing.faults.catalogue import CATALOGUE, SECTIONS, as_markdown
from fetcher.testing.faults.statuses import EXPECTED
from tests.testing.talking import serving

ROW = "/v1/rows?id=7"
BODY = b'{"id":7,"items":[{"id":7,"value":51}]}'
SECOND = "/v1/items?total=60&page=2&size=20"


def has(pattern, status):
    """That status, and a head in which the pattern is found."""
    return lambda seen: seen.status == status and re.search(pattern, seen.head) is not None


def ids(seen):
    """The ids of the records on a page."""
    return [one["id"] for one in seen.told["items"]]


def cut(ended):
    """The head with the whole length, and half of the body."""
    return lambda seen: seen.ended == ended and f": {len(BODY)}" in seen.head and seen.body == BODY[: len(BODY) // 2]


def unpacks(seen):
    """A 200 in gzip that is the normal body."""
    return "Content-Encoding: gzip" in seen.head and gzip.decompress(seen.body) == BODY


def fails_to_unpack(seen):
    """A 200 that says gzip and is no good one."""
    try:
        return "Content-Encoding: gzip" in seen.head and gzip.decompress(seen.body) is None
    except (OSError, EOFError, zlib.error):
        return True


DATE = r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT"
NETWORK = {
    "reset": lambda seen: (seen.raw, seen.ended) == (b"", "reset"),
    "close": lambda seen: (seen.raw, seen.ended) == (b"", "closed"),
    "no-answer": lambda seen: (seen.raw, seen.ended) == (b"", "silent"),
    "cut": cut("closed"),
    "cut-by-reset": lambda seen: seen.ended == "reset",
    "half-body-then-silence": cut("silent"),
    "headers-then-silence": lambda seen: seen.status == 200 and (seen.body, seen.ended) == (b"", "silent"),
    "drip": lambda seen: seen.body == BODY,
    "drip-headers": lambda seen: seen.body == BODY,
    "chunks-without-end": lambda seen: BODY in seen.body and not seen.body.endswith(b"0\r\n\r\n"),
    "bad-chunk": lambda seen: seen.body.startswith(b"zz\r\n"),
    "endless-chunks": lambda seen: seen.ended == "endless",
    "close-delimited": lambda seen: seen.body == BODY and "Length" not in seen.head,
    "close-delimited-cut": lambda seen: seen.body == BODY[: len(BODY) // 2] and "Length" not in seen.head,
    "connection-close": lambda seen: seen.body == BODY and "Connection: close" in seen.head,
    "keep-alive-lie": lambda seen: "keep-alive" in seen.head and seen.ended == "closed",
    "early-hints": lambda seen: seen.raw.count(b"HTTP/1.1 103 ") == 2 and seen.raw.endswith(BODY),
}
FRAMING = {
    "garbage-status-line": lambda seen: seen.raw.startswith(b"HTTP/1.1 OK maybe"),
    "not-http": lambda seen: seen.raw.startswith(b"SSH-"),
    "http-0-9": lambda seen: seen.raw == BODY,
    "conflicting-lengths": lambda seen: seen.head.count("Content-Length") == 2,
    "length-and-chunked": lambda seen: "Content-Length: 3" in seen.head and "chunked" in seen.head,
    "negative-length": has("Content-Length: -1", 200),
    "length-too-short": lambda seen: f"Content-Length: {len(BODY) // 2}" in seen.head and seen.body == BODY,
    "bare-cr": lambda seen: "X-Bare: a\rb" in seen.head,
    "nul-in-header": lambda seen: "X-Nul: a\0b" in seen.head,
    "nameless-header": has("\r\nthis is no header", 200),
    "unasked-answer": lambda seen: seen.raw.count(b"HTTP/1.1 200") == 2,
    "unknown-status": lambda seen: seen.status == 799,
    "no-content-type": lambda seen: "Content-Type" not in seen.head and seen.body == BODY,
    "thousand-headers": lambda seen: seen.head.count("X-Header") == 1000,
    "huge-header": lambda seen: len(seen.head) > 1 << 20,
    "many-cookies": lambda seen: seen.head.count("Set-Cookie") == 500,
}
STATUSES = {
    **{f"status-{status}": lambda seen, status=status: seen.status == status for status in EXPECTED},
    "outage": lambda seen: seen.status == 503,
    "flapping": lambda seen: seen.status == 500,
    "network-authentication": has("text/html", 511),
    "forbidden-remaining-0": has(r"X-Ratelimit-Remaining: 0\r\n", 403),
    "forbidden-secondary": lambda seen: seen.status == 403 and b"secondary rate limit" in seen.body,
    "never-again": lambda seen: seen.status == 429 and b"abnormal-usage-detected" in seen.body,
    "should-not-retry": has("X-Should-Retry: false", 503),
    "problem-of-wrong-types": lambda seen: seen.status == 503 and seen.told["status"] == 200,
    "cacheable-429": has("max-age=3600", 429),
    "not-ok": lambda seen: seen.status == 200 and seen.told["ok"] is False,
    "graphql-errors": lambda seen: seen.status == 200 and bool(seen.told["errors"]),
    "wait-in-words": lambda seen: seen.status == 429 and "in 2 seconds" in seen.told["error"]["message"],
    "backoff-field": lambda seen: seen.status == 200 and seen.told["backoff"] == 2,
}
HINTS = {
    "retry-after": has(r"Retry-After: 2\r\n", 429),
    "retry-after-float": has(r"Retry-After: 2\.5\r\n", 429),
    "retry-after-date": has(rf"Retry-After: {DATE}", 429),
    "retry-after-rfc850": has(r"Retry-After: \w+day, \d\d-\w{3}-\d\d ", 429),
    "retry-after-asctime": has(r"Retry-After: \w{3} \w{3} [ \d]\d [\d:]{8} \d{4}", 429),
    "retry-after-clock-ahead": lambda seen: "Retry-After" in seen.head and seen.head.count("\r\nDate:") == 1,
    "retry-after-clock-behind": lambda seen: "Retry-After" in seen.head and seen.head.count("\r\nDate:") == 1,
    "retry-after-bad-date": has(r"Date: yesterday\r\n", 429),
    "retry-after-ms": has(r"retry-after-ms: 500\r\n", 429),
    "retry-after-twice": lambda seen: seen.head.count("Retry-After") == 2,
    "retry-after-zero": has(r"Retry-After: 0\r\n", 429),
    "retry-after-past": has(rf"Retry-After: {DATE}", 429),
    "retry-after-empty": has(r"Retry-After: ?\r\n", 429),
    "retry-after-garbage": has("Retry-After: soon", 429),
    "retry-after-negative": has("Retry-After: -5", 429),
    "retry-after-exponent": has("Retry-After: 1e9", 429),
    "retry-after-nan": has("Retry-After: nan", 429),
    "retry-after-30-digits": has("Retry-After: 9{30}", 429),
    "retry-after-long": has("Retry-After: 86400", 429),
    "retry-after-503": has("Retry-After: 2", 503),
    "retry-after-413": has("Retry-After: 2", 413),
    "retry-after-403": has("Retry-After: 2", 403),
    "reset-epoch": has(r"X-RateLimit-Reset: \d{10}\r\n", 200),
    "reset-epoch-ms": has(r"X-RateLimit-Reset: \d{13}\r\n", 200),
    "reset-delta": has(r"X-RateLimit-Reset: 2\r\n", 200),
    "reset-delta-ms": has(r"X-RateLimit-Reset: 2000\r\n", 200),
    "reset-float": has(r"X-RateLimit-Reset: 1\.500\r\n", 200),
    "reset-duration": has(r"X-RateLimit-Reset: 0m2s\r\n", 200),
    "reset-iso": has(r"X-RateLimit-Reset: \d{4}-\d\d-\d\dT[\d:]{8}Z\r\n", 200),
    "reset-negative": has(r"X-RateLimit-Remaining: -1\r\n", 200),
    "ratelimit": has('RateLimit: "burst";r=0;t=3, "daily"', 200),
    "ratelimit-draft-6": has("RateLimit-Remaining: 0", 200),
    "ratelimit-two-lines": lambda seen: seen.head.count("\r\nRateLimit: ") == 2,
    "ratelimit-retry-after": has("Retry-After: 1\r\nRateLimit: .*t=30", 429),
    "ratelimit-unclosed": has(r'RateLimit: "burst;r=0;t=30\r\n', 200),
    "ratelimit-float": has(r"q=1\.5", 200),
    "ratelimit-negative": has("r=-3", 200),
    "ratelimit-absurd": has("r=9{15};t=0", 200),
    "ratelimit-bytes": has("content-bytes", 200),
    "ratelimit-concurrent": has("concurrent-requests", 200),
    "ratelimit-unknown-unit": has("bananas", 200),
    "retry-after-without-date": lambda seen: "Retry-After" in seen.head and "\r\nDate" not in seen.head,
    "reset-growing": has("t=10", 200),
    "quota-shared": has("r=97", 200),
    "quota-problem": lambda seen: seen.status == 429 and seen.told["violated-policies"] == ["burst"],
}
REDIRECTS = {
    **{f"redirect-{code}": has(rf"Location: http://127[^\r]*:\d+{re.escape(ROW)}", code) for code in (301, 302, 303)},
    **{f"redirect-{code}": has(rf"Location: http://127[^\r]*:\d+{re.escape(ROW)}", code) for code in (307, 308)},
    "redirect-loop": has("Location: http://[^/]*/fault/redirect-loop/v1/rows", 302),
    "redirect-chain": has("Location: http://[^/]*/fault/redirect-chain;hops=10/v1/rows", 302),
    "redirect-other-host": has(r"Location: http://localhost:\d+/v1/rows", 302),
    "redirect-other-port": has(r"Location: http://127.0.0.1:\d+/v1/rows", 302),
    "redirect-private": has("Location: http://169.254.169.254/", 302),
    "redirect-to-file": has("Location: file:///", 302),
    "redirect-userinfo": has("Location: http://api.example.org@127", 302),
    "redirect-nowhere": lambda seen: seen.status == 302 and "Location" not in seen.head,
    "redirect-retry-after": has("Retry-After: 1", 302),
}
CODINGS = {
    "gzip-good": unpacks,
    "gzip-truncated": fails_to_unpack,
    "gzip-members": unpacks,
    "gzip-trailing-garbage": lambda seen: seen.body.endswith(b"garbage") and fails_to_unpack(seen),
    "gzip-bad-checksum": fails_to_unpack,
    "gzip-declared": lambda seen: "Content-Encoding: gzip" in seen.head and seen.body == BODY,
    "gzip-undeclared": lambda seen: "Content-Encoding" not in seen.head and gzip.decompress(seen.body) == BODY,
    "gzip-sixfold": has("Content-Encoding: gzip, gzip, gzip, gzip, gzip, gzip", 200),
    "unknown-coding": has("Content-Encoding: snappy", 200),
    "gzip-bomb;mb=20": lambda seen: len(gzip.decompress(seen.body)) == 20_000_000 and len(seen.body) < 30_000,
}
CONTENT = {
    "not-json": lambda seen: seen.body == b"}{",
    "half-json": lambda seen: seen.body == BODY[: len(BODY) // 2] and f"Length: {len(BODY) // 2}" in seen.head,
    "deep-nesting": lambda seen: seen.body.startswith(b"[" * 100_000),
    "no-records": lambda seen: seen.told == {"items": []},
    "not-an-object": lambda seen: seen.told == "maintenance",
    "drift": lambda seen: [one.get("id") for one in seen.told["items"]] == [None, None, "7", 8],
    "xml-bomb": lambda seen: b"<!ENTITY" in seen.body,
    "nan": lambda seen: b'"odd":NaN,' in seen.body,
    "infinity": lambda seen: b'"odd":1e999,' in seen.body,
    "long-integer": lambda seen: b'"odd":' + b"7" * 5000 + b"," in seen.body,
    "exact-numbers": lambda seen: b"12345678901234567890.123" in seen.body,
    "duplicate-keys": lambda seen: seen.body.count(b'"odd"') == 2,
    "lone-surrogate": lambda seen: b'"\\ud800"' in seen.body,
    "bom": lambda seen: seen.body == b"\xef\xbb\xbf" + BODY,
    "utf-16": lambda seen: seen.body.decode("utf-16") == BODY.decode() and "charset=utf-16" in seen.head,
    "wrong-charset": lambda seen: b"caf\xe9" in seen.body and "charset=utf-8" in seen.head,
    "torn-ndjson": lambda seen: seen.body.endswith(b'{"id":'),
    "empty-200": lambda seen: (seen.status, seen.body) == (200, b""),
    "no-content": lambda seen: (seen.status, seen.body) == (204, b""),
    "partial-content": lambda seen: (seen.status, seen.body) == (206, BODY),
    "range-not-satisfiable": lambda seen: seen.status == 416,
    "login-page": lambda seen: b"<title>Log in" in seen.body and "text/html" in seen.head,
    "login-page-as-json": lambda seen: b"<title>Log in" in seen.body and "application/json" in seen.head,
    "json-as-html": lambda seen: seen.body == BODY and "text/html" in seen.head,
    "json-as-bytes": lambda seen: seen.body == BODY and "octet-stream" in seen.head,
    "huge-body;mb=2": lambda seen: len(seen.body) == 2_000_002,
    "many-records;count=1000": lambda seen: len(seen.told["items"]) == 1000,
    "not-modified": has("ETag", 304),
    "not-cacheable": has("Cache-Control: no-store", 200),
    "two-max-ages": has("max-age=60, max-age=3600", 200),
}
PAGES = {
    "same-page": lambda seen: ids(seen)[0] == 0 and "page=2&" in seen.told["next"],
    "two-cycle": lambda seen: ids(seen)[0] == 20 and "page=1&" in seen.told["next"],
    "endless-more": lambda seen: seen.told["has_more"] and "page=3&" in seen.told["next"],
    "stuck-cursor": lambda seen: "page=2&" in seen.told["next"],
    "total-wrong": lambda seen: seen.told["total"] == 67,
    "total-as-text": lambda seen: seen.told["total"] == "60",
    "short-page": lambda seen: ids(seen) == list(range(20, 30)) and seen.told["has_more"],
    "empty-page": lambda seen: ids(seen) == [] and seen.told["has_more"],
    "cursor-expired": lambda seen: seen.status == 410,
    "past-the-end-404": lambda seen: list(seen.told) == ["items"],
    "size-capped": lambda seen: len(ids(seen)) == 10,
    "one-id-two-bodies": lambda seen: ids(seen)[:2] == [19, 20] and seen.told["items"][0]["value"] == -1,
    "next-foreign": lambda seen: seen.told["next"].startswith("http://example.org/v1/items?"),
    "next-userinfo": lambda seen: "@localhost:9/" in seen.told["next"],
    "next-relative": lambda seen: seen.told["next"].startswith("?total="),
    "odd-link": lambda seen: seen.head.count("\r\nLink:") == 2 and 'REL="last NEXT"' in seen.head,
}
SINGLE = {**NETWORK, **FRAMING, **STATUSES, **HINTS, **REDIRECTS, **CODINGS, **CONTENT}
OVER_SEVERAL = (
    *("rows-inserted", "rows-deleted", "fixed-window", "sliding-window", "several-windows", "leaky-bucket"),
    *("calendar-day", "weighted", "spacing", "drop-over-limit", "at-once", "slow", "jitter", "growing-latency"),
    *("crowded", "random-errors", "token-expires", "token-refused", "answer-lost", "key-in-progress", "key-reused"),
    *("key-missing", "later", "later-never", "later-fails"),
)
"""Shown in test_faults_over_time.py."""


@pytest.mark.parametrize("name", SINGLE)
async def test_a_fault_does_what_its_line_says(name):
    """One request, every byte of the answer; the fault is counted once, and so is the request."""
    async with serving() as (server, talk):
        seen = await talk(f"/fault/{name}{ROW}")
        assert SINGLE[name](seen), seen.raw[:600]
        stats = server.stats()
    assert stats["faults"] == {name.partition(";")[0]: 1}
    assert sum(stats["by_status"].values()) == stats["requests"] == 1


@pytest.mark.parametrize("name", PAGES)
async def test_a_fault_of_paging_does_what_its_line_says(name):
    """The second page of three."""
    async with serving() as (_, talk):
        seen = await talk(f"/fault/{name}{SECOND}")
    assert PAGES[name](seen), seen.raw[:600]


def test_every_fault_is_shown():
    """A fault without a test is no promise; two faults never share a name."""
    shown = {name.partition(";")[0] for name in (*SINGLE, *PAGES, *OVER_SEVERAL)}
    assert shown == set(CATALOGUE)
    assert len(CATALOGUE) == sum(map(len, SECTIONS.values())) >= 60


def test_the_page_about_faults_lists_them_all():
    """docs/faults.md ends with the tables that the catalogue makes."""
    page = (Path(__file__).parents[2] / "docs" / "faults.md").read_text(encoding="utf-8")
    assert page.rstrip().endswith("\n".join(as_markdown()).rstrip())


def test_serve_lists_the_faults():
    """A line a fault: its name, its ids, what it does."""
    told = CliRunner().invoke(main, ["serve", "--list-faults"])
    assert told.exit_code == 0
    for entry in CATALOGUE.values():
        assert entry.name in told.output
        assert entry.does in told.output


def test_no_line_is_missing():
    """Each fault says what it does in one line, and what is expected of a client."""
    for entry in CATALOGUE.values():
        assert re.fullmatch(r"[A-Z0-9].*\.", entry.does), entry
        assert entry.expected
        assert re.fullmatch(r"([A-Z]\d\d( |$))*", entry.ids), entry


async def test_a_name_that_there_is_not_is_told():
    """400 with the nearest name, for parameters too."""
    async with serving() as (_, talk):
        said = [(await talk(path + ROW)).told["message"] for path in ("/fault/status-50", "/fault/slow;second=1")]
        wrong = await talk("/fault/slow;seconds=soon" + ROW)
        elsewhere = await talk("/fault/same-page" + ROW)
    assert "did you mean" in said[0]
    assert said[1] == "slow: no parameter is called 'second'; did you mean 'seconds'?"
    assert json.loads(wrong.body) == {"message": "slow: seconds: expected float, got 'soon'"}
    assert elsewhere.status == 400
