"""The ledger: which rows are settled, and how many bytes of which segment vouch for them.

What lives here: the SQL, and the promise that one call is one transaction. What it must not know: files. WAL with
synchronous=FULL: when `commit` returns, it has survived a power cut. One connection writes (WAL before SQLite 3.51.3
can be corrupted by two); reads by other processes are safe.
"""

import enum
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fetcher.errors import Contradiction, DiskFailed
from fetcher.model import Outcome, RowState

VERSION = 1
SCHEMA = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE rows (
    key TEXT PRIMARY KEY, state TEXT NOT NULL, reason TEXT NOT NULL, attempts INTEGER NOT NULL,
    records INTEGER NOT NULL, not_before REAL NOT NULL, settled_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE segments (
    number INTEGER PRIMARY KEY, state TEXT NOT NULL, length INTEGER NOT NULL, records INTEGER NOT NULL,
    sha256 TEXT NOT NULL, opened_at REAL NOT NULL
);
"""
SAVE_ROW = """
INSERT INTO rows (key, state, reason, attempts, records, not_before, settled_at) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET state = excluded.state, reason = excluded.reason,
    attempts = rows.attempts + excluded.attempts, records = excluded.records, not_before = excluded.not_before,
    settled_at = excluded.settled_at
"""
SAVE_SEGMENT = (
    "INSERT OR REPLACE INTO segments (number, state, length, records, sha256, opened_at) VALUES (?, ?, ?, ?, ?, ?)"
)


class SegmentState(enum.StrEnum):
    """The life of a segment: it grows, it is complete, it is at its final name."""

    OPEN = "open"
    SEALED = "sealed"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of records: the first `length` bytes are vouched for, and `sha256` (hex) is theirs."""

    number: int
    state: SegmentState
    length: int
    records: int
    sha256: str
    opened_at: float


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a row stands after earlier runs. Nothing may be sent for it before `not_before` (epoch seconds)."""

    state: RowState
    not_before: float


class Ledger:
    """One job's ledger: `with Ledger(path) as ledger`. Its methods block; any thread may call, one at a time.

    Raises `Contradiction` for a file that is not a ledger of this program's version, `DiskFailed` when SQLite cannot
    write.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> "Ledger":
        try:
            self._writer = self._connect()
            self._create_or_check()
            self._reader = self._connect()
        except sqlite3.OperationalError as error:
            raise DiskFailed(f"{self._path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise Contradiction(f"{self._path}: not a readable ledger ({error}); restore it from a backup") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self._writer.close()

    def standings(self, keys: Sequence[str]) -> Mapping[str, Standing]:
        """What earlier runs know of these rows; rows never settled are absent. At most a few hundred keys a call."""
        marks = ",".join("?" * len(keys))
        found = self._reader.execute(f"SELECT key, state, not_before FROM rows WHERE key IN ({marks})", keys)
        return {key: Standing(RowState(state), not_before) for key, state, not_before in found}

    def segments(self) -> list[Segment]:
        """Every segment, in order of number."""
        found = self._reader.execute(
            "SELECT number, state, length, records, sha256, opened_at FROM segments ORDER BY number"
        )
        return [Segment(number, SegmentState(state), *rest) for number, state, *rest in found]

    def counts(self) -> Counter[RowState]:
        """Rows by state, over all runs."""
        found = self._reader.execute("SELECT state, COUNT(*) FROM rows GROUP BY state")
        return Counter({RowState(state): count for state, count in found})

    def commit(self, outcomes: Iterable[Outcome], segments: Iterable[Segment], now: float) -> None:
        """Settle rows and vouch for the bytes that hold their records, in one transaction."""
        rows = ((o.row_key, o.state, o.reason, o.attempts, o.records, o.not_before, now) for o in outcomes)
        held = ((s.number, s.state, s.length, s.records, s.sha256, s.opened_at) for s in segments)
        try:
            with self._writer:
                self._writer.executemany(SAVE_ROW, rows)
                self._writer.executemany(SAVE_SEGMENT, held)
        except sqlite3.Error as error:
            raise DiskFailed(f"{self._path}: {error}") from error

    def remembered(self, name: str) -> str | None:
        """A fact kept beside the rows, such as a fingerprint."""
        found = self._reader.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    def remember(self, facts: Mapping[str, str]) -> None:
        """Keep facts, over any kept by the same names before."""
        with self._writer:
            self._writer.executemany("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", facts.items())

    def _connect(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def _create_or_check(self) -> None:
        (version,) = self._writer.execute("PRAGMA user_version").fetchone()
        if version == 0:
            self._writer.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        elif version != VERSION:
            raise Contradiction(
                f"{self._path}: written by version {version} of the ledger, this program knows {VERSION}; "
                "use the newer program"
            )
