"""Faults of the connection: answers that end too soon, too late or never (N01 to N15)."""

from typing import Never

from aiohttp import web

from fetcher.testing.faults.exchange import Exchange, fault, head
from fetcher.testing.faults.wire import Wire

RETRY = "retries; no part of the answer is kept or parsed"
TIMEOUT = "ends the attempt at its timeout, retries; no part is kept"


async def reset(exchange: Exchange) -> Never:
    """Resets the connection (TCP RST) before any byte of an answer."""
    exchange.wire().reset()


async def close(exchange: Exchange) -> Never:
    """Closes the connection without an answer."""
    exchange.wire().close()


async def cut(exchange: Exchange) -> Never:
    """Announces the whole length, sends half of the body and closes."""
    (await half_sent(exchange)).close()


async def cut_by_reset(exchange: Exchange) -> Never:
    """Sends half of the body and resets the connection."""
    wire = await half_sent(exchange)
    # At once, the reset would overtake what it is to follow.
    await exchange.world.sleep(exchange.asked.number("wait_s"))
    wire.reset()


async def half_body_then_silence(exchange: Exchange) -> Never:
    """Sends half of the body and then nothing, the connection open."""
    await (await half_sent(exchange)).hold()


async def headers_then_silence(exchange: Exchange) -> Never:
    """Sends the headers and then nothing, the connection open."""
    body = await exchange.body()
    wire = exchange.wire()
    wire.send(ok_head(len(body)))
    await wire.hold()


async def no_answer(exchange: Exchange) -> Never:
    """Reads the request and never answers."""
    await exchange.wire().hold()


async def drip(exchange: Exchange) -> Never:
    """Sends the body byte by byte, one each `every_s` seconds."""
    body = await exchange.body()
    wire = exchange.wire()
    wire.send(ok_head(len(body)))
    await drip_out(exchange, wire, body)


async def drip_headers(exchange: Exchange) -> Never:
    """Sends the whole answer, headers first, byte by byte, one each `every_s` seconds."""
    body = await exchange.body()
    await drip_out(exchange, exchange.wire(), ok_head(len(body)) + body)


async def chunks_without_end(exchange: Exchange) -> Never:
    """Sends the body in chunks and closes without the last, empty chunk."""
    body = await exchange.body()
    wire = exchange.wire()
    wire.send(json_head("Transfer-Encoding: chunked") + chunk(body))
    wire.close()


async def endless_chunks(exchange: Exchange) -> Never:
    """Sends chunks of blanks for ever, `every_s` seconds apart."""
    wire = exchange.wire()
    wire.send(json_head("Transfer-Encoding: chunked"))
    while wire.is_open:
        wire.send(chunk(b" " * 1024))
        await exchange.world.sleep(exchange.asked.number("every_s"))
    wire.close()


async def bad_chunk(exchange: Exchange) -> Never:
    """Sends a chunk whose size is no number."""
    body = await exchange.body()
    wire = exchange.wire()
    wire.send(json_head("Transfer-Encoding: chunked") + b"zz\r\n" + body + b"\r\n0\r\n\r\n")
    wire.close()


async def close_delimited(exchange: Exchange) -> Never:
    """Sends the whole body without a length, ended by closing (HTTP/1.0): legal, and complete."""
    body = await exchange.body()
    wire = exchange.wire()
    wire.send(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + body)
    wire.close()


async def close_delimited_cut(exchange: Exchange) -> Never:
    """Sends half of the body without a length and closes (HTTP/1.0): nothing says that it is half."""
    body = await exchange.body()
    wire = exchange.wire()
    wire.send(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + body[: len(body) // 2])
    wire.close()


async def connection_close(exchange: Exchange) -> web.StreamResponse:
    """Answers normally and closes the connection after each answer (`Connection: close`)."""
    response = await exchange.answer()
    response.force_close()
    return response


async def keep_alive_lie(exchange: Exchange) -> Never:
    """Answers normally, promises to keep the connection, and closes it."""
    body = await exchange.body()
    wire = exchange.wire()
    wire.send(ok_head(len(body), "Connection: keep-alive") + body)
    wire.close()


async def early_hints(exchange: Exchange) -> Never:
    """Sends two informational answers (103) before the normal one: legal."""
    body = await exchange.body()
    wire = exchange.wire()
    wire.send(head("103 Early Hints", "Link: </style.css>; rel=preload") * 2 + ok_head(len(body)) + body)
    wire.close()


async def half_sent(exchange: Exchange) -> Wire:
    """The bare connection after the head and the first half of the normal answer."""
    body = await exchange.body()
    wire = exchange.wire()
    wire.send(ok_head(len(body)) + body[: len(body) // 2])
    return wire


async def drip_out(exchange: Exchange, wire: Wire, data: bytes) -> Never:
    """Byte by byte, until all is sent or the client has gone."""
    for at in range(len(data)):
        if not wire.is_open:
            break
        wire.send(data[at : at + 1])
        await exchange.world.sleep(exchange.asked.number("every_s"))
    wire.close()


def json_head(*headers: str) -> bytes:
    """The head of a 200 with JSON."""
    return head("200 OK", "Content-Type: application/json", *headers)


def ok_head(length: int, *headers: str) -> bytes:
    """The head of a 200 with so many bytes of JSON."""
    return json_head(f"Content-Length: {length}", *headers)


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


FAULTS = (
    fault(reset, "N14", "retries with jittered waits"),
    fault(close, "N04 N07", "retries a GET; reports a POST without a key as unknown"),
    fault(no_answer, "N04", "ends at the timeout; a GET is retried, a POST without a key is reported as unknown"),
    fault(cut, "N07", RETRY),
    fault(cut_by_reset, "N07", RETRY, wait_s=0.05),
    fault(half_body_then_silence, "N05", TIMEOUT),
    fault(headers_then_silence, "N05", TIMEOUT),
    fault(drip, "N06", "the attempt's deadline stops it, the slot is free again", every_s=1.0),
    fault(drip_headers, "N06", "the attempt's deadline stops it, the slot is free again", every_s=1.0),
    fault(chunks_without_end, "N07", RETRY),
    fault(bad_chunk, "N07", RETRY),
    fault(endless_chunks, "N06 C09", "stopped by the size cap or the deadline", every_s=0.01),
    fault(close_delimited, "N08", "complete: accepted"),
    fault(close_delimited_cut, "N08", "invalid JSON that may be cut: asked for again before it is given up"),
    fault(connection_close, "H28", "no row lost, none doubled"),
    fault(keep_alive_lie, "H28", "no row lost, none doubled"),
    fault(early_hints, "", "accepted"),
)
