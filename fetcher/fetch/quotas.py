"""What is shared by all jobs of a user and outlives every run: waits that servers asked for, and counts.

One SQLite file. Several processes write it, and WAL before SQLite 3.51.3 can be corrupted then, so its journal is a
rollback journal; every change is one transaction that survives a power cut. That takes milliseconds: call from a
thread.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fetcher.errors import Contradiction, DiskFailed

VERSION = 1
TABLES = """
CREATE TABLE waits (
    realm TEXT NOT NULL, name TEXT NOT NULL, told_at REAL NOT NULL, until REAL NOT NULL, PRIMARY KEY (realm, name)
) WITHOUT ROWID;
CREATE TABLE counts (name TEXT PRIMARY KEY, used INTEGER NOT NULL, ends REAL) WITHOUT ROWID;
"""
LOCK_TIMEOUT_S = 30.0
KEPT_S = 40 * 86400.0
"""Counts of days that are over are kept for so long: a clock that was set forward may come back."""

LONGEST_WAIT_S = 3660 * 86400.0
SAVE_WAIT = """
INSERT INTO waits VALUES (?, ?, ?, ?) ON CONFLICT (realm, name) DO UPDATE
SET told_at = excluded.told_at, until = excluded.until
"""
LONGER_ONLY = " WHERE excluded.until > waits.until OR waits.told_at > excluded.told_at"
RESERVE = """
INSERT INTO counts VALUES (?, ?, ?) ON CONFLICT (name) DO UPDATE SET used = used + excluded.used
"""


@dataclass(frozen=True, slots=True)
class Account:
    """Something of which there is so much: `name` is whose and what, `ends` the epoch second after which it is over."""

    name: str
    limit: int
    ends: float | None = None


class Quotas:
    """The file of waits and counts. Its methods block; any thread may call.

    Raises `DiskFailed` where it cannot be written and `Contradiction` where it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep_wait(self, realm: str, name: str, now: float, until: float) -> None:
        """A server has asked, at `now`, for no request before `until` (both epoch seconds).

        The newest word by a name rules; without a name the longest does, unless a clock that was ahead has told it.
        """
        with self._transaction() as writer:
            writer.execute(SAVE_WAIT + ("" if name else LONGER_ONLY), (realm, name, now, until))

    def begun(self, realm: str, now: float) -> float:
        """A run begins: the epoch second before which it may send nothing there. Drops what is long over.

        A wait that was told later than now was told by a clock that was ahead: it begins anew.
        """
        anew = "UPDATE waits SET until = ? + until - told_at, told_at = ? WHERE told_at > ?"
        with self._transaction() as writer:
            writer.execute(anew, (now, now, now))
            writer.execute("DELETE FROM waits WHERE until < ?", (now - KEPT_S,))
            writer.execute("DELETE FROM counts WHERE ends < ?", (now - KEPT_S,))
            query = "SELECT MAX(MIN(until, told_at + ?)) FROM waits WHERE realm = ?"
            (until,) = writer.execute(query, (LONGEST_WAIT_S, realm)).fetchone()
        return float("-inf") if until is None else float(until)

    def reserve(self, account: Account, least: int, most: int) -> int:
        """Take as much as there is, up to `most`; nothing where there is less than `least`. Never over the limit."""
        with self._transaction() as writer:
            found = writer.execute("SELECT used FROM counts WHERE name = ?", (account.name,)).fetchone()
            granted = min(most, account.limit - (found[0] if found else 0))
            if granted < least:
                return 0
            writer.execute(RESERVE, (account.name, granted, account.ends))
        return granted

    def give_back(self, account: Account, amount: int) -> None:
        """What was reserved and not used is there for others."""
        with self._transaction() as writer:
            writer.execute("UPDATE counts SET used = MAX(0, used - ?) WHERE name = ?", (amount, account.name))

    def read(self, realm: str, names: Sequence[str]) -> tuple[float, dict[str, int]]:
        """The epoch second before which a server allows nothing there (0 for none), and what is used of these accounts.
        Changes nothing."""
        if not self._path.is_file():
            return 0.0, {}
        waits = "SELECT TOTAL(until) FROM (SELECT MAX(until) AS until FROM waits WHERE realm = ?)"
        counts = f"SELECT name, used FROM counts WHERE name IN ({','.join('?' * len(names))})"
        try:
            address = f"{self._path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(address, uri=True, timeout=LOCK_TIMEOUT_S)) as reader:
                (until,) = reader.execute(waits, (realm,)).fetchone()
                return float(until), dict(reader.execute(counts, names).fetchall())
        except sqlite3.DatabaseError as error:
            raise Contradiction(f"{self._path}: not a readable file of quotas ({error})") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.touch(mode=0o600)
            with closing(sqlite3.connect(self._path, timeout=LOCK_TIMEOUT_S, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode=DELETE")
                connection.execute("PRAGMA synchronous=FULL")
                connection.execute("BEGIN IMMEDIATE")
                self._migrate(connection)
                yield connection
                connection.execute("COMMIT")
        except (sqlite3.OperationalError, OSError) as error:
            raise DiskFailed(f"{self._path}: {error}") from error
        except sqlite3.DatabaseError as error:
            raise Contradiction(
                f"{self._path}: not a readable file of quotas ({error}); without it, what was sent today is not known; "
                "remove it if you know"
            ) from error

    def _migrate(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise Contradiction(f"{self._path}: written by a newer program; use that")
        if version == 0:
            for statement in TABLES.split(";")[:-1]:
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")
