"""A feed for stories: a server in a thread of the test, whose answers the test changes while it lives; and its job."""

import asyncio
import json
import sqlite3
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

from aiohttp import web

from fetcher.compose.pages import place_of
from fetcher.ledger import LedgerView
from fetcher.model import RowState
from tests.stories.programs import Program

FIRST = date(2019, 1, 1)
DEADLINE_S = 30
"""Only so that a program that never does what it should fails its test."""
JOB = """\
name = "feed"
[read.dates]
from = "{first}"
to = "{last}"
[fetch]
base_url = "{url}"
url = "/days"
query = {{ date = "{{date}}" }}
[fetch.retries]
attempts = 2
first_wait = "1 ms"
[parse]
records = "items[]"
[write]
folder = "out"
"""
SLOW_PARSER = """\
import json
import time

def parse(body, row):
    time.sleep({seconds})
    yield from json.loads(body)["items"]
"""

Answer = Callable[[str], web.Response | Awaitable[web.Response]]
"""The answer for a day, `2019-01-01`."""


def records(day: str, revision: int = 1) -> list[dict]:
    """What a day holds."""
    return [{"day": day, "number": number, "revision": revision} for number in range(3)]


def published(day: str, revision: int = 1) -> web.Response:
    """A day that is out."""
    return web.json_response({"items": records(day, revision)})


def not_out(_: str = "") -> web.Response:
    """A day that is not out yet."""
    return web.json_response({"items": []})


def failing(_: str = "") -> web.Response:
    """A bad moment."""
    return web.Response(status=500)


@dataclass
class Feed:
    """`asked` are the days that requests came for, in the order of their coming; `answer` may be changed."""

    answer: Answer
    url: str = ""
    asked: list[str] = field(default_factory=list)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        day = request.query["date"]
        self.asked.append(day)
        answer = self.answer(day)
        return await answer if isinstance(answer, Awaitable) else answer

    def taken(self) -> list[str]:
        """The days asked for since this was last called."""
        asked, self.asked = self.asked, []
        return asked


class Responding(Protocol):
    """A server of a story; its `url` is set once it listens."""

    url: str

    async def respond(self, request: web.Request) -> web.StreamResponse: ...


@contextmanager
def serving(answer: Answer = published) -> Iterator[Feed]:
    """A feed while the `with` lasts."""
    feed = Feed(answer)
    with listening(feed):
        yield feed


@contextmanager
def listening(feed: Responding) -> Iterator[None]:
    """Serve a feed in a thread while the `with` lasts."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", feed.respond)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        feed.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        await stop.wait()
        await runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}  # answers that nobody waits for any more
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


def pending_signals(pid: int) -> int:
    """A mask of the signals that a process has not seen yet."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1], 16) for line in lines if line.startswith(("SigPnd", "ShdPnd")))


def until(condition: Callable[[], object], process: subprocess.Popen | Program | None = None) -> None:
    """Poll until the condition holds; a run that ends first, or a deadline, fails the test."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert process is None or process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.005)


def days(count: int) -> list[str]:
    """The first days of the job, oldest first."""
    return [str(FIRST + timedelta(number)) for number in range(count)]


def make_job(folder: Path, url: str, count: int = 10, more: str = "") -> Path:
    """A job over the first `count` days; `more` is TOML behind its last section, `[write]`."""
    folder.mkdir(parents=True, exist_ok=True)
    job = folder / "job.toml"
    job.write_text(JOB.format(first=FIRST, last=FIRST + timedelta(count - 1), url=url) + more)
    return job


def parse_slowly(job: Path, seconds: float) -> str:
    """An override: parse in workers, an answer in so many seconds."""
    (job.parent / "slow.py").write_text(SLOW_PARSER.format(seconds=seconds))
    job.write_text(job.read_text().replace('records = "items[]"', 'function = "slow.py:parse"'))
    return "parse.workers=2"


def sets(*overrides: str) -> list[str]:
    """`--set A --set B`"""
    return [part for override in overrides for part in ("--set", override)]


def expected(count: int, revision: int = 1) -> list[dict]:
    """All records of the job over that many days."""
    return [record for day in days(count) for record in records(day, revision)]


def in_order(found: list[dict]) -> list[dict]:
    """By day and number, as `expected` has them."""
    return sorted(found, key=lambda record: (record["day"], record["number"], record["revision"]))


def states(folder: Path) -> dict[RowState, int]:
    """Rows by state, from the ledger of a job's folder."""
    with LedgerView(folder / ".fetcher" / "ledger.sqlite") as ledger:
        found: dict[RowState, int] = {}
        for (state, _), count in ledger.counts().items():
            found[state] = found.get(state, 0) + count
    return found


def manifest_faults(folder: Path) -> list[str]:
    """Where `manifest.json` and the files beside it differ."""
    told = json.loads((folder / "manifest.json").read_text())
    sizes = {path.name: path.stat().st_size for path in folder.glob("records-*")}
    faults = [] if {file["name"]: file["bytes"] for file in told["files"]} == sizes else [f"files: {told} {sizes}"]
    return faults + ([] if told["records"] == sum(file["records"] for file in told["files"]) else ["sum"])


def noon_zone() -> str:
    """A time zone where it is about noon: no story there runs over midnight."""
    offset = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-offset:+d}" if offset else "Etc/GMT"


PER_PAGE = 3
PAGED_JOB = """\
name = "paged"
[read.dates]
from = "{first}"
to = "{last}"
[fetch]
base_url = "{url}"
url = "/items"
query = {{ date = "{{date}}" }}
limits.concurrency = 1
retries = {{ attempts = 2, first_wait = "1 ms" }}
[fetch.pages]
kind = "page"
more = "more"
{pages}
[parse]
records = "items[]"
[write]
folder = "out"
"""


@dataclass
class PagedFeed:
    """Answers in pages of three items. `asked` are (day, page) in the order of their coming.

    `held` are the items of a day, by default as many as its pages have; `answer` may be changed to answer some pages
    in another way; page `stops_at` is never answered.
    """

    pages: int = 5
    url: str = ""
    asked: list[tuple[str, int]] = field(default_factory=list)
    held: Callable[[str], list[dict]] | None = None
    answer: Callable[[str, int], web.Response | None] = lambda day, page: None
    stops_at: int = 0

    async def respond(self, request: web.Request) -> web.StreamResponse:
        day, page = request.query["date"], int(request.query["page"])
        self.asked.append((day, page))
        if page == self.stops_at:
            await asyncio.Event().wait()
        return self.answer(day, page) or self.page(day, page)

    def items(self, day: str) -> list[dict]:
        """All items of a day, in the order of its pages."""
        return self.held(day) if self.held else paged_items(day, self.pages)

    def page(self, day: str, page: int) -> web.Response:
        """A page as it should be."""
        items = self.items(day)
        last = page * PER_PAGE
        return web.json_response(
            {"items": items[last - PER_PAGE : last], "more": last < len(items), "total": len(items)}
        )

    def taken(self) -> list[int]:
        """The pages asked for since this was last called."""
        asked, self.asked = self.asked, []
        return [page for _, page in asked]


@dataclass
class Orders:
    """A server that carries something out for each POST. `arrived` are the days and idempotency keys that came, and
    `carried_out` the days that it was done for: once for each key. `fate` says what becomes of the answer."""

    fate: Callable[[str], Awaitable[web.StreamResponse | None] | web.StreamResponse | None] = lambda day: None
    url: str = ""
    arrived: list[tuple[str, str]] = field(default_factory=list)
    carried_out: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)

    async def respond(self, request: web.Request) -> web.StreamResponse:
        day, key = (await request.json())["day"], request.headers.get("Idempotency-Key", "")
        self.arrived.append((day, key))
        if not key or key not in self.known:
            self.carried_out.append(day)
            self.known.add(key)
        fate = self.fate(day)
        answer = await fate if isinstance(fate, Awaitable) else fate
        if answer is None and request.transport and self.fate is resetting:
            request.transport.abort()
        return answer or published(day)

    def taken(self) -> list[str]:
        """The days that came since this was last called."""
        arrived, self.arrived = self.arrived, []
        return [day for day, _ in arrived]


async def never(_: str = "") -> None:
    """No answer."""
    await asyncio.Event().wait()


def resetting(_: str = "") -> None:
    """The connection breaks."""


def make_orders_job(folder: Path, url: str, fetch: str = "", count: int = 2) -> Path:
    """A job that posts each of `count` days; `fetch` are further keys of `[fetch]`."""
    job = make_job(folder, url, count)
    posted = f'method = "POST"\njson = {{ day = "{{date}}", list = [1, "x"] }}\nlimits.concurrency = 1\n{fetch}'
    job.write_text(job.read_text().replace('query = { date = "{date}" }', posted))
    return job


@contextmanager
def serving_orders() -> Iterator[Orders]:
    """A server that does things while the `with` lasts."""
    orders = Orders()
    with listening(orders):
        yield orders


HELD_PARSER = """\
import json
import time
from pathlib import Path
from typing import Protocol

def parse(body, row):
    while Path(__file__).with_name("hold").exists():
        time.sleep(0.01)
    yield from json.loads(body)["items"]
"""


@contextmanager
def parsing_held(job: Path) -> Iterator[None]:
    """The job parses nothing while the `with` lasts, and by a function from then on."""
    (job.parent / "held.py").write_text(HELD_PARSER)
    (job.parent / "hold").touch()
    job.write_text(job.read_text().replace('records = "items[]"', 'function = "held.py:parse"\nworkers = 1'))
    yield
    (job.parent / "hold").unlink()


def kept_answers(folder: Path) -> int:
    """How many answers are in the cache of a job's folder."""
    try:
        with closing(sqlite3.connect(f"file:{folder}/.fetcher/cache.sqlite?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT COUNT(*) FROM answers").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def next_page(folder: Path) -> int:
    """The page that the first row would go on with: 1 where the ledger knows of none, 0 where there is no ledger."""
    try:
        with closing(sqlite3.connect(f"file:{folder}/.fetcher/ledger.sqlite?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT position FROM rows WHERE position != ''").fetchone()
    except sqlite3.OperationalError:
        return 0
    return place_of(found[0]).number if found else 1


def paged_items(day: str, pages: int, revision: int = 1) -> list[dict]:
    """What a day of that many pages holds."""
    return [{"day": day, "number": number, "revision": revision} for number in range(pages * PER_PAGE)]


@contextmanager
def serving_pages(pages: int = 5) -> Iterator[PagedFeed]:
    """A feed of one page after another while the `with` lasts."""
    feed = PagedFeed(pages)
    with listening(feed):
        yield feed


def make_paged_job(folder: Path, url: str, pages: str = "", more: str = "", count: int = 1) -> Path:
    """A job over `count` days of a paged feed: `pages` are further keys of `[fetch.pages]`, `more` is TOML behind
    `[write]`."""
    folder.mkdir(parents=True, exist_ok=True)
    job = folder / "job.toml"
    last = FIRST + timedelta(count - 1)
    job.write_text(PAGED_JOB.format(first=FIRST, last=last, url=url, pages=pages) + more)
    return job
