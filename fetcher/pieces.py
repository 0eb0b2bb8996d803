"""The ledger's account of rows that are answered in several pages: SQL over a connection, within its caller's
transaction.

A pass over a row's pages makes the pieces of one revision, page by page. Until the last page has come they are
pending, and the revision before stands; then the new one takes its place. A page that answers as it did before is a
piece of the new revision too, on the range of records that it has.
"""

import hashlib
import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

SCHEMA = """
ALTER TABLE rows ADD COLUMN position TEXT NOT NULL DEFAULT '';
ALTER TABLE rows ADD COLUMN answers INTEGER NOT NULL DEFAULT 0;
CREATE INDEX rows_halfway ON rows (key) WHERE position != '';
CREATE TABLE pieces (
    row_key TEXT NOT NULL, revision INTEGER NOT NULL, page INTEGER NOT NULL,
    first_record INTEGER NOT NULL, records INTEGER NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (row_key, revision, page, first_record)
) WITHOUT ROWID;
CREATE TABLE record_keys (
    digest BLOB NOT NULL, row_key TEXT NOT NULL, revision INTEGER NOT NULL,
    PRIMARY KEY (digest, row_key, revision)
) WITHOUT ROWID;
CREATE INDEX record_keys_of_row ON record_keys (row_key, revision);
"""

IN_PIECES = -1
"""The first record of a row whose records are in pieces."""

SUPERSEDE = """
INSERT INTO superseded
SELECT DISTINCT first_record, records, ? FROM pieces WHERE row_key = ? AND revision = ? AND records > 0
AND first_record NOT IN (SELECT first_record FROM pieces WHERE row_key = ? AND revision = ? AND records > 0)
"""
PENDING = """
SELECT DISTINCT pieces.first_record, pieces.records FROM pieces JOIN rows ON key = row_key
WHERE pieces.revision > rows.revision AND rows.digest != x'' AND pieces.records > 0 AND NOT EXISTS (
    SELECT 1 FROM pieces AS standing WHERE standing.row_key = key AND standing.revision = rows.revision
    AND standing.first_record = pieces.first_record AND standing.records > 0
)
"""
"""Ranges of revisions that have not come whole, where an earlier one has."""

HELD = "SELECT TOTAL(records) FROM (SELECT DISTINCT first_record, records FROM pieces WHERE records > 0)"
SAVE = "INSERT OR REPLACE INTO pieces VALUES (?, ?, ?, ?, ?, ?)"
OF_PAGE = "SELECT revision, page, first_record, records, digest FROM pieces WHERE row_key = ? AND page = ?"
OF_REVISION = """
SELECT records, digest, first_record FROM pieces WHERE row_key = ? AND revision = ? ORDER BY page, first_record
"""


class Piece(NamedTuple):
    """The records of one page of a row, `records` in a row from `first_record` on; `digest` is that of its lines."""

    revision: int
    page: int
    first_record: int
    records: int
    digest: bytes


class Holder(NamedTuple):
    """Which row holds a record of some key, in which of its revisions."""

    row_key: str
    revision: int


def of_page(reader: sqlite3.Connection, row_key: str, page: int) -> list[Piece]:
    """What is known of one page of a row, over its revisions."""
    return [Piece(*found) for found in reader.execute(OF_PAGE, (row_key, page))]


def holders(reader: sqlite3.Connection, digests: Sequence[bytes]) -> dict[bytes, list[Holder]]:
    """Who holds records of these keys (16 bytes each); keys of nobody are absent. At most a few hundred a call."""
    query = f"SELECT digest, row_key, revision FROM record_keys WHERE digest IN ({','.join('?' * len(digests))})"
    found: dict[bytes, list[Holder]] = {}
    for digest, *holder in reader.execute(query, digests):
        found.setdefault(digest, []).append(Holder(*holder))
    return found


def hold(writer: sqlite3.Connection, row_key: str, revision: int, digests: Sequence[bytes]) -> None:
    """A revision of a row holds records of these keys."""
    keys = ((digest, row_key, revision) for digest in digests)
    writer.executemany("INSERT OR IGNORE INTO record_keys VALUES (?, ?, ?)", keys)


def release(writer: sqlite3.Connection, row_key: str, revision: int) -> None:
    """That revision of a row holds no records any more."""
    writer.execute("DELETE FROM record_keys WHERE row_key = ? AND revision = ?", (row_key, revision))


def save(writer: sqlite3.Connection, row_key: str, piece: Piece) -> None:
    """One more page of a row."""
    writer.execute(SAVE, (row_key, *piece))


def drop(writer: sqlite3.Connection, row_key: str, revision: int) -> None:
    """A pass begins anew: what an earlier one of this revision brought home is superseded at once."""
    _supersede(writer, row_key, revision, revision - 1, by_record=-1)


def complete(writer: sqlite3.Connection, row_key: str, revision: int) -> None:
    """The last page has come: this revision stands, unless it is the one before over again, which then goes on
    standing. The row's state is the caller's."""
    pieces = writer.execute(OF_REVISION, (row_key, revision)).fetchall()
    digest = hashlib.sha256(b"".join(piece[1] for piece in pieces)).digest()
    (before,) = writer.execute("SELECT digest FROM rows WHERE key = ?", (row_key,)).fetchone()
    if before == digest:
        _supersede(writer, row_key, revision, revision - 1, by_record=-1)
        return
    records = sum(piece[0] for piece in pieces)
    last_record = max((first + count for count, _, first in pieces), default=0) - 1
    _supersede(writer, row_key, revision - 1, revision, by_record=last_record)
    writer.execute(
        "UPDATE rows SET records = ?, first_record = ?, digest = ?, revision = ? WHERE key = ?",
        (records, IN_PIECES, digest, revision, row_key),
    )


def _supersede(writer: sqlite3.Connection, row_key: str, revision: int, by_revision: int, *, by_record: int) -> None:
    """The first revision is nothing any more, but for the ranges that the other one has as well."""
    writer.execute(SUPERSEDE, (by_record, row_key, revision, row_key, by_revision))
    writer.execute("DELETE FROM pieces WHERE row_key = ? AND revision = ?", (row_key, revision))
    release(writer, row_key, revision)
