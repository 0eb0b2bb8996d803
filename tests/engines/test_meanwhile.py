"""Work here while no worker has come, and while all of them have enough."""

import asyncio

import pytest

from fetcher.engines.meanwhile import Meanwhile
from fetcher.engines.output import Printed
from fetcher.engines.scales import Scales
from fetcher.errors import Quarantined
from tests.engines import deeds

NOTHING = 0


class Slow:
    """An engine of one worker, whose answers come when they are let go."""

    def __init__(self):
        self.workers, self.scales, self.printed, self.busy_s = 1, Scales(), Printed(), 0.0
        self.asked: dict[int, asyncio.Event] = {}

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    def warm_up(self):
        """It is asked for nothing that way."""

    async def run(self, item):
        """The item as the worker gives it back."""
        self.asked[item] = asyncio.Event()
        await self.asked[item].wait()
        return "worker", item


def here(item):
    """The item as this process gives it back."""
    return "here", item


async def settled():
    """Everything that can go on without an answer has gone on."""
    for _ in range(20):
        await asyncio.sleep(0.001)


async def test_a_single_item_needs_no_worker():
    """Nor does one come after it."""
    engine = Slow()
    async with Meanwhile(engine, here, NOTHING) as work:
        assert await work.run(1) == ("here", 1)
    assert not engine.asked


async def test_items_are_done_here_until_the_first_worker_has_come():
    """Then it has them; what it is sent for with is no item of anybody's."""
    engine = Slow()
    async with Meanwhile(engine, here, NOTHING) as work:
        assert [await work.run(item) for item in (1, 2, 3)] == [("here", 1), ("here", 2), ("here", 3)]
        assert [*engine.asked] == [NOTHING]
        engine.asked[NOTHING].set()
        await settled()
        fourth = asyncio.create_task(work.run(4))
        await settled()
        engine.asked[4].set()
        assert await fourth == ("worker", 4)


async def test_one_is_done_here_when_the_workers_have_enough():
    """One that each is at, and the next; what comes when there is room again is theirs."""
    engine = Slow()
    async with Meanwhile(engine, here, NOTHING) as work:
        work.warm_up()
        await settled()
        engine.asked[NOTHING].set()
        await settled()
        away = [asyncio.create_task(work.run(item)) for item in (1, 2)]
        await settled()
        assert await work.run(3) == ("here", 3)
        engine.asked[1].set()
        await settled()
        later = asyncio.create_task(work.run(4))
        await settled()
        for item in (2, 4):
            engine.asked[item].set()
        assert await asyncio.gather(*away, later) == [("worker", 1), ("worker", 2), ("worker", 4)]


async def test_a_worker_that_is_only_coming_is_not_waited_for_at_the_end():
    """A run that ends early has nothing for it."""
    async with asyncio.timeout(5):
        async with Meanwhile(Slow(), here, NOTHING) as work:
            assert [await work.run(item) for item in (1, 2)] == [("here", 1), ("here", 2)]


async def test_what_is_raised_here_is_what_an_engine_raises():
    """An item's own failure, with its place; this program's errors as they are."""
    async with Meanwhile(Slow(), deeds.do, ("square", 2)) as work:
        with pytest.raises(Quarantined, match=r"^ValueError: no 'items' \(deeds\.py, line \d+\)$") as failure:
            await work.run(("raise", "no 'items'"))
        assert "deeds.py" in failure.value.trace
        with pytest.raises(Quarantined, match=r"^record 3 is None$"):
            await work.run(("refuse", "record 3 is None"))
