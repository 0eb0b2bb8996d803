"""The values that flow through a run: Row -> Request -> Response -> Outcome. None knows where it goes next."""

import enum
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

Value = str | int | float | bool | date | datetime | list[object] | dict[str, object] | None
"""What a slot of a template can be filled with. Lists and tables come from JSON, and read as JSON within text."""


def is_true(found: object) -> bool:
    """Whether a condition in JMESPath holds that found this: null, false and what is empty are false; 0 is not."""
    return found is not None and found is not False and found not in ("", [], {})


class Row(NamedTuple):
    """One unit of work: what to ask about. `key` is stable over runs and is what the ledger knows the row by.

    A recent row is asked for again although it is settled: its answer may still change, or may not be there yet. So
    is a window that has grown: `first_day` and `last_day` (ordinals, 0 where the key says it all) are what it asks
    about today. A line of a table that has a key of its own may change under it: then `first_day` is -1, and
    `last_day` a digest of all it holds. A row with a `fault` could not be read. Of a row that is a line of a table,
    `line` says which: the file's name and the number.
    """

    key: str
    values: Mapping[str, Value]
    is_recent: bool = False
    first_day: int = 0
    last_day: int = 0
    fault: str = ""
    line: tuple[str, int] | None = None


IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


@dataclass(frozen=True, slots=True)
class Request:
    """One composed HTTP request. An answer is kept, and found again, by the key; `cost` is what the rates count.

    `page` is 0 but where pages have the same URL and differ all the same. The `idempotency_key` tells the server a
    repetition from a second request; it is sent as a header and asks about nothing. The `credential` is whose the
    request is, as a hash; what shows it is added when the request is sent.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)
    page: int = 0
    idempotency_key: str = ""
    cost: int = 1
    credential: str = ""

    @property
    def key(self) -> str:
        """SHA-256 (hex) over method, URL, headers, body and page: what the cache knows the answer by."""
        parts = [self.method, self.url, *(f"{name.lower()}: {value}" for name, value in sorted(self.headers))]
        if self.page:
            parts.append(f"page {self.page}")
        if self.credential:
            parts.append(f"credential {self.credential}")
        digest = hashlib.sha256("\n".join(parts).encode())
        if self.body:
            digest.update(b"\n\n" + self.body)
        return digest.hexdigest()

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None) if self.headers else None

    @property
    def is_repeatable(self) -> bool:
        """Whether sending it twice does no more than sending it once (RFC 9110 section 9.2.2, or by its key)."""
        return self.method in IDEMPOTENT or bool(self.idempotency_key)


@dataclass(frozen=True, slots=True)
class Response:
    """One complete answer from `url`; `body` is decoded (no gzip left), `fetched_at` is epoch seconds."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    fetched_at: float
    from_cache: bool = False
    url: str = ""

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)


Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What an answer says about its pages: `next` cursor or URL, whether there are `more`, the `total` of items and of
    `pages`, and how many `items` and `records` this page has. None where it says nothing."""

    next: Scalar = None
    more: Scalar = None
    total: Scalar = None
    pages: Scalar = None
    items: int = 0
    records: int = 0


MAIN = "records"
"""The main table. Those beside it have names of the job's own, and never this one."""


class TableLines(NamedTuple):
    """Records of one answer for a table beside the main one: JSONL, how many, and 16 bytes a record where it has a
    key."""

    table: str
    lines: bytes
    records: int
    record_keys: bytes = b""


class RowState(enum.StrEnum):
    """Where a row stands. Every row that was read is in exactly one of these."""

    DONE = "done"
    EMPTY = "empty"
    REFUSED = "refused"
    GAVE_UP = "gave up"
    QUARANTINED = "quarantined"
    UNKNOWN = "unknown"
    DISCARDED = "discarded"
    WAITING = "waiting"


CAME = frozenset({RowState.DONE, RowState.EMPTY})
"""States of rows whose answer came and could be read."""

SETTLED = frozenset({RowState.DONE, RowState.EMPTY, RowState.REFUSED, RowState.QUARANTINED, RowState.DISCARDED})
"""States that a plain next run leaves alone."""

FAILED = frozenset({RowState.REFUSED, RowState.GAVE_UP, RowState.QUARANTINED, RowState.UNKNOWN})
"""States that make a run exit 3."""


class Standing(NamedTuple):
    """Where a row stands: its state, and the records that stand for it. A tuple, for there are a million of them.

    Nothing may be sent for it before `not_before`; both times are epoch seconds. `digest` is the SHA-256 over the
    lines of its records, which are `records` in a row from number `first_record` on, and `revision` counts how often
    they changed. `first_day` and `last_day` are what a window was last asked about. A `position` says that some of
    its pages came, and where the next one begins. `answers` counts how often it was answered to its end.
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
    position: str = ""
    answers: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A row that failed, as `failures.jsonl` lists it. `settled_at` is in epoch seconds."""

    key: str
    state: RowState
    reason: str
    attempts: int
    settled_at: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one row ended, or one of its pages: its records as JSONL (each line with its newline), and how many.

    `attempts` counts the requests sent for it in this run; `not_before` (epoch seconds) is set where it has to wait.
    `before` is where the row stood, if an earlier run has settled it; `first_day` and `last_day` are the row's.

    A row that is answered in one piece has `page` 0. Others come page by page, from 1 on, the last one in the state
    that the row ends in; those before it, and an outcome that says only what is about to be sent, are no `is_end`.
    `position` is where the row goes on. `begins_anew` drops what an earlier pass over its pages brought home.
    `record_keys` are 16 bytes a record, where the job has a key; `tables` are the records of other tables that the same
    answer holds. `is_answered` where the server has said all it has. `takes_back` where the records that an earlier run
    brought home stand no more, whatever the state.
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
    page: int = 0
    position: str = ""
    begins_anew: bool = False
    is_end: bool = True
    is_answered: bool = False
    record_keys: bytes = field(default=b"", repr=False)
    tables: tuple[TableLines, ...] = field(default=(), repr=False)
    takes_back: bool = False

    @property
    def is_news(self) -> bool:
        """Whether its records are the row's, or the page's, from now on: those of an answer that came, or none."""
        return self.state in CAME or self.page > 0 or self.takes_back

    @property
    def size(self) -> int:
        """How many bytes are to be written for it."""
        return len(self.lines) + sum(len(table.lines) for table in self.tables)


@dataclass(frozen=True, slots=True)
class DoneRows:
    """How rows ended that no run has settled before, and that are done alike: each with one record, without a key.

    `lines` are their records as JSONL, in the order of `keys`; `digests` are 32 bytes a row, the SHA-256 of its
    line. `days` are the first and the last days of all of them, left out where there are none.
    """

    keys: Sequence[str]
    lines: bytes = field(repr=False)
    digests: bytes = field(repr=False)
    days: tuple[Sequence[int], Sequence[int]] | tuple[()] = ()

    @property
    def size(self) -> int:
        """How many bytes are to be written for them."""
        return len(self.lines)


class SegmentState(enum.StrEnum):
    """The life of a segment: it grows, it is complete, it is at its final name."""

    OPEN = "open"
    SEALED = "sealed"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of a table's records: the first `length` bytes are vouched for, and `sha256` (hex) is theirs.

    Each table numbers its own. `packing` is how lines become bytes: none, gzip or zstd.
    """

    number: int
    state: SegmentState
    packing: str
    length: int
    records: int
    sha256: str
    opened_at: float
    table: str = MAIN
