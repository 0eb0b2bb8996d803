"""Work in this process while no worker has come, by when a small table is done, and while all of them have enough."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Generic

from fetcher.engines.engine import Engine
from fetcher.engines.tracebacks import described, trace_of
from fetcher.engines.worker import Item, Result
from fetcher.errors import FetcherError, Quarantined

ENOUGH = 2
"""One that a worker is at, and the next."""


class Meanwhile(Generic[Item, Result]):
    """`async with Meanwhile(engine, function, nothing)`; then `await run(item)` from any number of tasks.

    An item is done by `function` in a thread, one at a time, until a worker of `engine` has done `nothing`, an item
    that is no work; it is sent for when the second item comes. So is one now and then while each worker has two. For
    what harms nobody and is done in a moment.
    """

    def __init__(self, engine: Engine[Item, Result], function: Callable[[Item], Result], nothing: Item) -> None:
        self._engine, self._function, self._nothing = engine, function, nothing
        self.workers, self.scales, self.printed = engine.workers, engine.scales, engine.printed
        self._here = asyncio.Lock()
        self._away = 0
        self._is_begun = False
        self._coming: asyncio.Task[Result] | None = None

    @property
    def busy_s(self) -> float:
        """The processor time that the work took beside this process."""
        return self._engine.busy_s

    @property
    def _has_come(self) -> bool:
        return bool(self._coming and self._coming.done())

    async def __aenter__(self) -> "Meanwhile[Item, Result]":
        await self._engine.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._coming:
            self._coming.cancel()
            await asyncio.gather(self._coming, return_exceptions=True)
        await self._engine.__aexit__(kind, error, trace)

    def warm_up(self) -> None:
        """Send for a worker now."""
        self._coming = self._coming or asyncio.create_task(self._engine.run(self._nothing))

    async def run(self, item: Item) -> Result:
        """The function's result. Raises what an `Engine` raises."""
        if self._is_begun:
            self.warm_up()
        self._is_begun = True
        if not self._has_come or (self._away >= ENOUGH * self.workers and not self._here.locked()):
            async with self._here:
                if not self._has_come or self._away >= ENOUGH * self.workers:
                    return await asyncio.to_thread(self._done, item)
        self._away += 1
        try:
            return await self._engine.run(item)
        finally:
            self._away -= 1

    def _done(self, item: Item) -> Result:
        try:
            return self._function(item)
        except FetcherError:
            raise
        except Exception as error:
            raise Quarantined(described(error), trace_of(error)) from error
