"""Waiting for a moment more exactly than the loop does, which rounds its timers up to a millisecond: a fifth of the
spacing at 200 a second. A timer is set for a little earlier, and the rest is waited for in turns of the loop."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

EARLY_S = 0.0005


async def news_within(news: asyncio.Event, wait_s: float, clock: Callable[[], float]) -> None:
    """Wait for so many seconds at most, or until there is news; may return a little earlier, so look again."""
    if wait_s < 2 * EARLY_S:
        began = clock()
        await asyncio.sleep(0)
        if clock() > began:  # one that stands still waits for a timer
            return
    else:
        wait_s -= EARLY_S
    news.clear()
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_s if wait_s < float("inf") else None):
            await news.wait()
