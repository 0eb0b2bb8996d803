"""Making room in a cache that may grow no further: what was used longest ago goes first, and nothing that is needed.

A row that is not settled needs its answer: it may have been paid for, and the run that got it killed before a commit.
"""

import logging
import sqlite3
from collections.abc import Callable, Sequence

from fetcher.fetch.threads import to_its_end

logger = logging.getLogger("fetcher")

Needed = Callable[[Sequence[str]], set[str]]
"""Which of these row keys belong to rows that are not settled."""

HELD = "SELECT TOTAL(COALESCE(size, LENGTH(body))) FROM answers"
OLDEST = """
SELECT id, COALESCE(row_key, ''), COALESCE(size, LENGTH(body)) FROM answers
ORDER BY COALESCE(used_at, fetched_at), id LIMIT ? OFFSET ?
"""
INDEX = "CREATE INDEX IF NOT EXISTS answers_by_use ON answers (COALESCE(used_at, fetched_at), id)"
DROP = "DELETE FROM answers WHERE id = ?"
AT_ONCE = 500
SPARE = 0.9
"""Down to this share of the limit, so that not every answer makes room for itself."""


def nothing_is_needed(_: Sequence[str]) -> set[str]:
    """For a cache without rows."""
    return set()


class Room:
    """How much a cache holds, of the most that it may hold; None is no limit. Bodies count as they are, packed."""

    def __init__(self, most: int | None, needed: Needed) -> None:
        self._most = most
        self._needed = needed
        self._held: float | None = None
        self._is_full_of_needed = False

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit at all."""
        return self._most is not None

    @property
    def is_wanted(self) -> bool:
        """Whether something has to go."""
        return self._most is not None and (self._held is None or self._held > self._most)

    def add(self, size: int) -> None:
        """Count so many bytes more."""
        if self._held is not None:
            self._held += size

    async def make(self, writer: sqlite3.Connection) -> None:
        """Drop the answers that were used longest ago, until there is some room to spare. Raises `sqlite3.Error`."""
        assert self._most is not None
        now_held, cancelled = await to_its_end(held, writer)
        goal, skipped = (SPARE * self._most if now_held > self._most else now_held), 0
        while now_held > goal and cancelled is None:
            rows, cancelled = await to_its_end(oldest, writer, skipped)
            needed = self._needed([key for _, key, _ in rows if key])
            dropped = within([(number, size) for number, key, size in rows if key not in needed], now_held - goal)
            _, cancelled = await to_its_end(drop, writer, [number for number, _ in dropped])
            now_held -= sum(size for _, size in dropped)
            skipped += len(rows) - len(dropped)
            if len(rows) < AT_ONCE:
                break
        self._held = now_held
        self._tell_if_full()
        if cancelled:
            raise cancelled

    def _tell_if_full(self) -> None:
        is_full, was_full = self.is_wanted, self._is_full_of_needed
        self._is_full_of_needed = is_full
        if is_full and not was_full:
            logger.warning("the cache holds more than fetch.cache.max_size: rows that are not done need all of it")


def held(writer: sqlite3.Connection) -> float:
    """Bytes of all bodies together; and an index by use, which a cache without a limit has no need of."""
    writer.execute(INDEX)
    return float(writer.execute(HELD).fetchone()[0])


def oldest(connection: sqlite3.Connection, skipped: int) -> list[tuple[int, str, int]]:
    """(number, row key, bytes) of those that were used longest ago, after the first few."""
    return connection.execute(OLDEST, (AT_ONCE, skipped)).fetchall()


def within(rows: Sequence[tuple[int, int]], excess: float) -> list[tuple[int, int]]:
    """As many of the rows (number, bytes), in their order, as it takes to free so much."""
    taken: list[tuple[int, int]] = []
    for number, size in rows:
        if excess <= 0:
            break
        taken.append((number, size))
        excess -= size
    return taken


def drop(writer: sqlite3.Connection, numbers: Sequence[int]) -> None:
    """Delete these answers."""
    with writer:
        writer.executemany(DROP, ((number,) for number in numbers))
