"""A realm that is watched: what its calls show decides whether, and by how many at once, it is asked."""

import asyncio
import random

from hypothesis import given
from hypothesis import strategies as st

from fetcher.fetch.adaptive import Adaptive
from fetcher.fetch.breaker import PATIENCE_S, PATIENCE_UNPROVEN_S, TRIALS, Breaker, Sign
from fetcher.fetch.health import Health, Hopeless
from fetcher.fetch.limits import Realm
from fetcher.job.sections import Limits
from fetcher.testing.clock import VirtualClock, run_virtual


def watched(concurrency: int, clock) -> tuple[Realm, Health]:
    """A realm without a rate, and what is known of it."""
    health = Health(Breaker(0.5, 60.0, random.Random(1)), Adaptive(concurrency))
    return Realm(Limits(concurrency=concurrency), clock.now, health=health), health


async def call(realm: Realm, sign: Sign, took_s: float = 0.1) -> None:
    """One request, and how it ended."""
    async with realm.start(60.0) as start:
        realm.left(start)
        await asyncio.sleep(took_s)
        if sign is Sign.GOOD:
            realm.answered(start)
        start.sign = sign


@given(st.lists(st.tuples(st.sampled_from(Sign), st.floats(0, 2), st.floats(0, 2)), max_size=40), st.integers(1, 10))
def test_every_start_that_was_begun_is_ended(story, concurrency):
    """Answered, failed or cancelled, at any moment: no slot leaks, for the realm would stand still for good."""
    clock = VirtualClock()

    async def tell():
        realm, health = watched(concurrency, clock)
        async with realm:
            calls = []
            for sign, took_s, pause_s in story:
                calls.append(asyncio.create_task(call(realm, sign, took_s)))
                await asyncio.sleep(pause_s)
                if sign is Sign.NONE:
                    calls[-1].cancel()
            await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 3600)
            assert health.under_way == 0
            await asyncio.wait_for(call(realm, Sign.GOOD), 3600)

    run_virtual(tell(), clock)


def test_a_realm_that_fails_on_is_given_up_and_one_that_comes_back_is_not():
    """Whoever waits for one that never answered hears of it after its patience, not after a working day."""
    clock = VirtualClock()

    async def waited_s(is_proven: bool) -> float:
        realm, _ = watched(1, clock)
        async with realm:
            if is_proven:
                await call(realm, Sign.GOOD)
            began = clock.now()
            try:
                while True:
                    await call(realm, Sign.BAD)
            except Hopeless:
                return clock.now() - began

    for is_proven, patience_s in ((False, PATIENCE_UNPROVEN_S), (True, PATIENCE_S)):
        assert patience_s <= run_virtual(waited_s(is_proven), clock) <= patience_s + 60


def test_a_failing_realm_is_asked_by_one_at_a_time():
    """However many slots it has; and by all of them once it has answered."""
    clock = VirtualClock()
    under_way, most = 0, 0

    async def tell() -> None:
        nonlocal under_way, most
        realm, health = watched(20, clock)

        async def counted(sign: Sign) -> None:
            nonlocal under_way, most
            async with realm.start(60.0) as start:
                under_way += 1
                most = max(most, under_way)
                realm.left(start)
                await asyncio.sleep(0.1)
                if sign is Sign.GOOD:
                    realm.answered(start)
                start.sign = sign
                under_way -= 1

        async with realm:
            await counted(Sign.GOOD)
            await asyncio.gather(*(counted(Sign.BAD) for _ in range(TRIALS)))
            most = 0
            await asyncio.gather(*(counted(Sign.BAD) for _ in range(20)))
            assert most == 1
            await counted(Sign.GOOD)
            await asyncio.gather(*(counted(Sign.GOOD) for _ in range(20)))
            assert most > 1
            assert health.under_way == 0

    run_virtual(tell(), clock)


def test_a_servers_own_word_on_concurrency_caps_the_slots():
    """Never above what the job declares, never below one."""
    health = Health(Breaker(0.5, 60.0, random.Random(1)), Adaptive(8))
    for said, slots in ((100, 8), (3, 3), (0, 1)):
        health.cap(said)
        assert health.adaptive.slots == slots
