"""Which requests meet a fault. Plain functions; what was counted is passed."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar, cast

from fetcher.testing.faults.spec import Asked

Thing = TypeVar("Thing")
REMEMBERED = 100_000


def is_met(asked: Asked, row: str, nth: int, since_first_s: float) -> bool:
    """Whether the request that is the row's `nth` (from 0) meets the fault.

    `since_first_s` is how long ago the fault was asked for first. The share is decided by the row and the number of its
    request, so that the order in which rows arrive changes nothing.
    """
    after = asked.whole("after")
    begins_s = asked.number("from_s")
    return (
        after <= nth < after + asked.whole("times")
        and begins_s <= since_first_s < begins_s + asked.number("for_s")
        and chance(f"{asked.whole('seed')}|{asked.name}|{row}|{nth}") < asked.number("share")
    )


def chance(text: str) -> float:
    """At least 0, below 1, evenly spread and the same everywhere."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


class Memory:
    """Whatever faults remember, by text; forgets what was touched longest ago when there are too many."""

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        self._things: OrderedDict[tuple[str, str], object] = OrderedDict()

    def recall(self, kind: str, key: str, make: Callable[[], Thing]) -> Thing:
        """What is remembered of that kind under that key; made now if there is nothing. A kind has one type."""
        if (kind, key) not in self._things:
            self._things[kind, key] = make()
        self._things.move_to_end((kind, key))
        while len(self._things) > self._most:
            self._things.popitem(last=False)
        return cast("Thing", self._things[kind, key])

    def __len__(self) -> int:
        return len(self._things)

    def next_number(self, kind: str, key: str) -> int:
        """0, 1, 2, ... for that key."""
        counted = self.recall(kind, key, lambda: [0])
        counted[0] += 1
        return counted[0] - 1
