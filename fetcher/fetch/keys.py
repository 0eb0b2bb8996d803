"""Several keys take turns. Each is a realm of its own: one that is used up, or cools down, does not stop the others."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from fetcher.fetch.auth import Placed
from fetcher.fetch.limits import Realm, TooLong
from fetcher.fetch.tokens import Tokens
from fetcher.fetch.windows import Start


@dataclass(slots=True, eq=False)
class Key:
    """One credential and the realm that it asks in. `callers` wait for a start there, or have one."""

    realm: Realm
    fixed: Placed | None = None
    tokens: Tokens | None = None
    callers: int = 0
    closed_until: float = field(default=float("-inf"))

    @property
    def shown(self) -> Placed | None:
        """What shows the credential at this moment."""
        return self.tokens.shown if self.tokens else self.fixed


class Keys:
    """All keys of a job, one at least. `clock` gives monotonic seconds."""

    def __init__(self, keys: Sequence[Key], clock: Callable[[], float] = time.monotonic) -> None:
        self.all = tuple(keys)
        self._clock = clock

    async def prepared(self) -> None:
        """Return when those that are tokens are there: asking for one needs a start of its own."""
        for key in self.all:
            if key.tokens:
                await key.tokens.prepared()

    @asynccontextmanager
    async def start(self, max_wait_s: float, cost: int) -> AsyncIterator[tuple[Key, Start]]:
        """A start with the key that has the fewest callers, of those that are not closed.

        Raises `TooLong`, of the key that opens first, where all are closed for longer than `max_wait_s`.
        """
        async with AsyncExitStack() as stack:
            key, start = await self._entered(stack, max_wait_s, cost)
            yield key, start

    async def _entered(self, stack: AsyncExitStack, max_wait_s: float, cost: int) -> tuple[Key, Start]:
        refusals: list[TooLong] = []
        for key in sorted(self.all, key=lambda key: (key.closed_until > self._clock(), key.callers)):
            key.callers += 1
            try:
                start = await stack.enter_async_context(key.realm.start(max_wait_s, cost))
            except TooLong as refusal:
                key.callers -= 1
                key.closed_until = self._clock() + (float("inf") if refusal.wait_s is None else refusal.wait_s)
                refusals.append(refusal)
                continue
            except BaseException:
                key.callers -= 1
                raise
            stack.callback(self._left, key)
            return key, start
        raise min(refusals, key=lambda refusal: float("inf") if refusal.wait_s is None else refusal.wait_s)

    def _left(self, key: Key) -> None:
        key.callers -= 1
