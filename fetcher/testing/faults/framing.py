"""Answers that break HTTP's own grammar, or strain it (H19, H20)."""

from collections.abc import Callable
from typing import Never

from fetcher.testing.faults.exchange import Exchange, fault, head
from fetcher.testing.faults.network import chunk, ok_head

REJECTED = "rejected, connection closed; a bounded error of that row"


async def garbage_status_line(exchange: Exchange) -> Never:
    """Begins with a status line that is none: `HTTP/1.1 OK maybe`."""
    await _send(exchange, lambda body: b"HTTP/1.1 OK maybe\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


async def not_http(exchange: Exchange) -> Never:
    """Answers with bytes of another protocol."""
    await _send(exchange, lambda body: b"SSH-2.0-OpenSSH_9.2\r\n" + bytes(range(256)))


async def http_0_9(exchange: Exchange) -> Never:
    """Sends the body without any head, as in HTTP/0.9."""
    await _send(exchange, lambda body: body)


async def thousand_headers(exchange: Exchange) -> Never:
    """Sends `count` headers."""
    lines = [f"X-Header-{number}: {number}" for number in range(exchange.asked.whole("count"))]
    await _send(exchange, lambda body: ok_head(len(body), *lines) + body)


async def huge_header(exchange: Exchange) -> Never:
    """Sends one header of `bytes` bytes (1 MiB)."""
    line = "X-Huge: " + "x" * exchange.asked.whole("bytes")
    await _send(exchange, lambda body: ok_head(len(body), line) + body)


async def many_cookies(exchange: Exchange) -> Never:
    """Sets `count` cookies."""
    lines = [f"Set-Cookie: c{number}={'x' * 60}" for number in range(exchange.asked.whole("count"))]
    await _send(exchange, lambda body: ok_head(len(body), *lines) + body)


async def conflicting_lengths(exchange: Exchange) -> Never:
    """Sends two Content-Length headers that differ."""
    await _send(exchange, lambda body: ok_head(len(body), f"Content-Length: {len(body) + 7}") + body)


async def length_and_chunked(exchange: Exchange) -> Never:
    """Sends Content-Length and Transfer-Encoding: chunked together."""
    await _send(exchange, lambda body: ok_head(3, "Transfer-Encoding: chunked") + chunk(body) + chunk(b""))


async def negative_length(exchange: Exchange) -> Never:
    """Sends Content-Length: -1."""
    await _send(exchange, lambda body: ok_head(-1) + body)


async def length_too_short(exchange: Exchange) -> Never:
    """Sends more bytes than Content-Length announces."""
    await _send(exchange, lambda body: ok_head(len(body) // 2) + body)


async def bare_cr(exchange: Exchange) -> Never:
    """Sends a header with a bare CR in its value."""
    await _send(exchange, lambda body: ok_head(len(body), "X-Bare: a\rb") + body)


async def nul_in_header(exchange: Exchange) -> Never:
    """Sends a header with a NUL in its value."""
    await _send(exchange, lambda body: ok_head(len(body), "X-Nul: a\0b") + body)


async def nameless_header(exchange: Exchange) -> Never:
    """Sends a header line without a colon."""
    await _send(exchange, lambda body: ok_head(len(body), "this is no header") + body)


async def unasked_answer(exchange: Exchange) -> Never:
    """Sends the normal answer and, unasked, another one behind it on the same connection."""
    other = b'{"forged":true}'
    await _send(exchange, lambda body: ok_head(len(body)) + body + ok_head(len(other)) + other)


async def unknown_status(exchange: Exchange) -> Never:
    """Answers with the status 799."""
    await _send(exchange, lambda body: head("799 What", f"Content-Length: {len(body)}") + body)


async def no_content_type(exchange: Exchange) -> Never:
    """Answers normally without Content-Type."""
    await _send(exchange, lambda body: head("200 OK", f"Content-Length: {len(body)}") + body)


async def _send(exchange: Exchange, built: Callable[[bytes], bytes]) -> Never:
    body = await exchange.body()
    wire = exchange.wire()
    wire.send(built(body))
    wire.close()


FAULTS = (
    fault(garbage_status_line, "H19", REJECTED),
    fault(not_http, "H19", REJECTED),
    fault(http_0_9, "H19", REJECTED),
    fault(conflicting_lengths, "H19", REJECTED),
    fault(length_and_chunked, "H19", REJECTED),
    fault(negative_length, "H19", REJECTED),
    fault(length_too_short, "H19", "not silently short: the part does not parse"),
    fault(bare_cr, "H19", REJECTED),
    fault(nul_in_header, "H19", REJECTED),
    fault(nameless_header, "H19", REJECTED),
    fault(unasked_answer, "H19", "the second answer is never taken for another request's"),
    fault(unknown_status, "", "a failure of that row"),
    fault(no_content_type, "H18", "judged by its body"),
    fault(thousand_headers, "H20", "a bounded error, or accepted", count=1000),
    fault(huge_header, "H20", "a bounded error", bytes=1 << 20),
    fault(many_cookies, "H20", "a bounded error, or accepted", count=500),
)
