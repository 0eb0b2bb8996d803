"""A client that sees every byte: what came, and how the connection ended."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fetcher.testing.server import Server, ServerOptions


class Sleeps(list[float]):
    """Stands in for waiting: notes each wait and returns at once, after the others had their turn."""

    async def __call__(self, seconds: float) -> None:
        if seconds:
            self.append(seconds)
        await asyncio.sleep(0)


@dataclass(frozen=True)
class Seen:
    """All that came over one connection; `ended` is closed, reset, or silent where nothing more came."""

    raw: bytes
    ended: str

    @property
    def status(self):
        return int(self.raw[9:12])

    @property
    def head(self):
        return self.raw.partition(b"\r\n\r\n")[0].decode("latin-1")

    @property
    def body(self):
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def told(self):
        return json.loads(self.body)


@asynccontextmanager
async def serving(**clocks):
    """A server without a limit of its own, and a way to talk to it."""
    clocks.setdefault("sleep", Sleeps())
    async with Server(ServerOptions(limit=None), **clocks) as server:

        async def talk(path, method="GET", body=b"", headers=()):
            lines = (f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", "Connection: close", *headers)
            head = "\r\n".join((*lines, f"Content-Length: {len(body)}", "", "")).encode()
            return await everything(server.port, head + body)

        yield server, talk


async def everything(port, sent):
    """What comes until the connection ends, or nothing comes any more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    got = b""
    try:
        while len(got) < 3_000_000:
            if not (more := await asyncio.wait_for(reader.read(1 << 16), 0.5)):
                return Seen(got, "closed")
            got += more
        return Seen(got, "endless")
    except TimeoutError:
        return Seen(got, "silent")
    except ConnectionResetError:
        return Seen(got, "reset")
    finally:
        writer.close()
