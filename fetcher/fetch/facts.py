"""Answers that are facts: a past day, a paid call. They are used again for a time or for ever, whatever the server says
of caching, and each for exactly the request that it was the answer to."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from fetcher.errors import NotKept
from fetcher.fetch.cache import Cache, Label
from fetcher.fetch.flights import Flights
from fetcher.fetch.redirects import with_address, with_kept_address
from fetcher.fetch.sources import KEPT, Ask, Fetched, Judge, Source, Wanted
from fetcher.model import Response

ALWAYS = float("inf")


class Facts:
    """Answers by request key, used for `keep_s` seconds. `label` names a request before people; `now` gives epoch
    seconds."""

    def __init__(
        self, cache: Cache, keep_s: float, judge: Judge, now: Callable[[], float], *, label: Callable[[str], str] = str
    ) -> None:
        self._cache = cache
        self._keep_s = keep_s
        self._judge = judge
        self._now = now
        self._label = label
        self._flights: Flights[Fetched] = Flights()

    async def fetch(self, wanted: Wanted, ask: Ask) -> Fetched:
        """The kept answer, else the API's, which is kept before it is given to anybody."""
        if kept := await self.kept(wanted):
            return kept
        if wanted.source in KEPT:
            raise NotKept("no answer to this row is kept")
        about = (wanted.key, wanted.source)
        fetched, is_mine = await self._flights.share(about, partial(self._asked, wanted, ask))
        return fetched if is_mine else replace(fetched, attempts=0)

    async def close(self) -> None:
        """Nothing goes on in the background."""

    async def kept(self, wanted: Wanted) -> Fetched | None:
        """The kept answer, where it may be used."""
        if wanted.source is Source.API_ONLY:
            return None
        response = self._cache.find(wanted.key, *self._span(wanted))
        if response is None or (meant := await self._judge(response)) is None:
            return None
        return Fetched(with_kept_address(response, wanted.request.url), 0, meant)

    def _span(self, wanted: Wanted) -> tuple[float, float]:
        """From when to when the answer may have been fetched; nobody knows the age of one from the future."""
        if self._keep_s == ALWAYS or wanted.source is Source.KEPT_ONLY:
            return wanted.since, ALWAYS
        now = self._now()
        return max(wanted.since, now - self._keep_s), now

    async def _asked(self, wanted: Wanted, ask: Ask) -> Fetched:
        fetched = await ask(wanted.request, frozenset())
        await self.keep(wanted, fetched.response)
        return fetched

    async def keep(self, wanted: Wanted, response: Response) -> None:
        """Keep an answer under the request that it is for."""
        request = wanted.request
        label = Label(self._label(f"{request.method} {request.url}"), wanted.row_key)
        await self._cache.put(wanted.key, with_address(response, request.url), label)
