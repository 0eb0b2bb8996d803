"""One request and what a fault may do with it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import msgspec
from aiohttp import web

from fetcher.testing.faults.book import Book
from fetcher.testing.faults.gate import Memory
from fetcher.testing.faults.spec import Asked, Value
from fetcher.testing.faults.wire import Taken, Wire


@dataclass(frozen=True, slots=True)
class World:
    """What all exchanges share: `now` is a steady clock, `epoch` the wall's, both in seconds.

    `count` counts an answer that the HTTP library does not send, under a name instead of its status.
    """

    now: Callable[[], float]
    epoch: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    count: Callable[[str], None]
    book: Book = field(default_factory=Book)
    memory: Memory = field(default_factory=Memory)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request as a fault sees it.

    `home` is the server's address with the faults that were asked for by path: a link that begins with it meets them
    again. `row` stands for all requests that ask for the same; this is the `nth` of them (from 0). `inner` plays the
    faults within, and at last the normal answer; a fault that never calls it keeps the request from having effects.
    """

    request: web.BaseRequest
    home: str
    row: str
    nth: int
    asked: Asked
    world: World
    inner: Callable[[], Awaitable[web.StreamResponse]]

    async def answer(self) -> web.Response:
        """The answer so far, to be changed. Raises `Taken` where it has gone out over the bare connection."""
        response = await self.inner()
        if not isinstance(response, web.Response):
            raise Taken
        return response

    async def body(self) -> bytes:
        """The body of the answer so far."""
        return body_of(await self.answer())

    def ask_to_wait(self, wait_s: float) -> None:
        """From now on requests that meet this fault are early."""
        self.world.book.ask_to_wait(self.asked.text, self.world.now(), wait_s)

    def wire(self) -> Wire:
        """The bare connection; counts the answer now, for the client may ask for the counts as soon as it has it."""
        self.world.count(self.asked.name)
        return Wire(self.request)

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:40123`."""
        return f"http://{self.request.host}"


Play = Callable[[Exchange], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Fault:
    """An entry of the catalogue. `ids` are those of the list of faults that fetcher is tested against."""

    name: str
    ids: str
    does: str
    expected: str
    play: Play
    parameters: Mapping[str, Value]


def fault(play: Play, ids: str, expected: str, **parameters: Value) -> Fault:
    """The entry of a function that is named like its fault and says in its docstring what it does."""
    name = str(getattr(play, "__name__", "")).strip("_").replace("_", "-")
    return Fault(name, ids, (play.__doc__ or "").strip(), expected, play, MappingProxyType(parameters))


def body_of(response: web.Response) -> bytes:
    """A body that is bytes, as all normal ones are."""
    return response.body if isinstance(response.body, bytes) else b""


def json_answer(status: int, content: object, **headers: str) -> web.Response:
    """A JSON answer, compact; `retry_after=` becomes the header Retry-After."""
    told = {name.replace("_", "-").title(): value for name, value in headers.items()}
    body = msgspec.json.encode(content)
    return web.Response(status=status, body=body, content_type="application/json", headers=told)


def head(status: str, *headers: str) -> bytes:
    """The head of an answer, for the bare connection; each header is a whole line."""
    return "\r\n".join((f"HTTP/1.1 {status}", *headers, "", "")).encode("latin-1")
