"""The realm: one thin shell around the windows, that waits.

A start is held back by what `windows` says; here is only who waits for it, in which order, and for how long.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from fetcher.fetch.windows import Start, WindowSettings, pace


class LimitSettings(WindowSettings, Protocol):
    """The part of a job that says how fast, and how much at once."""

    @property
    def concurrency(self) -> int: ...


class Realm:
    """What a limit is about: an origin and a credential. Starts leave in the order in which they were asked for."""

    def __init__(self, limits: LimitSettings, clock: Callable[[], float]) -> None:
        self.pace = pace(limits)
        self._clock = clock
        self._slots = asyncio.BoundedSemaphore(limits.concurrency)
        self._turn = asyncio.Lock()
        self._news = asyncio.Event()

    @asynccontextmanager
    async def start(self, max_wait_s: float) -> AsyncIterator[Start]:
        """Hold a slot from the permitted moment of one start to the end of the block, which tells of the answer.

        The slot is taken before the rate: the other order lets starts pile up behind a full house and leave at once.
        Raises `TooLong` when the realm is cooling down for longer than `max_wait_s`; the caller parks its row.
        """
        async with self._slots:
            async with self._turn:
                await self._permission(max_wait_s)
                start = self.pace.commit(self._clock())
            try:
                yield start
            finally:
                self.pace.ended(start, self._clock())
                self._news.set()

    def left(self, start: Start) -> None:
        """The request of that start goes out at this moment, over a connection that is open."""
        self.pace.left(start, self._clock())
        self._news.set()

    def answered(self, start: Start) -> None:
        """The first byte of the answer to that start is here; whoever waits may have to wait for less."""
        self.pace.answered(start, self._clock())
        self._news.set()

    async def _permission(self, max_wait_s: float) -> None:
        while (wait_s := self.pace.ready_at() - (now := self._clock())) > 0:
            if self.pace.cool_until - now > max_wait_s:
                raise TooLong(self.pace.cool_until - now)
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s if wait_s < float("inf") else None):
                    await self._news.wait()


class TooLong(Exception):
    """The realm is cooling down for `wait_s` more seconds."""

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__(f"the server asked for a wait of {wait_s:.0f} s")
