import asyncio
import json
import re
from contextlib import asynccontextmanager
from datetime import date, timedelta
from itertools import pairwise

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.testing.air_temperature import canonical_hash, day_body, load_plan
from fetcher.testing.clock import VirtualClock
from fetcher.testing.server import Server, ServerOptions, WindowLimiter

AIR_TEMPERATURE = "/v1/environment/air-temperature"
UNLIMITED = ServerOptions(limit=None)


class Sleeps(list[float]):
    """Stands in for waiting: notes each wait and returns at once."""

    async def __call__(self, seconds: float) -> None:
        if seconds:
            self.append(seconds)


@asynccontextmanager
async def serving(options=UNLIMITED, **clocks):
    """A server and a way to ask it: `ask(path)` gives (status, JSON, headers)."""
    clocks.setdefault("sleep", Sleeps())
    async with Server(options, **clocks) as server, aiohttp.ClientSession(server.url) as session:

        async def ask(path, method="GET"):
            async with session.request(method, path) as response:
                return response.status, json.loads(await response.read() or b"null"), response.headers

        yield server, ask


async def ask_day(ask, day):
    status, told, _ = await ask(f"{AIR_TEMPERATURE}?date={day}")
    return status, told


@pytest.mark.parametrize(
    ("step", "records", "sha256"),
    [
        (60, 33993, "1a18dbe5c0d2e80c443dfb6543731dca49217c2b65bbf748841b5ea101489134"),
        (5, 407828, "ae2ab5683f33afe2d830d4d7fb8e0c943ae982436387bb18c046fbe5e276532d"),
    ],
)
async def test_all_days_asked_for_over_sockets_have_the_published_hash(step, records, sha256):
    """What comes through the network is the series, byte for byte."""
    plan = load_plan()
    days = [plan.first + timedelta(number) for number in range((plan.last - plan.first).days + 1)]
    got: list[dict[str, object]] = []
    async with serving(ServerOptions(step=step, limit=None, faults=False)) as (server, ask):
        for day in days:
            _, told = await ask_day(ask, day)
            items = [item for item in told.get("items", ()) if item["timestamp"]]
            got += ({"timestamp": item["timestamp"], **reading} for item in items for reading in item["readings"])
        assert canonical_hash(got) == (records, sha256)
        assert server.stats()["by_status"] == {"200": 99, "500": 1}


async def test_a_day_is_answered_as_json_with_its_length():
    """HTTP/1.1 with Content-Length, and nothing that tells a client to wait."""
    async with serving() as (_, ask):
        status, told, headers = await ask(f"{AIR_TEMPERATURE}?date=2019-04-15")
    body = day_body(date(2019, 4, 15), 60)
    assert (status, told) == (200, json.loads(body))
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Length"] == str(len(body))
    assert not [name for name in headers if "limit" in name.lower() or name == "Retry-After"]


async def test_more_requests_than_the_limit_are_refused_until_the_window_ends():
    """n in a window, told to nobody but by 429; the first request after the window opens the next one."""
    clock = VirtualClock()
    async with serving(ServerOptions(limit=(3, 10.0)), now=clock.now) as (server, ask):
        statuses = [(await ask_day(ask, "2019-04-15"))[0] for _ in range(5)]
        clock.advance(9.5)
        statuses.append((await ask_day(ask, "2019-04-15"))[0])
        clock.advance(0.5)
        statuses.append((await ask_day(ask, "2019-04-15"))[0])
        assert statuses == [200, 200, 200, 429, 429, 429, 200]
        assert server.stats()["limited"] == 3
        assert server.stats()["by_status"] == {"200": 4, "429": 3}


async def test_a_refused_request_does_not_use_up_a_fault():
    """Otherwise a client could skip a bad day by being impolite."""
    clock = VirtualClock()
    async with serving(ServerOptions(limit=(1, 1.0)), now=clock.now) as (server, ask):
        statuses = []
        for seconds in (0, 0, 1, 0, 1):
            clock.advance(seconds)
            statuses.append((await ask_day(ask, "2019-04-25"))[0])
        assert statuses == [500, 429, 500, 429, 200]
        assert server.stats()["limited"] == 2
        assert server.stats()["by_date"] == {"2019-04-25": 5}


async def test_the_default_limit_is_twenty_a_second_and_covers_every_path():
    """Asking for something else, or for nothing that exists, is a request too."""
    async with serving(ServerOptions(), now=VirtualClock().now) as (_, ask):
        paths = ["/v1/rows?id=1", "/v1/echo/x", "/nowhere", f"{AIR_TEMPERATURE}?date=2019-04-15"] * 6
        statuses = [(await ask(path))[0] for path in paths]
        assert [status == 429 for status in statuses] == [False] * 20 + [True] * 4


@given(
    st.lists(st.integers(0, 30), max_size=60),
    st.integers(1, 5),
    st.integers(1, 50),
)
def test_windows_open_with_a_request_and_let_n_through(gaps, requests, window_s):
    """Between two openings lies at least a window; in each, the first n pass and no other; refusals change nothing."""
    limiter = WindowLimiter(requests, window_s)
    arrivals = [sum(gaps[: number + 1]) for number in range(len(gaps))]
    windows: list[list[int]] = []
    opened: list[int] = []
    for arrival in arrivals:
        if not opened or arrival >= opened[-1] + window_s:
            opened.append(arrival)
            windows.append([])
        windows[-1].append(limiter.admits(arrival))
    assert all(later - earlier >= window_s for earlier, later in pairwise(opened))
    for window in windows:
        assert window == [number < requests for number in range(len(window))]


async def test_every_answer_waits_for_the_latency_but_statistics_do_not():
    """Refusals and unknown paths take as long as anything else."""
    sleeps = Sleeps()
    options = ServerOptions(latency_s=0.3, limit=(2, 1.0))
    async with serving(options, sleep=sleeps, now=VirtualClock().now) as (_, ask):
        for path in (f"{AIR_TEMPERATURE}?date=2019-04-15", "/nowhere", "/v1/rows?id=1", "/__stats"):
            await ask(path)
    assert sleeps == [0.3, 0.3, 0.3]


async def test_statistics_count_everything_but_themselves():
    """`requests` is the sum of `by_status`; `by_date` counts requests for days, whatever came of them."""
    async with serving() as (server, ask):
        for day in ("2019-04-15", "2019-04-27", "2019-04-27", "2019-02-30", "1999-01-01"):
            await ask_day(ask, day)
        await ask("/nowhere")
        for _ in range(2):
            status, told, _ = await ask("/__stats")
        assert status == 200
        assert told == server.stats()
    assert told == {
        "requests": 6,
        "by_status": {"200": 3, "400": 1, "403": 1, "504": 1},
        "early": 0,
        "limited": 0,
        "by_date": {"1999-01-01": 1, "2019-04-15": 1, "2019-04-27": 2},
        "faults": {},
        "exceeded": {},
        "executions": {},
        "tokens": 0,
    }


@pytest.mark.parametrize(
    "query",
    ["", "?date=", "?date=2019-02-30", "?date=20190415", "?date=2019-W16-1", "?date=15/04/2019", "?day=2019-04-15"],
)
async def test_what_is_not_a_day_is_a_bad_request(query):
    """400 with a message that says what was expected."""
    async with serving() as (_, ask):
        status, told, _ = await ask(AIR_TEMPERATURE + query)
    assert (status, told) == (400, {"message": "date: expected a day as YYYY-MM-DD"})


async def test_days_outside_the_plan_are_empty():
    """Asking for too much is no error."""
    async with serving() as (_, ask):
        for day in ("2019-04-14", "2019-07-24"):
            status, told = await ask_day(ask, day)
            assert (status, told["items"]) == (200, [])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1/environment/air-temperatures?date=2019-04-15"),
        ("GET", "/v1/environment/air-temperature/?date=2019-04-15"),
        ("POST", "/v1/environment/air-temperature?date=2019-04-15"),
        ("DELETE", "/v1/rows?id=1"),
    ],
)
async def test_any_other_path_wants_a_token(method, path):
    """What an AWS gateway says where nothing is: "no such path", not "bad key"."""
    async with serving() as (_, ask):
        status, told, _ = await ask(path, method)
    assert (status, told) == (403, {"message": "Missing Authentication Token"})


async def test_echo_tells_what_was_asked():
    """For tests of how a URL is composed: decoded, with repeated names as lists."""
    async with serving() as (_, ask):
        status, told, _ = await ask("/v1/echo/a%20b/c?x=1&y=%C3%A9&x=2&z=")
    assert (status, told) == (200, {"path": "/v1/echo/a b/c", "query": {"x": ["1", "2"], "y": "é", "z": ""}})


async def test_rows_answer_about_any_number():
    """Small answers for many rows: the same number always has the same value."""
    async with serving() as (_, ask):
        answers = [await ask(f"/v1/rows?id={number}") for number in (7, 7, -3, 10**17)]
        bad = [(await ask(f"/v1/rows?id={text}"))[0] for text in ("", "x", "1.5", "9" * 19)]
    assert [told for _, told, _ in answers[:2]] == [{"id": 7, "items": [{"id": 7, "value": 51}]}] * 2
    assert [told["items"][0]["id"] for _, told, _ in answers] == [7, 7, -3, 10**17]
    assert bad == [400, 400, 400, 400]


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"host": "0.0.0.0"}, "host: expected a loopback address such as 127.0.0.1, got '0.0.0.0'"),
        ({"host": "localhost"}, "host: expected a loopback address such as 127.0.0.1, got 'localhost'"),
        ({"port": 65536}, "port: expected 0 to 65535, got 65536"),
        ({"step": 7}, "step: expected minutes that divide an hour, such as 60 or 5, got 7"),
        ({"step": 0}, "step: expected minutes that divide an hour, such as 60 or 5, got 0"),
        ({"latency_s": -1.0}, "latency_s: expected seconds, 0 or more, got -1.0"),
        ({"limit": (0, 1.0)}, "limit: expected (requests, seconds), both above 0, got (0, 1.0)"),
        ({"limit": (1, 0.0)}, "limit: expected (requests, seconds), both above 0, got (1, 0.0)"),
    ],
)
def test_options_without_sense_are_refused(options, fault):
    """Loopback only: this API must never be open to others."""
    with pytest.raises(ValueError, match=re.escape(fault)):
        ServerOptions(**options)


async def test_a_taken_port_is_an_error():
    """Two servers never share a port."""
    async with Server(UNLIMITED) as server:
        with pytest.raises(OSError, match="in use"):
            await Server(ServerOptions(port=server.port)).__aenter__()


async def test_a_server_leaves_without_waiting_for_its_clients():
    """A request that is being answered is dropped when the server goes."""
    arrived = asyncio.Event()

    async def sleep(seconds):
        arrived.set()
        await asyncio.Event().wait()

    async with aiohttp.ClientSession() as session:
        async with Server(UNLIMITED, sleep=sleep) as server:
            request = asyncio.create_task(session.get(server.url + "/v1/echo/x"))
            await arrived.wait()
        with pytest.raises(aiohttp.ClientError):
            await request
