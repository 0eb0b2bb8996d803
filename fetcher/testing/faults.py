"""How the built-in API misbehaves, one small function per way. Each is given the normal answer and may spoil it."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

import msgspec
from aiohttp import web

SLOW_S = 3.0
LINGER_NOT = struct.pack("ii", 1, 0)
"""SO_LINGER, on, for 0 s: closing sends RST and forgets what was not sent."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and the answer it would get on a good day; `sleep` waits that many seconds."""

    request: web.BaseRequest
    normal: web.Response
    sleep: Callable[[float], Awaitable[None]]


Fault = Callable[[Exchange], Awaitable[web.StreamResponse]]


def answer_json(status: int, content: object) -> web.Response:
    """A JSON answer, compact."""
    return web.Response(status=status, body=msgspec.json.encode(content), content_type="application/json")


def refuse() -> web.Response:
    """429 without Retry-After: the client is told to slow down, but not for how long."""
    return answer_json(429, {"message": "Too Many Requests"})


async def fail(exchange: Exchange) -> web.StreamResponse:
    """500."""
    return answer_json(500, {"message": "Internal Server Error"})


async def time_out(exchange: Exchange) -> web.StreamResponse:
    """504, as a gateway sends it when what is behind it takes too long."""
    return answer_json(504, {"message": "Endpoint request timed out"})


async def throttle(exchange: Exchange) -> web.StreamResponse:
    """The limiter's 429, to a client that kept the limit."""
    return refuse()


async def be_slow(exchange: Exchange) -> web.StreamResponse:
    """The normal answer, three seconds late."""
    await exchange.sleep(SLOW_S)
    return exchange.normal


async def cut(exchange: Exchange) -> web.StreamResponse:
    """The normal headers and half of the body, then the connection closes."""
    body = exchange.normal.body
    assert isinstance(body, bytes)
    response = web.StreamResponse(status=exchange.normal.status, headers=exchange.normal.headers)
    response.content_length = len(body)
    # The client may have gone by itself.
    with suppress(ConnectionError):
        await response.prepare(exchange.request)
        await response.write(body[: len(body) // 2])
    if exchange.request.transport:
        exchange.request.transport.close()
    return response


async def reset(exchange: Exchange) -> web.StreamResponse:
    """TCP reset before any byte of an answer."""
    transport = exchange.request.transport
    if isinstance(transport, asyncio.Transport):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        transport.abort()
    # aiohttp wants an answer all the same; the connection it would go to is gone.
    return exchange.normal


FAULTS: Mapping[str, Fault] = MappingProxyType(
    {"500": fail, "504": time_out, "429": throttle, "slow3s": be_slow, "cut": cut, "reset": reset}
)
"""By the names that the plan uses."""
