"""The bare connection, for what an HTTP library will not send."""

import asyncio
import socket
import struct
from typing import Never

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

LINGER_NOT = struct.pack("ii", 1, 0)
"""SO_LINGER, on, for 0 s: closing sends RST and forgets what was not sent."""

LOOK_S = 0.05


class Sent(web.StreamResponse):
    """Stands for an answer that went over the bare connection: nothing is left to send."""

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Sends nothing."""
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Sends nothing."""


class Taken(Exception):
    """Raised where a fault wants to change an answer that has gone out already, or has ended one."""


class Wire:
    """One connection, for one answer; ends with `close`, `reset` or `hold`, all of which raise `Taken`."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._transport = request.transport

    @property
    def is_open(self) -> bool:
        """Whether the client is still there."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, data: bytes) -> None:
        """These bytes and no others."""
        if self.is_open and isinstance(self._transport, asyncio.Transport):
            self._transport.write(data)

    def close(self) -> Never:
        """An orderly end after what was sent."""
        if self._transport is not None:
            self._transport.close()
        raise Taken

    def reset(self) -> Never:
        """TCP reset; what was sent but not yet acknowledged may be lost."""
        if self._transport is not None and isinstance(self._transport, asyncio.Transport):
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NOT)
            self._transport.abort()
        raise Taken

    async def hold(self) -> Never:
        """Silence until the client goes."""
        while self.is_open:  # noqa: ASYNC110  (a transport has no event for its end)
            await asyncio.sleep(LOOK_S)
        raise Taken
