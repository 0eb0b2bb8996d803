"""How long one request may take over all its attempts and the waits between them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fetcher.errors import GaveUp


@dataclass(slots=True)
class Deadline:
    """So many seconds from the first attempt's permitted start on, for ever where `most_s` is None.

    Waiting for that first start is not the request's fault. `now` gives monotonic seconds.
    """

    most_s: float | None = None
    now: Callable[[], float] = time.monotonic
    _ends: float = float("inf")

    def begin(self) -> None:
        """An attempt may start now; the first one counts."""
        if self.most_s is not None and self._ends == float("inf"):
            self._ends = self.now() + self.most_s

    def left_s(self) -> float:
        """Seconds that are left, never negative."""
        return max(0.0, self._ends - self.now())


@asynccontextmanager
async def turn_within(left_s: float, turns: set[asyncio.Timeout]) -> AsyncIterator[None]:
    """Get a turn in the block within what is left of a deadline, or until whoever holds `turns` ends them.

    Raises `GaveUp`: the next run asks again.
    """
    try:
        async with asyncio.timeout(left_s if left_s < float("inf") else None) as turn:
            turns.add(turn)
            try:
                yield
            finally:
                turns.discard(turn)
    except TimeoutError as error:
        late = GaveUp("no turn came for another attempt before fetch.retries.deadline")
        late.is_early = True
        raise late from error
