"""Waiting for news, or for a moment more exact than a timer."""

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.fetch.waking import EARLY_S, news_within
from fetcher.testing.clock import VirtualClock, run_virtual


@given(st.floats(0, 1e6))
def test_no_wait_is_longer_than_asked_for_and_what_is_left_gets_small(wait_s):
    """Whoever looks again after each wait is there in three looks, and never late."""
    clock = VirtualClock()

    async def story() -> int:
        looks = 0
        while (left_s := wait_s - clock.now()) > 0:
            await news_within(asyncio.Event(), left_s, clock.now)
            looks += 1
        return looks

    assert run_virtual(story(), clock) <= 3
    assert clock.now() == pytest.approx(wait_s, abs=1e-9)


@pytest.mark.parametrize("wait_s", [EARLY_S, 3600.0, float("inf")])
def test_news_end_a_wait(wait_s):
    """At once, though it would have been for ever."""
    clock = VirtualClock()

    async def story() -> None:
        news = asyncio.Event()
        asyncio.get_running_loop().call_soon(lambda: asyncio.get_running_loop().call_soon(news.set))
        await news_within(news, wait_s, clock.now)

    run_virtual(story(), clock)
    assert clock.now() == 0.0


def test_the_last_moment_is_waited_for_in_turns_of_the_loop():
    """By a clock that goes on: no timer is set, which would be rounded up to a millisecond."""
    clock, ticks = VirtualClock(), itertools.count()
    run_virtual(news_within(asyncio.Event(), EARLY_S, lambda: float(next(ticks))), clock)
    assert clock.now() == 0.0
