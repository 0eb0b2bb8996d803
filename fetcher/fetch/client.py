"""The client: cache around retries around a slot around the rate around the wire.

A hit spends nothing; every attempt spends a start; no slot is held while a failed attempt waits for its next turn.
This is the only file that knows aiohttp.
"""

import asyncio
import enum
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace, TracebackType

import aiohttp
from yarl import URL

from fetcher.errors import ApiDown, GaveUp, NotKept, Parked, Refused, RowError, Unknown
from fetcher.fetch.breaker import Sign, sign_of
from fetcher.fetch.cache import Cache
from fetcher.fetch.costs import told_cost
from fetcher.fetch.decoding import OFFERED, Body, Damaged, TooLarge
from fetcher.fetch.health import Hopeless
from fetcher.fetch.hints import Hints, hints
from fetcher.fetch.limits import Realm, TooLong
from fetcher.fetch.reach import Reach
from fetcher.fetch.request_log import RequestLog
from fetcher.fetch.retries import AttemptFailed, Retries, judged
from fetcher.fetch.windows import Allowance, Start
from fetcher.job.sections import Fetch
from fetcher.model import Request, Response
from fetcher.tally import Tally

CONNECT_TIMEOUT_S = 10.0
USER_AGENT = "polite-fetcher"


@dataclass(slots=True)
class Fetched:
    """A response and the attempts that it took: none when it came from the cache."""

    response: Response
    attempts: int


@dataclass(slots=True)
class _Asking:
    """One request over all its attempts. Its `intend` is awaited once, when there is a connection at last."""

    request: Request
    intend: Callable[[], Awaitable[None]] | None
    is_repeatable: bool
    attempts: int = 0
    is_reused: bool = False
    start: Start = field(default_factory=lambda: Start(0.0))

    async def leave(self) -> None:
        """There is a connection, and nothing has gone out over it: one that is refused has sent nothing."""
        if self.intend:
            await self.intend()
            self.intend = None


class Source(enum.Enum):
    """Where an answer may come from."""

    KEPT_FIRST = enum.auto()
    API_ONLY = enum.auto()
    KEPT_ONLY = enum.auto()


class Client:
    """`async with Client(...)`: one session, one realm and one cache for every row of a run.

    `cache` is None where the job keeps nothing; `tally` and `log` are told of every exchange. `realm` is open, and
    shared with others; without one the client has its own.
    """

    def __init__(  # noqa: PLR0913  (what a client is made of)
        self,
        settings: Fetch,
        cache: Cache | None,
        retries: Retries,
        tally: Tally,
        *,
        realm: Realm | None = None,
        log: RequestLog | None = None,
    ) -> None:
        self._settings = settings
        self._cache = cache
        self._retries = retries
        self._tally = tally
        self._log = log
        self._realm = realm or Realm(settings.limits, time.monotonic)
        self._reach = Reach()
        self._is_halted = False

    async def __aenter__(self) -> "Client":
        connector = aiohttp.TCPConnector(
            limit=self._settings.limits.concurrency, ttl_dns_cache=300, resolver=aiohttp.ThreadedResolver()
        )
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(self._connected)
        tracing.on_connection_reuseconn.append(self._connected_before)
        tracing.on_request_headers_sent.append(self._left)
        self._session = aiohttp.ClientSession(
            connector=connector,
            trace_configs=[tracing],
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": OFFERED},
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT_TIMEOUT_S, self._settings.timeout)),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def fetch(
        self,
        request: Request,
        source: Source = Source.KEPT_FIRST,
        intend: Callable[[], Awaitable[None]] | None = None,
        *,
        kept_since: float = float("-inf"),
    ) -> Fetched:
        """The answer to a request, from the cache where it is kept there, else from the API.

        A request with an `intend` must not be carried out twice: that is awaited once there is a connection and before
        the first byte leaves, and it is not repeated where it may have arrived. An answer that was kept before
        `kept_since` (epoch seconds) is none.

        Raises a `RowError` with the `attempts` that were made, or `ApiDown` or `DiskFailed` for the whole run.
        """
        if source is not Source.API_ONLY and (kept := self._kept(request, source, kept_since)):
            self._tally.cache_hits += 1
            return Fetched(replace(kept, url=request.url), attempts=0)
        if source is Source.KEPT_ONLY:
            raise NotKept("no answer to this row is kept")
        began, asking = time.monotonic(), _Asking(request, intend, is_repeatable=intend is None)
        try:
            response = await self._retries.run(partial(self._attempt, asking))
        except RowError as error:
            error.attempts = asking.attempts
            if isinstance(error, GaveUp) and not error.is_early and not self._reach.is_since(began):
                raise self._down(str(error)) from error
            raise
        if self._cache is not None:
            await self._cache.put(request.key, response)
        return Fetched(response, asking.attempts)

    async def _attempt(self, asking: _Asking) -> Response:
        async with self._started(asking.request.cost) as start:
            if self._is_halted:
                await asyncio.Future()  # until it is cancelled
            asking.start = start
            asking.attempts += 1
            self._tally.requests += 1
            self._tally.retries += asking.attempts > 1
            status = None
            try:
                response = await self._exchange(asking)
                said = self._obeyed(response)
                if (cost := told_cost(response, self._settings.limits)) is not None:
                    self._realm.settle(start, cost)
                status, start.sign = response.status, sign_of(response.status, said.wait_s)
            except (AttemptFailed, GaveUp) as error:
                if start.sign is Sign.NONE and not asking.is_reused:
                    start.sign = Sign.BAD
                if start.has_left and not asking.is_repeatable:
                    raise Unknown(f"{error}: only the server knows whether it was carried out") from error
                raise
            finally:
                if start.has_left and self._log:
                    self._log.note(start.at, time.monotonic(), status)
        return judged(response, said, is_repeatable=asking.is_repeatable)

    def halt(self) -> None:
        """No further request leaves; whoever asks for one waits to be cancelled. Those under way go on."""
        self._is_halted = True

    def _kept(self, request: Request, source: Source, since: float) -> Response | None:
        keep = self._settings.cache.keep
        if self._cache is None or keep == "none":
            return None
        if keep == "forever" or source is Source.KEPT_ONLY:
            return self._cache.find(request.key, since)
        return self._cache.find(request.key, max(since, self._retries.now() - keep))

    @asynccontextmanager
    async def _started(self, cost: int) -> AsyncIterator[Start]:
        try:
            async with self._realm.start(self._settings.retries.max_wait, cost) as start:
                yield start
        except Hopeless as error:
            raise ApiDown(
                f"{self._settings.base_url} has failed for too long; run again when it is well, nothing is lost"
            ) from error
        except TooLong as wait:
            raise Parked(str(wait), 0.0 if wait.wait_s is None else self._retries.now() + wait.wait_s) from wait

    def _obeyed(self, response: Response) -> Hints:
        """What the server says of waits and allowances; the whole realm keeps to it, not this one request."""
        said, now = hints(response, self._settings.hints, self._retries.now()), time.monotonic()
        if said.wait_s:
            self._realm.cool_down(now + said.wait_s)
        for allowance in said.allowances:
            self._realm.told(Allowance(allowance.name, allowance.remaining, now + allowance.reset_s))
        if said.concurrency is not None:
            self._realm.cap(said.concurrency)
        return said

    async def _connected(self, _: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        """There is a connection, and nothing has gone out over it."""
        if self._is_halted:
            await asyncio.Future()  # until it is cancelled
        await context.trace_request_ctx.leave()

    async def _connected_before(self, session: aiohttp.ClientSession, context: SimpleNamespace, told: object) -> None:
        """The same, over one that was kept open: that it is closed meanwhile says nothing of the API."""
        context.trace_request_ctx.is_reused = True
        await self._connected(session, context, told)

    async def _left(
        self, _: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        """A connection is open and the request goes out over it: whatever happens now, somebody is there."""
        self._reach.reached(time.monotonic())
        self._realm.left(context.trace_request_ctx.start)

    async def _exchange(self, asking: _Asking) -> Response:
        """One request on the wire and its whole answer. Raises `AttemptFailed` where another try may go better."""
        timeout_s = self._settings.timeout
        try:
            async with asyncio.timeout(timeout_s):
                return await self._send(asking)
        except aiohttp.ClientSSLError as error:
            raise GaveUp(f"TLS: {one_line(error)}") from error
        except aiohttp.InvalidURL as error:
            raise Refused(f"not a URL that can be asked: {one_line(error)}") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            asking.start.sign = Sign.BAD
            reason = no_connection(error)
            if self._reach.failed(time.monotonic()):
                raise self._down(reason) from error
            raise AttemptFailed(reason) from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            asking.start.sign = Sign.BAD
            reason = f"no answer within {timeout_s:g} s" if isinstance(error, TimeoutError) else one_line(error)
            raise AttemptFailed(reason) from error

    def _down(self, reason: str) -> ApiDown:
        return ApiDown(
            f"nobody answers at {self._settings.base_url} ({reason}): check fetch.base_url and the network, then run "
            "again; nothing is lost"
        )

    async def _send(self, asking: _Asking) -> Response:
        request = asking.request
        async with self._session.request(
            request.method,
            URL(request.url, encoded=True),
            headers=sent_headers(request),
            data=request.body or None,
            allow_redirects=False,
            middlewares=(sent_once(),),
            trace_request_ctx=asking,
        ) as answer:
            self._realm.answered(asking.start)
            asking.start.sign = Sign.GOOD
            self._tally.statuses[answer.status] += 1
            body = await self._read(answer)
            headers = tuple((legible(str(name)), legible(value)) for name, value in answer.headers.items())
            return Response(answer.status, headers, body, self._retries.now(), url=request.url)

    async def _read(self, answer: aiohttp.ClientResponse) -> bytes:
        most = self._settings.max_body
        try:
            body = Body(answer.headers.get("Content-Encoding", ""), most)
            async for piece in answer.content.iter_any():
                self._tally.bytes_received += len(piece)
                body.feed(piece)
            return body.whole()
        except TooLarge as error:
            answer.close()
            raise GaveUp(f"the body is larger than fetch.max_body = {most} bytes; raise it and run again") from error
        except Damaged as error:
            answer.close()
            raise AttemptFailed(f"the answer cannot be decoded: {error}") from error


def sent_headers(request: Request) -> tuple[tuple[str, str], ...]:
    """Its headers, and its idempotency key as a structured string."""
    key = request.idempotency_key
    return (*request.headers, ("Idempotency-Key", f'"{key}"')) if key else request.headers


def sent_once() -> aiohttp.ClientMiddlewareType:
    """A middleware that lets one send through: aiohttp would repeat a request by itself, without a start of its own."""
    is_sent = False

    async def send(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        nonlocal is_sent
        if is_sent:
            raise AttemptFailed("the connection was closed before an answer")
        is_sent = True
        return await handler(request)

    return send


def no_connection(error: aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError) -> str:
    """`no connection: Connection refused`, without aiohttp's account of the address."""
    if isinstance(error, aiohttp.ClientConnectorError):
        found = error.os_error
        if found.errno is None or isinstance(error, aiohttp.ClientConnectorDNSError):
            return f"no connection: {found.strerror or found}"
        return f"no connection: {os.strerror(found.errno)}"
    return "no connection in time"


def legible(text: str) -> str:
    """A header's text without the halves of characters that aiohttp makes of bytes that are not UTF-8."""
    return text if text.isascii() else text.encode(errors="surrogateescape").decode(errors="replace")


def one_line(error: Exception) -> str:
    """An error's type and text on one line, without the address, which may hold a secret."""
    text = error.message if isinstance(error, aiohttp.ClientResponseError) else str(error)
    return " ".join(f"{type(error).__name__}: {text}".split())
