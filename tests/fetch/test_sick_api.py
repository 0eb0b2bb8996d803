"""The client with breaker and slots that adapt, over real sockets: what cancelling and first failures leave behind."""

import asyncio
import random
import time
from contextlib import asynccontextmanager, suppress

import pytest

from fetcher.errors import ApiDown, GaveUp, RowError
from fetcher.fetch.adaptive import Adaptive
from fetcher.fetch.breaker import Breaker, State
from fetcher.fetch.budget import Budget
from fetcher.fetch.client import Client
from fetcher.fetch.health import Health
from fetcher.fetch.limits import Realm
from fetcher.fetch.retries import Retries
from fetcher.job.sections import Fetch
from fetcher.model import Request
from fetcher.tally import Tally
from fetcher.testing.server import Server, ServerOptions

UNLIMITED = ServerOptions(limit=None)
ROW = "/v1/rows?id=7"


@asynccontextmanager
async def watched(url, concurrency=1, first_wait_s=0.01, budget=None, expect=(), attempts=4):
    """A client whose realm has breaker and slots, as a run has it, and these two."""
    settings = Fetch(
        base_url=url,
        url="/",
        limits={"concurrency": concurrency},
        retries={"attempts": attempts, "first_wait": "1 ms"},
        expect=expect,
    )
    chance = random.Random(0)
    health = Health(Breaker(first_wait_s, 60.0, chance), Adaptive(concurrency))
    retries = Retries(settings.retries, chance, time.time, budget=budget or Budget())
    async with (
        Realm(settings.limits, time.monotonic, health=health) as realm,
        Client(settings, None, retries, Tally(), realms=[realm]) as client,
    ):
        yield client, health


@pytest.mark.parametrize("fault", ["no-answer", "headers-then-silence", "half-body-then-silence", "status-503"])
async def test_nothing_is_under_way_once_everybody_is_cancelled(fault):
    """Amid an attempt, amid a back-off, or waiting for a turn: the next request leaves as if they had never been."""
    async with Server(UNLIMITED) as server, watched(server.url, 2) as (client, health):
        request = Request("GET", f"{server.url}/fault/{fault}{ROW}")
        for pause_s in (0.0, 0.001, 0.02, 0.05):
            asking = [asyncio.create_task(client.fetch(request)) for _ in range(8)]
            await asyncio.sleep(pause_s)
            for one in asking:
                one.cancel()
            await asyncio.wait(asking)
            assert (health.under_way, health.breaker.under_way, health.breaker.probe) == (0, 0, None)
        assert (await client.fetch(Request("GET", server.url + ROW))).response.status == 200


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("fault", ["status-429", "status-500", "status-503", "reset", "close", "retry-after-zero"])
async def test_an_api_that_fails_at_first_is_asked_on(fault, concurrency):
    """Its first request fails, whatever the way: every row is answered, and the breaker is closed after it."""
    async with Server(UNLIMITED) as server, watched(server.url, concurrency) as (client, health):
        spec = f"/fault/{fault};times=1;per=all"
        rows = [Request("GET", f"{server.url}{spec}/v1/rows?id={number}") for number in range(10)]
        fetched = await asyncio.gather(*(client.fetch(row) for row in rows))
        assert sorted(one.attempts for one in fetched) == [1] * 9 + [2]
        assert (health.under_way, health.breaker.state) == (0, State.CLOSED)


@pytest.mark.parametrize(
    ("rule", "state"),
    [
        ({"action": "refuse"}, State.CLOSED),
        ({"action": "empty"}, State.CLOSED),
        ({"action": "cooldown"}, State.OPEN),
        (None, State.OPEN),
    ],
)
async def test_a_failure_that_is_about_its_row_holds_nobody_back(rule, state):
    """A rule says so: a bare 429 for a question that is too long, and the next one may leave at once."""
    rules = [{"status": [429], **rule}] if rule else []
    async with Server(UNLIMITED) as server, watched(server.url, expect=rules, attempts=1) as (client, health):
        with suppress(RowError):
            await client.fetch(Request("GET", f"{server.url}/fault/status-429{ROW}"))
        assert health.breaker.state is state


async def test_an_empty_budget_lets_each_row_through_once():
    """No retry, no hang: rows that fail are given up with the reason, others are answered and refill it."""
    budget = Budget(0)
    async with Server(UNLIMITED) as server, watched(server.url, budget=budget) as (client, _):
        with pytest.raises(GaveUp, match="1 attempt; too much has failed lately"):
            await client.fetch(Request("GET", f"{server.url}/fault/status-500{ROW}"))
        for number in range(10):
            await client.fetch(Request("GET", f"{server.url}/v1/rows?id={number}"))
        assert (await client.fetch(Request("GET", f"{server.url}/fault/status-500;times=1{ROW}"))).attempts == 2


async def test_a_realm_that_is_hopeless_ends_the_run_for_whoever_waits():
    """Those who wait for a probe are told at once, not when it is due."""
    async with Server(UNLIMITED) as server, watched(server.url, first_wait_s=60.0) as (client, health):
        url = f"{server.url}/fault/status-429{ROW}"
        asking = [asyncio.create_task(client.fetch(Request("GET", url))) for _ in range(3)]
        while health.breaker.state is State.CLOSED:  # noqa: ASYNC110  (the breaker tells nobody)
            await asyncio.sleep(0.01)
        health.breaker.opened_at = time.monotonic() - 3600.0
        client._keys.all[0].realm._news.set()
        for ended in await asyncio.gather(*asking, return_exceptions=True):
            assert isinstance(ended, ApiDown)
        assert health.under_way == 0
