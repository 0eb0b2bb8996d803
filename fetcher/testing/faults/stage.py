"""Where the faults that a request asks for are played, one round the other, with the normal answer in the middle."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web
from yarl import URL

from fetcher.testing.faults.catalogue import CATALOGUE
from fetcher.testing.faults.exchange import Exchange, World
from fetcher.testing.faults.gate import is_met
from fetcher.testing.faults.spec import PREFIX, QUERY, Asked, read_spec, split_path
from fetcher.testing.faults.wire import Sent, Taken

Normal = Callable[[], Awaitable[web.StreamResponse]]
PARAMETERS = {name: entry.parameters for name, entry in CATALOGUE.items()}


@dataclass(frozen=True, slots=True)
class Visit:
    """A request without what it asked to go wrong, the faults that it asked for, and where links shall lead."""

    request: web.BaseRequest
    faults: tuple[Asked, ...]
    home: str


def visit(request: web.BaseRequest) -> Visit:
    """What a request asks for. Raises UnknownFault where a fault has no such name or parameter."""
    origin = f"{request.scheme}://{request.host}"
    spec, path = split_path(request.rel_url.raw_path)
    queried = ",".join(request.query.getall(QUERY, []))
    if not spec and not queried:
        return Visit(request, (), origin)
    url = request.rel_url.without_query_params(QUERY) if queried else request.rel_url
    plain = request.clone(
        rel_url=URL(path + (f"?{url.raw_query_string}" if url.raw_query_string else ""), encoded=True)
    )
    home = f"{origin}{PREFIX}{spec}" if spec else origin
    return Visit(plain, tuple(read_spec(",".join(filter(None, (spec, queried))), PARAMETERS)), home)


class Stage:
    """Plays faults, and counts who meets them."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def play(self, visit: Visit, normal: Normal) -> web.StreamResponse:
        """What the faults make of the normal answer; `Sent` where nothing is left to send."""
        row = await row_of(visit.request)
        self._world.book.note_arrival([asked.text for asked in visit.faults], self._world.now())
        try:
            return await self._from(0, visit, row, normal)
        except Taken:
            return Sent()

    async def _from(self, place: int, visit: Visit, row: str, normal: Normal) -> web.StreamResponse:
        if place == len(visit.faults):
            return await normal()
        asked = visit.faults[place]
        key = row if asked.words("per") == "row" else ""
        nth = self._world.memory.next_number("nth", f"{asked.text}|{key}")

        async def inner() -> web.StreamResponse:
            return await self._from(place + 1, visit, row, normal)

        if not is_met(asked, key, nth, self._since_first(asked)):
            return await inner()
        self._world.book.faults[asked.name] += 1
        return await CATALOGUE[asked.name].play(
            Exchange(visit.request, visit.home, row, nth, asked, self._world, inner)
        )

    def _since_first(self, asked: Asked) -> float:
        now = self._world.now()
        return now - self._world.memory.recall("first", asked.text, lambda: now)


async def row_of(request: web.BaseRequest) -> str:
    """The same for all requests that ask for the same."""
    body = await request.read() if request.can_read_body else b""
    return f"{request.method} {request.path_qs} {hashlib.sha256(body).hexdigest()[:16] if body else ''}"
