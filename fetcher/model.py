"""The values that flow through a run: Row -> Request -> Response -> Outcome. None knows where it goes next."""

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

Value = str | int | float | bool | date | datetime | None
"""What a slot of a template can be filled with."""


class Row(NamedTuple):
    """One unit of work: what to ask about. `key` is stable over runs and is what the ledger knows the row by.

    A recent row is asked for again although it is settled: its answer may still change, or may not be there yet. So
    is a window that has grown: `first_day` and `last_day` (ordinals, 0 where the key says it all) are what it asks
    about today.
    """

    key: str
    values: Mapping[str, Value]
    is_recent: bool = False
    first_day: int = 0
    last_day: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One composed HTTP request. An answer is kept, and found again, by the key; `cost` is what the rates count."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    cost: int = 1

    @property
    def key(self) -> str:
        """SHA-256 (hex) over method, URL and headers: what the cache knows the answer by."""
        parts = [self.method, self.url, *(f"{name.lower()}: {value}" for name, value in sorted(self.headers))]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Response:
    """One complete answer; `body` is decoded (no gzip left), `fetched_at` is epoch seconds."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    fetched_at: float
    from_cache: bool = False

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


class RowState(enum.StrEnum):
    """Where a row stands. Every row that was read is in exactly one of these."""

    DONE = "done"
    EMPTY = "empty"
    REFUSED = "refused"
    GAVE_UP = "gave up"
    QUARANTINED = "quarantined"
    DISCARDED = "discarded"
    WAITING = "waiting"


SETTLED = frozenset({RowState.DONE, RowState.EMPTY, RowState.REFUSED, RowState.QUARANTINED, RowState.DISCARDED})
"""States that a plain next run leaves alone."""

FAILED = frozenset({RowState.REFUSED, RowState.GAVE_UP, RowState.QUARANTINED})
"""States that make a run exit 3."""


class Standing(NamedTuple):
    """Where a row stands: its state, and the records that stand for it. A tuple, for there are a million of them.

    Nothing may be sent for it before `not_before`; both times are epoch seconds. `digest` is the SHA-256 over the
    lines of its records, which are `records` in a row from number `first_record` on, and `revision` counts how often
    they changed. `first_day` and `last_day` are what a window was last asked about.
    """

    state: RowState
    not_before: float = 0.0
    records: int = 0
    first_record: int = 0
    digest: bytes = b""
    revision: int = 1
    settled_at: float = 0.0
    first_day: int = 0
    last_day: int = 0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one row ended: the JSONL bytes of its records (each line with its newline) and their number.

    `attempts` counts the requests sent for it in this run; `not_before` (epoch seconds) is set where it has to wait.
    `before` is where the row stood, if an earlier run has settled it; `first_day` and `last_day` are the row's.
    """

    row_key: str
    state: RowState
    reason: str = ""
    lines: bytes = field(default=b"", repr=False)
    records: int = 0
    attempts: int = 0
    not_before: float = 0.0
    before: Standing | None = None
    first_day: int = 0
    last_day: int = 0
