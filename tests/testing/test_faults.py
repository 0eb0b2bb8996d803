import asyncio
import json
from contextlib import asynccontextmanager
from datetime import date

import aiohttp
import pytest

from fetcher.testing.air_temperature import day_body, load_plan
from fetcher.testing.server import Server, ServerOptions

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


async def raw_bytes(server, path):
    """Everything that comes over a connection of its own until it closes; raises ConnectionResetError on a reset."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("day", "statuses"),
    [
        ("2019-04-25", [500, 500, 200, 200]),
        ("2019-04-27", [504, 200]),
        ("2019-04-29", [500, 500, 500, 500]),
        ("2019-06-10", [429, 200]),
        ("2019-06-11", [429, 429, 200]),
        ("2019-04-21", [200]),
        ("2019-04-22", [200]),
    ],
)
async def test_planned_statuses_come_once_each_in_order(day, statuses):
    """A fault is served once, then the day's normal answer for ever; a day that always fails always fails."""
    async with serving() as (server, ask):
        answers = [await ask_day(ask, day) for _ in statuses]
        assert [status for status, _ in answers] == statuses
        assert server.stats()["limited"] == 0
    messages = {
        429: {"message": "Too Many Requests"},
        500: {"message": "Internal Server Error"},
        504: {"message": "Endpoint request timed out"},
    }
    for status, told in answers:
        assert told == messages.get(status, json.loads(day_body(date.fromisoformat(day), 60)))


async def test_a_slow_day_is_answered_three_seconds_late_once():
    """The answer itself is the normal one."""
    sleeps = Sleeps()
    async with serving(sleep=sleeps) as (_, ask):
        answers = [await ask_day(ask, "2019-05-03") for _ in range(2)]
    assert answers == [(200, json.loads(day_body(date(2019, 5, 3), 60)))] * 2
    assert sleeps == [3.0]


async def test_a_cut_answer_is_the_normal_one_up_to_its_middle():
    """Normal headers with the whole length, half of the body, then the end of the connection."""
    body = day_body(date(2019, 5, 9), 60)
    async with serving() as (server, ask):
        head, _, got = (await raw_bytes(server, f"{AIR_TEMPERATURE}?date=2019-05-09")).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Content-Length: %d" % len(body) in head
        assert got == body[: len(body) // 2]
        assert server.stats()["by_status"] == {"cut": 1}
        assert await ask_day(ask, "2019-05-09") == (200, json.loads(body))


async def test_a_client_library_sees_a_cut_answer_as_a_broken_body():
    """Not as a short but complete one."""
    async with serving() as (_, ask):
        with pytest.raises(aiohttp.ClientPayloadError):
            await ask_day(ask, "2019-05-09")


async def test_a_reset_comes_before_any_byte():
    """TCP RST, not an orderly end; the next request is answered."""
    async with serving() as (server, ask):
        with pytest.raises(ConnectionResetError):
            await raw_bytes(server, f"{AIR_TEMPERATURE}?date=2019-05-20")
        assert server.stats()["by_status"] == {"reset": 1}
        assert (await ask_day(ask, "2019-05-20"))[0] == 200


async def test_without_faults_every_day_but_the_lost_one_is_answered_at_once():
    """For tests that are about something else."""
    async with serving(ServerOptions(limit=None, faults=False)) as (_, ask):
        for day in load_plan().days:
            assert (await ask_day(ask, day))[0] == (500 if day == date(2019, 4, 29) else 200)


async def test_a_new_server_serves_its_faults_again():
    """Servers share nothing."""
    for _ in range(2):
        async with serving() as (_, ask):
            assert (await ask_day(ask, "2019-04-27"))[0] == 504


async def test_of_two_requests_at_once_only_the_first_meets_a_fault():
    """Faults are taken on arrival, not when the answer goes out."""
    both_wait = asyncio.Barrier(2)

    async def sleep(seconds):
        await both_wait.wait()

    async with serving(sleep=sleep) as (_, ask):
        answers = await asyncio.gather(ask_day(ask, "2019-04-27"), ask_day(ask, "2019-04-27"))
    assert sorted(status for status, _ in answers) == [200, 504]
