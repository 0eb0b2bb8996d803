"""What was read from a cache lately, held in memory: a hit that has to be unpacked costs twice as much."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

Value = TypeVar("Value")

MOST_BYTES = 8_000_000
LARGEST = 100_000
OVERHEAD = 500
"""Bytes that an entry takes besides its body, about."""


class Recent(Generic[Value]):
    """Values by key; those that were used longest ago make room. Bodies that are large are not held."""

    def __init__(self) -> None:
        self._held: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()
        self._bytes = 0

    def get(self, key: Hashable) -> Value | None:
        """What is held under the key."""
        found = self._held.get(key)
        if found is None:
            return None
        self._held.move_to_end(key)
        return found[0]

    def put(self, key: Hashable, value: Value, size: int) -> None:
        """Hold a value whose body has so many bytes, in place of what was held; nothing where they are too many."""
        if key in self._held:
            self.drop(key)
        if size > LARGEST:
            return
        self._held[key] = (value, size + OVERHEAD)
        self._bytes += size + OVERHEAD
        while self._bytes > MOST_BYTES:
            _, (_, gone) = self._held.popitem(last=False)
            self._bytes -= gone

    def drop(self, key: Hashable) -> None:
        """Hold nothing under the key any more."""
        if (found := self._held.pop(key, None)) is not None:
            self._bytes -= found[1]

    def clear(self) -> None:
        """Hold nothing at all."""
        self._held.clear()
        self._bytes = 0
