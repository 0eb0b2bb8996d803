"""What the fetch tests share: a client over real sockets that waits for nothing, and a server that says given bytes."""

import asyncio
import random
import time
from contextlib import asynccontextmanager
from typing import Any

import pytest

from fetcher.fetch.client import Client
from fetcher.fetch.retries import Retries
from fetcher.job.sections import Fetch
from fetcher.tally import Tally


class Sleeps(list[float]):
    """Stands in for waiting: notes each wait and returns at once."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def sleeps():
    """Notes the waits between attempts."""
    return Sleeps()


@pytest.fixture
def client_of(sleeps):
    """`async with client_of(base_url, cache, keep, **fetch section) as client`; it has its `tally` beside it."""

    @asynccontextmanager
    async def opened(base_url, cache=None, keep="forever", **section):
        section.setdefault("retries", {"attempts": 5, "first_wait": "1 ms"})
        section["cache"] = {"keep": keep}
        settings = Fetch(base_url=base_url, url="/", **section)
        tally = Tally()
        retries = Retries(settings.retries, random.Random(0), time.time, sleeps)
        async with Client(settings, cache, retries, tally) as client:
            yield client, tally

    return opened


@pytest.fixture
def speaking():
    """`async with speaking(answer) as url`: `answer(number of the request, its head, writer)` writes what it likes."""

    @asynccontextmanager
    async def serving(answer):
        asked = []
        dones: set[asyncio.Task[Any]] = set()

        async def serve(reader, writer):
            task = asyncio.current_task()
            assert task is not None
            dones.add(task)
            try:
                while head := await reader.readuntil(b"\r\n\r\n"):
                    asked.append(head)
                    await answer(len(asked), head, writer)
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=500)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked
        finally:
            server.close()
            for task in dones:
                task.cancel()
            await asyncio.gather(*dones, return_exceptions=True)

    return serving
