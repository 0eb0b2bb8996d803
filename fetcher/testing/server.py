"""The built-in API: an imitation of data.gov.sg's air temperature on loopback, with its limit and its bad days.

    GET /v1/environment/air-temperature?date=YYYY-MM-DD   a day of readings
    GET /v1/rows?id=N                                     {"id": N, "items": [{"id": N, "value": ...}]}
    GET /v1/echo/ANYTHING                                 {"path": ..., "query": {...}}
    GET /v1/items?page=&size=                             a collection in pages; see `items`
    POST /v1/orders, POST /v1/token                       something that must happen once; a new credential
    ANY /fault/NAME/PATH                                  PATH, gone wrong; see `faults.spec` and docs/faults.md
    GET /__stats                                          what was asked so far; never limited, late or counted
    anything else                                         403 {"message": "Missing Authentication Token"}

`python -m fetcher.testing.server` serves it until it is told to stop.
"""

import argparse
import asyncio
import ipaddress
import os
import signal
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from types import TracebackType
from typing import Self

from aiohttp import web

from fetcher.testing.air_temperature import load_plan
from fetcher.testing.faults.book import Manners
from fetcher.testing.faults.exchange import World, json_answer
from fetcher.testing.faults.planned import PLANNED, PlannedExchange, refuse
from fetcher.testing.faults.spec import UnknownFault
from fetcher.testing.faults.stage import Stage, Visit, visit
from fetcher.testing.posts import answer_post, is_post
from fetcher.testing.routes import answer, asked_day

STATS = "/__stats"

# aiohttp takes 0 for "as long as it takes".
SHUTDOWN_S = 0.01


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How the built-in API behaves. Raises ValueError where a value makes no sense.

    `port` 0 takes a free one. `step` is the minutes between two items of a day. `latency_s` passes before each answer.
    `limit` is (requests, seconds) of the window limiter, for all clients together, or None. Without `faults`, every
    day in the plan but the ones that always fail is answered at once.
    """

    host: str = "127.0.0.1"
    port: int = 0
    step: int = 60
    latency_s: float = 0.0
    limit: tuple[int, float] | None = (20, 1.0)
    faults: bool = True

    def __post_init__(self) -> None:
        if not _is_loopback(self.host):
            raise ValueError(f"host: expected a loopback address such as 127.0.0.1, got {self.host!r}")
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port: expected 0 to 65535, got {self.port}")
        if self.step < 1 or 60 % self.step:
            raise ValueError(f"step: expected minutes that divide an hour, such as 60 or 5, got {self.step}")
        if not 0 <= self.latency_s < float("inf"):
            raise ValueError(f"latency_s: expected seconds, 0 or more, got {self.latency_s}")
        if self.limit and not (self.limit[0] >= 1 and 0 < self.limit[1] < float("inf")):
            raise ValueError(f"limit: expected (requests, seconds), both above 0, got {self.limit}")


def _is_loopback(host: str) -> bool:
    # Not "localhost": it may be two addresses, which would get two ports.
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


class Stats(Manners):
    """What was asked so far.

    `by_status` has names of faults, such as "cut" and "reset", besides the statuses, so that its counts add up to
    `requests`. `limited` counts the limiter's own
    429s, not the planned ones. `by_date` counts every request for a day, answered or not.
    """

    requests: int
    by_status: dict[str, int]
    limited: int
    by_date: dict[str, int]


class WindowLimiter:
    """A fixed window: opens with a request, lets n through, refuses the rest; the first one after it opens the next.

    Refused requests do not count.
    """

    def __init__(self, requests: int, window_s: float) -> None:
        self._requests = requests
        self._window_s = window_s
        self._opened_at = float("-inf")
        self._admitted = 0

    def admits(self, now: float) -> bool:
        """Whether the request that arrives now (seconds on any steady clock) may pass; counts it if so."""
        if now - self._opened_at >= self._window_s:
            self._opened_at = now
            self._admitted = 0
        if self._admitted >= self._requests:
            return False
        self._admitted += 1
        return True


class Server:
    """The built-in API while the `async with` lasts. Every instance starts afresh: no fault served, nothing counted.

    `now` is the clock of limits, `epoch` that of dates, `sleep` what late
    answers wait with; a test may pass its own. Entering
    raises OSError if the port is taken.
    """

    def __init__(
        self,
        options: ServerOptions | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        epoch: Callable[[], float] = time.time,
    ) -> None:
        self._options = options or ServerOptions()
        self._now = now
        self._sleep = sleep
        self._limiter = WindowLimiter(*self._options.limit) if self._options.limit else None
        planned = load_plan().days.items() if self._options.faults else ()
        self._faults = {day: deque(told.faults) for day, told in planned if told.faults}
        self._by_status: Counter[str] = Counter()
        self._by_date: Counter[str] = Counter()
        self._world = World(now, epoch, sleep, self._count)
        self._stage = Stage(self._world)
        self._requests = 0
        self._limited = 0
        self._port = 0

    async def __aenter__(self) -> Self:
        self._runner = web.ServerRunner(web.Server(self._respond, access_log=None), shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._options.host, self._options.port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._runner.cleanup()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def url(self) -> str:
        """Without a slash at the end: `http://127.0.0.1:40123`."""
        host = self._options.host
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    def stats(self) -> Stats:
        """The same that `GET /__stats` answers."""
        return {
            "requests": self._requests,
            "by_status": dict(sorted(self._by_status.items())),
            "limited": self._limited,
            "by_date": dict(sorted(self._by_date.items())),
            **self._world.book.told(),
        }

    async def _respond(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.path == STATS:
            return json_answer(200, self.stats())
        self._requests += 1
        try:
            visitor = visit(request)
        except UnknownFault as error:
            return self._counted(json_answer(400, {"message": str(error)}))
        day = asked_day(visitor.request)
        if day:
            self._by_date[day.isoformat()] += 1
        if self._limiter and not self._limiter.admits(self._now()):
            self._limited += 1
            await self._sleep(self._options.latency_s)
            return self._counted(refuse())
        return await self._serve(visitor, day)

    async def _serve(self, visitor: Visit, day: date | None) -> web.StreamResponse:
        # The fault is taken on arrival: of two requests in flight together, only the first meets it.
        fault = self._next_fault(day)
        await self._sleep(self._options.latency_s)
        if not visitor.faults:
            return self._counted(await self._answer(visitor, day, fault))

        async def normal() -> web.StreamResponse:
            return await self._answer(visitor, day, fault)

        try:
            return self._counted(await self._stage.play(visitor, normal))
        except ValueError as error:
            return self._counted(json_answer(400, {"message": str(error)}))

    async def _answer(self, visitor: Visit, day: date | None, fault: str | None) -> web.StreamResponse:
        request = visitor.request
        if is_post(request):
            return await answer_post(request, self._world)
        normal = answer(request, day, self._options.step, visitor.home)
        if fault is None:
            return normal
        if fault in ("cut", "reset"):
            # Counted first: the client may ask for the counts as soon as it sees the connection go.
            self._count(fault)
        return await PLANNED[fault](PlannedExchange(request, normal, self._sleep))

    def _counted(self, response: web.StreamResponse) -> web.StreamResponse:
        # What went over the bare connection was counted when it went.
        if isinstance(response, web.Response):
            self._count(str(response.status))
        return response

    def _count(self, what: str) -> None:
        self._by_status[what] += 1

    def _next_fault(self, day: date | None) -> str | None:
        waiting = self._faults.get(day) if day else None
        return waiting.popleft() if waiting else None


async def serve(options: ServerOptions, *, with_parent: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; prints the URL as one line once requests are answered.

    With `with_parent` the end of standard input ends it too: give it a pipe, which the system closes when you die.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with Server(options) as server:
        if with_parent:
            threading.Thread(target=_set_at_end_of_input, args=(loop, stop), daemon=True).start()
        print(server.url, flush=True)
        await stop.wait()


def _set_at_end_of_input(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    # os.read, not sys.stdin: a thread that holds the lock of a buffered reader breaks the interpreter's exit.
    # A closed stdin is an end as well (OSError), and so is a loop that a signal has closed already (RuntimeError).
    with suppress(OSError):
        while os.read(0, 65536):
            pass
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(stop.set)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line of `python -m fetcher.testing.server`; gives the exit status."""
    parser = _command_line()
    told = parser.parse_args(argv)
    try:
        options = ServerOptions(
            port=told.port, step=told.step, latency_s=told.latency, limit=told.limit, faults=told.faults
        )
    except ValueError as error:
        parser.error(str(error))
    try:
        asyncio.run(serve(options, with_parent=told.with_parent))
    except OSError as error:
        print(f"{options.host}:{options.port}: {error.strerror or error}", file=sys.stderr)
        return 1
    return 0


def _command_line() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fetcher.testing.server", description="Serve the built-in API.")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--step", type=int, default=60, help="minutes between two items of a day (default 60)")
    parser.add_argument("--latency", type=float, default=0.0, metavar="SECONDS", help="before each answer (default 0)")
    parser.add_argument(
        "--limit", type=_limit, default=(20, 1.0), metavar="N/SECONDS", help='requests in a window, or "none" (20/1)'
    )
    parser.add_argument("--faults", action=argparse.BooleanOptionalAction, default=True, help="the plan's bad answers")
    parser.add_argument("--with-parent", action="store_true", help="stop when standard input ends")
    return parser


def _limit(text: str) -> tuple[int, float] | None:
    if text == "none":
        return None
    requests, slash, window_s = text.partition("/")
    try:
        return int(requests), float(window_s if slash else "1")
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected N/SECONDS such as 20/1, or none; got {text!r}") from error


if __name__ == "__main__":
    sys.exit(main())
