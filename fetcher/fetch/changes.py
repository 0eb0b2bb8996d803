"""What is written to a cache's table, many answers a statement.

Each statement lets go of Python's lock, and a thread that let go of it waits for its turn, up to 5 ms.
"""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, groupby

from fetcher.errors import DiskFailed
from fetcher.fetch.columns import COLUMNS
from fetcher.fetch.stored import span_of

Values = tuple[object, ...]

FORGET = "DELETE FROM answers WHERE request_key >= ? AND request_key < ?"
USED = "UPDATE answers SET used_at = ? WHERE id = ?"
AT_ONCE = 64
"""Answers that one statement keeps at most: older versions of SQLite take no more than 999 values."""


@dataclass(slots=True, eq=False)
class Change:
    """An answer to keep, whose `columns` are made when they are wanted; without them, a `target` to forget.

    `size` is of the body, in bytes. Once it is kept, `number` is the answer's.
    """

    columns: Callable[[], Values] | None = None
    target: str = ""
    size: int = 0
    number: int = 0
    made: asyncio.Future[None] | None = None
    _values: Values = ()

    def values(self) -> Values:
        """What the table is to hold; packed by the first who asks."""
        if self.columns and not self._values:
            self._values = self.columns()
        return self._values

    def tell(self, failure: DiskFailed | None) -> None:
        """Tell whoever waits for it, if anybody still does."""
        if self.made is None or self.made.done():
            return
        if failure:
            self.made.set_exception(failure)
        else:
            self.made.set_result(None)


def make(writer: sqlite3.Connection, changes: Sequence[Change]) -> None:
    """Make the changes, in their order, in a transaction that is left open. Raises `sqlite3.Error`."""
    for is_kept, some in groupby(changes, lambda change: change.columns is not None):
        if is_kept:
            answers = list(some)
            for begun in range(0, len(answers), AT_ONCE):
                keep(writer, answers[begun : begun + AT_ONCE])
        else:
            writer.executemany(FORGET, [span_of(change.target) for change in some])


def keep(writer: sqlite3.Connection, few: Sequence[Change]) -> None:
    """Keep these answers; SQLite numbers the rows of a statement one after the other."""
    values = tuple(chain.from_iterable(change.values() for change in few))
    last = writer.execute(statement(len(few)), values).lastrowid or 0
    for number, change in enumerate(few, last - len(few) + 1):
        change.number = number


@cache
def statement(rows: int) -> str:
    """Keeps so many answers, each instead of the one with its key. The connection compiles each of them once."""
    row = f"({', '.join('?' * len(COLUMNS))})"
    return f"INSERT OR REPLACE INTO answers ({', '.join(COLUMNS)}) VALUES {', '.join([row] * rows)}"
