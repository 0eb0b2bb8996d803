"""The client for people who write their own loop: the same limits, retries and cache as a job's, without a job."""

import random
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import msgspec

from fetcher.fetch.adaptive import Adaptive
from fetcher.fetch.breaker import Breaker
from fetcher.fetch.cache import Cache
from fetcher.fetch.caching import Policy
from fetcher.fetch.client import Client as Inner
from fetcher.fetch.health import Health
from fetcher.fetch.invalidating import origin_of
from fetcher.fetch.limits import Realm
from fetcher.fetch.retries import Retries
from fetcher.fetch.sources import Source
from fetcher.job.named import settings_of
from fetcher.model import Request, Response
from fetcher.redaction import redacted
from fetcher.tally import Tally


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and how many requests it took: none where it was kept."""

    response: Response
    attempts: int

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.response.status

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Names and values, in the order in which they came."""
        return self.response.headers

    @property
    def body(self) -> bytes:
        """The content, decoded: no gzip left."""
        return self.response.body

    @property
    def from_cache(self) -> bool:
        """Whether it was kept, be it confirmed by the server just now."""
        return self.response.from_cache

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case."""
        return self.response.header(name)

    def json(self) -> Any:
        """The content as JSON; big integers stay exact. Raises `msgspec.DecodeError`, a `ValueError`."""
        return msgspec.json.decode(self.response.body)


class Client:
    """`async with Client("https://api.example.org", rate="10/s", cache="answers.sqlite") as client:`

    One API, by one credential. `rate` holds whatever calls at once; `keep` says how long answers are used again: "http"
    as their headers say, "forever", or a time. `accept` are statuses of 300 and above that are answers, not errors.
    `headers` go with each request. What is in `secrets` is written nowhere. `section` is what a job file may say in
    `[fetch]` of any request: `retries={"attempts": 8}`, `timeout="10 s"`. Raises `ValueError` where one is wrong.
    """

    def __init__(  # noqa: PLR0913  (what a user may want to say, by name)
        self,
        base_url: str,
        *,
        rate: str | Iterable[str] = (),
        cache: str | Path | None = None,
        keep: str = "http",
        accept: Iterable[int] = (),
        headers: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
        now: Callable[[], float] = time.time,
        **section: Any,
    ) -> None:
        rates = as_list(rate)
        told: dict[str, Any] = {"base_url": base_url, **section}
        told["limits"] = with_key("rate", rates, section.get("limits", {})) if rates != [] else told.get("limits", {})
        told["cache"] = with_key("keep", keep, told.pop("caching", {}))
        self._settings = settings_of(told, as_list(accept))
        self._path = Path(cache) if cache is not None else None
        self._headers = dict(headers or {})
        self._policy = Policy(label=partial(redacted, secrets=frozenset(secrets)))
        self._now = now
        self._stack = AsyncExitStack()
        self.tally = Tally()

    async def __aenter__(self) -> "Client":
        settings, chance = self._settings, random.Random()
        async with AsyncExitStack() as stack:
            cache = None
            if self._path is not None:
                cache = await stack.enter_async_context(Cache(self._path, settings.cache.max_size, now=self._now))
            breaker = Breaker(settings.retries.first_wait, settings.retries.longest_wait, chance)
            health = Health(breaker, Adaptive(settings.limits.concurrency, settings.limits.adaptive))
            realm = await stack.enter_async_context(Realm(settings.limits, time.monotonic, None, health))
            inner = Inner(
                settings,
                cache,
                Retries(settings.retries, chance, self._now),
                self.tally,
                realms=[realm],
                policy=self._policy,
                ends_refused=False,
            )
            self._inner = await stack.enter_async_context(inner)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    async def get(
        self,
        url: str,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        offline: bool = False,
    ) -> Answer:
        """The answer to a GET; `offline`, one that is kept, or `NotKept`. Raises as `request` does."""
        source = Source.OFFLINE if offline else Source.KEPT_FIRST
        return await self._answer(self._composed("GET", url, query, headers), source)

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """The answer to any request. `url` is a path after the base URL, or a whole one of the same origin.

        Raises a `RowError`: `Refused` where asking again will not help, `GaveUp` where every attempt has failed,
        `Parked` where the server asks for a long wait, `Unknown` where a request that must not be repeated was sent
        and not answered. Or a `RunStopped`: `ApiDown` where nobody answers at all, `DiskFailed`.
        """
        return await self._answer(self._composed(method, url, None, headers, body=body), Source.KEPT_FIRST)

    async def _answer(self, request: Request, source: Source) -> Answer:
        intend = None if request.is_repeatable else nothing_to_note
        fetched = await self._inner.fetch(request, source, intend)
        return Answer(fetched.response, fetched.attempts)

    def _composed(
        self,
        method: str,
        url: str,
        query: Mapping[str, object] | None,
        headers: Mapping[str, str] | None,
        *,
        body: bytes = b"",
    ) -> Request:
        base = self._settings.base_url.rstrip("/")
        whole = base + url if url.startswith("/") else url
        if whole is url and origin_of(whole) != origin_of(base):
            raise ValueError(f"expected a path, or a URL of {base}, got {url!r}: credentials go nowhere else")
        if query:
            whole += ("&" if "?" in whole else "?") + urlencode(query, doseq=True)
        told = {name.lower(): (name, value) for name, value in {**self._headers, **(headers or {})}.items()}
        return Request(method, whole, tuple(told.values()), body)


def with_key(key: str, value: object, section: object) -> object:
    """The section with one key more, unless it has that; what is no section is left for whoever checks it."""
    return {key: value, **section} if isinstance(section, Mapping) else section


def as_list(value: object) -> object:
    """Several values as a list; one stays what it is, whatever that is."""
    return [*value] if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping) else value


async def nothing_to_note() -> None:
    """What has to be on record before a request leaves that must not be sent twice: its caller knows."""
