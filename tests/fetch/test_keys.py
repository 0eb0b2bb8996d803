"""Several keys: taken in turn, each a realm of its own."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from fetcher.fetch.keys import Key, Keys
from fetcher.fetch.limits import Realm, TooLong
from fetcher.job.sections import Limits
from fetcher.testing.clock import VirtualClock, run_virtual


def keys_of(count, clock, **limits):
    realms = [Realm(Limits(**limits), clock) for _ in range(count)]
    return Keys([Key(realm) for realm in realms], clock)


def virtually(story):
    clock = VirtualClock()
    return run_virtual(story(clock.now), clock)


def test_callers_are_spread_over_the_keys():
    """Whoever comes takes the one with the fewest callers, also of those that wait."""

    async def story(clock):
        keys, taken = keys_of(3, clock, concurrency=2), []
        async with AsyncExitStack() as stack:
            for _ in range(6):
                key, _ = await stack.enter_async_context(keys.start(10.0, 1))
                taken.append(keys.all.index(key))
            assert [key.callers for key in keys.all] == [2, 2, 2]
        assert [key.callers for key in keys.all] == [0, 0, 0]
        return taken

    assert virtually(story) == [0, 1, 2, 0, 1, 2]


def test_two_keys_send_twice_as_many():
    """Each has the limits for itself."""

    async def story(clock):
        keys, made = keys_of(2, clock, rate=["10/10 s"], headroom=0, smooth=False), []

        async def one():
            async with keys.start(100.0, 1) as (key, start):
                key.realm.left(start)
                made.append((clock(), keys.all.index(key)))
                key.realm.answered(start)

        began = clock()
        await asyncio.gather(*(one() for _ in range(40)))
        return [(at - began, number) for at, number in made]

    made = virtually(story)
    for number in (0, 1):
        times = [at for at, key in made if key == number]
        assert len(times) == 20
        assert sum(at < 10.0 for at in times) == 10
    assert max(at for at, _ in made) < 11.0


def test_a_key_that_is_closed_does_not_stop_the_others():
    """Nor do those that wait for it when it closes."""

    async def story(clock):
        keys, taken = keys_of(2, clock, concurrency=4), []
        keys.all[0].realm.cool_down(clock() + 3600)
        for _ in range(4):
            async with keys.start(120.0, 1) as (key, _):
                taken.append(keys.all.index(key))
        return taken, keys.all[0].callers

    assert virtually(story) == ([1, 1, 1, 1], 0)


def test_where_all_are_closed_the_first_to_open_says_when():
    async def story(clock):
        keys = keys_of(2, clock)
        keys.all[0].realm.cool_down(clock() + 3600)
        keys.all[1].realm.cool_down(clock() + 600)
        with pytest.raises(TooLong) as caught:
            async with keys.start(120.0, 1):
                raise AssertionError
        return caught.value.wait_s, [key.callers for key in keys.all]

    assert virtually(story) == (600.0, [0, 0])


def test_a_key_that_opens_again_is_taken_again():
    async def story(clock):
        keys = keys_of(2, clock)
        keys.all[0].realm.cool_down(clock() + 600)
        async with keys.start(120.0, 1) as (first, _):
            await asyncio.sleep(600)
            async with keys.start(120.0, 1) as (second, _):
                return keys.all.index(first), keys.all.index(second)

    assert virtually(story) == (1, 0)


def test_whoever_is_cancelled_leaves_its_place():
    async def story(clock):
        keys = keys_of(1, clock, concurrency=1)

        async def one():
            async with keys.start(120.0, 1):
                await asyncio.sleep(1e6)

        running = [asyncio.create_task(one()) for _ in range(3)]
        await asyncio.sleep(1)
        assert keys.all[0].callers == 3
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        return keys.all[0].callers

    assert virtually(story) == 0
