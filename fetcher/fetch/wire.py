"""One exchange over HTTP. This is the only file that knows aiohttp: whatever it raises is translated here.

A wire sends what it is given, once, and follows nothing; who may ask, how often and when is decided above it.
"""

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable
from functools import partial
from types import SimpleNamespace, TracebackType

import aiohttp
from yarl import URL

from fetcher.errors import ApiDown, GaveUp, Parked, Refused
from fetcher.fetch.attempts import Asking
from fetcher.fetch.auth import signed
from fetcher.fetch.breaker import Sign
from fetcher.fetch.decoding import MOST_RATIO, OFFERED, Body, Bomb, Damaged, TooLarge
from fetcher.fetch.guard import NotPublic, check_public
from fetcher.fetch.reach import Reach
from fetcher.fetch.retries import AttemptFailed
from fetcher.job.sections import Fetch
from fetcher.model import Request, Response
from fetcher.origins import origin_of
from fetcher.tally import Tally

CONNECT_TIMEOUT_S = 10.0
USER_AGENT = "polite-fetcher"


class Wire:
    """`async with Wire(...)`: a session for the job's own hosts, and one for hosts that came from data, which
    connects to an address only if `check` (of its text) lets it. `now` gives epoch seconds.

    `later_turns` are waits for another attempt of what was sent before; they end when the wire is halted.
    """

    def __init__(
        self, settings: Fetch, tally: Tally, now: Callable[[], float], check: Callable[[str], None] = check_public
    ) -> None:
        self._settings = settings
        self._tally = tally
        self._now = now
        self._check = check
        self._halted = asyncio.Event()
        self.later_turns: set[asyncio.Timeout] = set()
        self.reach = Reach()

    async def __aenter__(self) -> "Wire":
        self._home = self._session(None)
        self._abroad = self._session(partial(checked_socket, self._check))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._home.close()
        await self._abroad.close()

    def _session(self, sockets: Callable[[aiohttp.AddrInfoType], socket.socket] | None) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=self._settings.limits.concurrency * max(1, self._settings.auth.count if self._settings.auth else 1),
            ttl_dns_cache=300,
            resolver=aiohttp.ThreadedResolver(),
            socket_factory=sockets,
        )
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(self._connected)
        tracing.on_connection_reuseconn.append(self._connected_before)
        tracing.on_request_headers_sent.append(self._left)
        return aiohttp.ClientSession(
            connector=connector,
            trace_configs=[tracing],
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT, "Accept-Encoding": OFFERED},
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(CONNECT_TIMEOUT_S, self._settings.timeout)),
        )

    def halt(self) -> None:
        """No further request leaves; whoever sends one waits to be cancelled. Those under way, or about to leave over a
        connection that they have, go on."""
        self._halted.set()
        for turn in self.later_turns:
            turn.reschedule(0.0)

    async def check_halted(self) -> None:
        """Return at once, or never once the wire is halted."""
        if self._halted.is_set():
            await asyncio.Future()  # until it is cancelled

    def check_turned_away(self, asking: Asking) -> None:
        """Raise `Parked` once the wire is halted, for what is on record as sent and was turned away: it is not lost."""
        if self._halted.is_set() and asking.was_sent and not asking.is_repeatable:
            raise Parked("turned away, and not asked again before the run ended", 0.0)

    async def sleep(self, wait: Awaitable[None]) -> None:
        """Wait, but no longer than until the wire is halted."""
        tasks = [asyncio.ensure_future(wait), asyncio.ensure_future(self._halted.wait())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    def down(self, reason: str) -> ApiDown:
        """What ends a run in which nobody answers."""
        return ApiDown(
            f"nobody answers at {self._settings.base_url} ({reason}): check fetch.base_url and the network, then run "
            "again; nothing is lost"
        )

    async def exchange(self, asking: Asking) -> Response:
        """One request on the wire and its whole answer. Raises `AttemptFailed` where another try may go better."""
        timeout_s = min(self._settings.timeout, asking.deadline.left_s())
        try:
            async with asyncio.timeout(timeout_s):
                return await self._send(asking)
        except aiohttp.ClientSSLError as error:
            raise GaveUp(f"TLS: {one_line(error)}") from error
        except NotPublic as error:
            raise Refused(f"{origin_of(asking.hop.request.url)} is not connected to: {error}") from error
        except aiohttp.InvalidURL as error:
            raise Refused(f"not a URL that can be asked: {one_line(error)}") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            asking.start.sign = Sign.BAD
            reason = no_connection(error)
            if self.reach.failed(time.monotonic()):
                raise self.down(reason) from error
            raise AttemptFailed(reason) from error
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            asking.start.sign = Sign.BAD
            late = f"no answer within {round(timeout_s, 3):g} s"
            reason = late if isinstance(error, TimeoutError) else one_line(error)
            raise AttemptFailed(reason) from error

    async def _connected(self, _: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        """There is a connection, and nothing has gone out over it."""
        await self.check_halted()
        asking = context.trace_request_ctx
        await asking.leave()
        await asking.realm.turn_to_leave(asking.start)

    async def _connected_before(self, session: aiohttp.ClientSession, context: SimpleNamespace, told: object) -> None:
        """The same, over one that was kept open: that it is closed meanwhile says nothing of the API."""
        context.trace_request_ctx.is_reused = True
        await self._connected(session, context, told)

    async def _left(
        self, _: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceRequestHeadersSentParams
    ) -> None:
        """A connection is open and the request goes out over it: whatever happens now, somebody is there."""
        self.reach.reached(time.monotonic())
        asking = context.trace_request_ctx
        asking.realm.left(asking.start)

    async def _send(self, asking: Asking) -> Response:
        asked = asking.hop.request
        request = signed(asked, asking.shown)
        async with (self._home if asking.hop.is_home else self._abroad).request(
            request.method,
            URL(request.url, encoded=True),
            headers=sent_headers(request),
            data=request.body or None,
            allow_redirects=False,
            middlewares=(sent_once(),),
            trace_request_ctx=asking,
        ) as answer:
            if asking.realm:
                asking.realm.answered(asking.start)
            asking.start.sign = Sign.GOOD
            self._tally.statuses[answer.status] += 1
            body = await self._read(answer)
            headers = tuple((legible(str(name)), legible(value)) for name, value in answer.headers.items())
            return Response(answer.status, headers, body, self._now(), url=asked.url)

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
        except Bomb as error:
            answer.close()
            raise GaveUp(f"the body unpacks to more than {MOST_RATIO} times of what came: it is not read") from error
        except Damaged as error:
            answer.close()
            raise AttemptFailed(f"the answer cannot be decoded: {error}") from error


def checked_socket(check: Callable[[str], None], found: aiohttp.AddrInfoType) -> socket.socket:
    """A socket for an address that a name has led to, if that may be connected to."""
    family, kind, protocol, _, address = found
    check(str(address[0]))
    return socket.socket(family, kind, protocol)


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
