"""A scripted origin server over real sockets, and stories told against it: what is asked, what it says, what comes."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fetcher.errors import FetcherError
from fetcher.fetch import Client
from fetcher.fetch.http_dates import as_http_date

BEGAN = 1_750_000_000.0


class Clock:
    """Stands still until it is set."""

    def __init__(self, at=BEGAN):
        self.at = at

    def __call__(self):
        return self.at


@dataclass(frozen=True)
class Say:
    """An answer of the origin. Without a `Date` it has the clock's; None leaves a header out; a `fault` ends it."""

    headers: dict[str, Any] = field(default_factory=dict)
    body: str = "one"
    status: int = 200
    fault: str = ""

    def written(self, method, now):
        """Its bytes; a cut one promises more than it brings."""
        headers = {"Date": as_http_date(now), "Content-Length": str(len(self.body) + 50 * (self.fault == "cut"))}
        if self.status in (204, 304):
            del headers["Content-Length"]
        lines = [f"HTTP/1.1 {self.status} Said"]
        for name, value in {**headers, **self.headers}.items():
            lines += [f"{name}: {it}" for it in (value if isinstance(value, list) else [value]) if it is not None]
        body = "" if method == "HEAD" or self.status in (204, 304) else self.body
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


@dataclass(frozen=True)
class Step:
    """One request `at` seconds after the beginning. `says` is None where the origin must not be asked, several
    where it is asked several times.

    `sent` are headers that the origin must have got, `has` headers that the answer must have; None: it must not.
    """

    says: Say | tuple[Say, ...] | None
    at: float = 0.0
    method: str = "GET"
    path: str = "/a"
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None
    status: int = 200
    sent: dict[str, str | None] = field(default_factory=dict)
    has: dict[str, str | None] = field(default_factory=dict)
    raises: type[FetcherError] | None = None


def asked(says, **told):
    """The origin is asked, and what it says is the answer."""
    if says.status == 304:
        return Step(says, **told)
    told.setdefault("body", "" if told.get("method") == "HEAD" else says.body)
    told.setdefault("status", says.status)
    return Step(says, **told)


def kept(body="one", **told):
    """Nobody is asked, and what was kept is the answer."""
    return Step(None, body=body, **told)


class Origin:
    """Says what it is told to say, once for each time that it is asked, and notes what it was asked."""

    def __init__(self, clock):
        self.clock = clock
        self.says = []
        self.asked = []

    async def serve(self, reader, writer):
        """One connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *fields = head.strip().split("\r\n")
                method = line.split(" ")[0]
                told = {name.lower(): value.strip() for name, _, value in (it.partition(":") for it in fields)}
                await reader.readexactly(int(told.get("content-length", "0")))
                self.asked.append((line, told))
                say = self.says.pop(0) if self.says else Say({"Cache-Control": "no-store"}, "nobody was to ask", 500)
                if say.fault != "drop":
                    writer.write(say.written(method, self.clock()))
                    await writer.drain()
                if say.fault:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def origin_at(clock):
    """`async with origin_at(clock) as (origin, url)`"""
    origin = Origin(clock)
    tasks: set[asyncio.Task[Any] | None] = set()

    async def serve(reader, writer):
        tasks.add(asyncio.current_task())
        await origin.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=2000)
    try:
        yield origin, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        serving = [task for task in tasks if task]
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def opened(url, path, clock, **section):
    """A client on its own with one attempt a request, which keeps what HTTP lets it."""
    section.setdefault("retries", {"attempts": 1, "first_wait": "1 ms"})
    return Client(url, cache=path, now=clock, **section)


async def told(steps, path, **section):
    """Tell a story, and hold every step against what it should be."""
    clock = Clock()
    async with origin_at(clock) as (origin, url), opened(url, path, clock, **section) as client:
        for number, step in enumerate(steps, 1):
            clock.at = BEGAN + step.at
            await walked(step, number, origin, client)


async def walked(step, number, origin, client):
    """One step."""
    says = step.says if isinstance(step.says, tuple) else (step.says,) if step.says else ()
    origin.says, before = list(says), len(origin.asked)
    try:
        answer = await client.request(step.method, step.path, headers=step.headers)
    except FetcherError as error:
        assert step.raises and isinstance(error, step.raises), (number, error)
    else:
        assert step.raises is None, (number, answer)
        assert answer.status == step.status, (number, answer)
        assert step.body is None or answer.body.decode() == step.body, (number, answer)
        for name, value in step.has.items():
            assert answer.header(name) == value, (number, name, answer.headers)
    seen = origin.asked[before:]
    assert len(seen) == len(says), (number, seen)
    for name, value in step.sent.items():
        assert seen[0][1].get(name.lower()) == value, (number, name, seen)
