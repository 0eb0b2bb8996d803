"""How the air temperature misbehaves by its plan. Each way is given the normal answer and may spoil it."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType

from aiohttp import web

from fetcher.testing.faults.exchange import json_answer
from fetcher.testing.faults.wire import LINGER_NOT, Sent

SLOW_S = 3.0


@dataclass(frozen=True, slots=True)
class PlannedExchange:
    """One request and the answer it would get on a good day; `sleep` waits that many seconds."""

    request: web.BaseRequest
    normal: web.Response
    sleep: Callable[[float], Awaitable[None]]


Planned = Callable[[PlannedExchange], Awaitable[web.StreamResponse]]


def refuse() -> web.Response:
    """429 without Retry-After: the client is told to slow down, but not for how long."""
    return json_answer(429, {"message": "Too Many Requests"})


async def fail(exchange: PlannedExchange) -> web.StreamResponse:
    """500."""
    return json_answer(500, {"message": "Internal Server Error"})


async def time_out(exchange: PlannedExchange) -> web.StreamResponse:
    """504, as a gateway sends it when what is behind it takes too long."""
    return json_answer(504, {"message": "Endpoint request timed out"})


async def throttle(exchange: PlannedExchange) -> web.StreamResponse:
    """The limiter's 429, to a client that kept the limit."""
    return refuse()


async def be_slow(exchange: PlannedExchange) -> web.StreamResponse:
    """The normal answer, three seconds late."""
    await exchange.sleep(SLOW_S)
    return exchange.normal


async def cut(exchange: PlannedExchange) -> web.StreamResponse:
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


async def reset(exchange: PlannedExchange) -> web.StreamResponse:
    """TCP reset before any byte of an answer."""
    transport = exchange.request.transport
    if isinstance(transport, asyncio.Transport):
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
        transport.abort()
    return Sent()


PLANNED: Mapping[str, Planned] = MappingProxyType(
    {"500": fail, "504": time_out, "429": throttle, "slow3s": be_slow, "cut": cut, "reset": reset}
)
"""By the names that the plan uses."""
