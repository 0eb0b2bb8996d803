"""The ledger's account of records beside the plain case of a row answered at once with records of one table: SQL over a
connection, within its caller's transaction.

A pass over a row's pages makes the pieces of one revision, page by page. Until the last page has come they are
pending, and the revision before stands; then the new one takes its place. A page that answers as it did before is a
piece of the new revision too, on the range of records that it has.

What a row has in a table beside the main one is a part of its own: numbers, revisions and pieces are those of its
table, and where it stands is in `side_rows`. State, reason, attempts and position are the row's alone, in `rows`.
"""

import hashlib
import sqlite3
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from fetcher.model import CAME, MAIN, RowState, Standing

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

TABLES = """
CREATE TABLE side_rows (
    row_key TEXT NOT NULL, table_name TEXT NOT NULL, records INTEGER NOT NULL, first_record INTEGER NOT NULL,
    digest BLOB NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (row_key, table_name)
) WITHOUT ROWID;
ALTER TABLE record_keys ADD COLUMN table_name TEXT NOT NULL DEFAULT 'records';
ALTER TABLE pieces RENAME TO pieces_before;
CREATE TABLE pieces (
    row_key TEXT NOT NULL, table_name TEXT NOT NULL, revision INTEGER NOT NULL, page INTEGER NOT NULL,
    first_record INTEGER NOT NULL, records INTEGER NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (row_key, table_name, revision, page, first_record)
) WITHOUT ROWID;
INSERT INTO pieces SELECT row_key, 'records', revision, page, first_record, records, digest FROM pieces_before;
DROP TABLE pieces_before;
ALTER TABLE superseded RENAME TO superseded_before;
CREATE TABLE superseded (
    table_name TEXT NOT NULL, first_record INTEGER NOT NULL, records INTEGER NOT NULL, by_record INTEGER NOT NULL,
    PRIMARY KEY (table_name, first_record)
) WITHOUT ROWID;
INSERT INTO superseded SELECT 'records', first_record, records, by_record FROM superseded_before;
DROP TABLE superseded_before;
ALTER TABLE segments RENAME TO segments_before;
CREATE TABLE segments (
    number INTEGER NOT NULL, state TEXT NOT NULL, packing TEXT NOT NULL, length INTEGER NOT NULL,
    records INTEGER NOT NULL, sha256 TEXT NOT NULL, opened_at REAL NOT NULL, table_name TEXT NOT NULL,
    PRIMARY KEY (table_name, number)
);
INSERT INTO segments SELECT number, state, packing, length, records, sha256, opened_at, 'records' FROM segments_before;
DROP TABLE segments_before;
"""
"""What came with tables beside the main one; all that was there before is the main one's."""

IN_PIECES = -1
"""The first record of a row whose records are in pieces."""

SUPERSEDE = """
INSERT INTO superseded
SELECT DISTINCT table_name, first_record, records, ? FROM pieces
WHERE row_key = ? AND table_name = ? AND revision = ? AND records > 0 AND first_record NOT IN (
    SELECT first_record FROM pieces WHERE row_key = ? AND table_name = ? AND revision = ? AND records > 0
)
"""
MAIN_PARTS = "SELECT key AS row_key, 'records' AS table_name, first_record, records, digest, revision FROM rows"
SIDE_PARTS = "SELECT row_key, table_name, first_record, records, digest, revision FROM side_rows"
PENDING = """
SELECT DISTINCT pieces.first_record, pieces.records
FROM pieces JOIN ({parts}) AS parts ON parts.row_key = pieces.row_key AND parts.table_name = pieces.table_name
WHERE pieces.table_name = :table AND pieces.revision > parts.revision AND parts.digest != x'' AND pieces.records > 0
AND NOT EXISTS (
    SELECT 1 FROM pieces AS standing WHERE standing.row_key = parts.row_key AND standing.table_name = :table
    AND standing.revision = parts.revision AND standing.first_record = pieces.first_record AND standing.records > 0
)
"""
"""Ranges of revisions that have not come whole, where an earlier one has."""

SUPERSEDED = """
SELECT first_record, records FROM superseded WHERE table_name = :table AND by_record < :before
UNION {pending} ORDER BY 1
"""
VOUCHED = """
SELECT (SELECT TOTAL(records) FROM ({parts}) WHERE table_name = :table AND first_record >= 0)
+ (SELECT TOTAL(records) FROM superseded WHERE table_name = :table)
+ (SELECT TOTAL(records) FROM (
    SELECT DISTINCT first_record, records FROM pieces WHERE table_name = :table AND records > 0
))
"""
SAVE = "INSERT OR REPLACE INTO pieces VALUES (?, ?, ?, ?, ?, ?, ?)"
SAVE_SIDE = "INSERT OR REPLACE INTO side_rows VALUES (?, ?, ?, ?, ?, ?)"
SIDES = "SELECT table_name, records, first_record, digest, revision FROM side_rows WHERE row_key = ?"
REACHED = f"""
WITH lately AS (
    SELECT key FROM rows WHERE settled_at >= ? AND state IN ({", ".join(f"'{state}'" for state in sorted(CAME))})
),
parts AS (
    SELECT 'records' AS table_name, key, first_record, records FROM rows WHERE first_record >= 0
    UNION ALL SELECT table_name, row_key, first_record, records FROM side_rows WHERE first_record >= 0
    UNION ALL SELECT table_name, row_key, first_record, records FROM pieces
)
SELECT table_name, MAX(first_record + records) FROM parts JOIN lately USING (key) WHERE records > 0 GROUP BY table_name
"""
OF_PAGE = """
SELECT revision, page, first_record, records, digest FROM pieces WHERE row_key = ? AND table_name = ? AND page = ?
"""
OF_REVISION = """
SELECT records, digest, first_record FROM pieces WHERE row_key = ? AND table_name = ? AND revision = ?
ORDER BY page, first_record
"""


class Part(NamedTuple):
    """What a row has in one table."""

    row_key: str
    table: str = MAIN


class Piece(NamedTuple):
    """The records of one page of a row, `records` in a row from `first_record` on; `digest` is that of its lines."""

    revision: int
    page: int
    first_record: int
    records: int
    digest: bytes


class Holder(NamedTuple):
    """Which row holds a record of some key, in which of its revisions; the key says of which table it is."""

    row_key: str
    revision: int
    table: str = MAIN


def parts_of(table: str) -> str:
    """A query for where rows stand in a table."""
    return MAIN_PARTS if table == MAIN else SIDE_PARTS


def of_page(reader: sqlite3.Connection, part: Part, page: int) -> list[Piece]:
    """What is known of one page of a row in a table, over its revisions."""
    return [Piece(*found) for found in reader.execute(OF_PAGE, (*part, page))]


def pages_a_row(reader: sqlite3.Connection) -> float:
    """How many pages rows have had on an average; 1 where none has come in pages."""
    query = "SELECT COUNT(*), COUNT(DISTINCT row_key) FROM pieces WHERE table_name = ?"
    pages, rows = reader.execute(query, (MAIN,)).fetchone()
    return pages / rows if rows else 1.0


def knows(reader: sqlite3.Connection, table: str) -> bool:
    """Whether it is the main table, or one that any row was ever asked about."""
    query = "SELECT EXISTS (SELECT 1 FROM side_rows WHERE table_name = ?)"
    return table == MAIN or bool(reader.execute(query, (table,)).fetchone()[0])


def sides(reader: sqlite3.Connection, row_key: str, state: RowState) -> Mapping[str, Standing]:
    """Where a row of that state stands in the tables beside the main one, as far as it has ever had part in them."""
    found = reader.execute(SIDES, (row_key,))
    return {table: Standing(state, 0.0, *held) for table, *held in found}


def superseded(reader: sqlite3.Connection, table: str, before: int) -> list[tuple[int, int]]:
    """Ranges of a table's records, (first, how many) in order, that count no more once those `before` are there."""
    query = SUPERSEDED.format(pending=PENDING.format(parts=parts_of(table)))
    return reader.execute(query, {"table": table, "before": before}).fetchall()


def reached(reader: sqlite3.Connection, since: float) -> dict[str, int]:
    """By table, the number behind the last record of the rows whose answers came since then (epoch seconds). What else
    was settled stands by records that are older, wherever they are."""
    return dict(reader.execute(REACHED, (since,)).fetchall())


def taking_hold(revision: Standing) -> int:
    """The record that has to be published before an older revision may be left out: the last of the new one, or,
    where it has none, the last of those before it."""
    return revision.first_record + revision.records - 1


def vouched(reader: sqlite3.Connection, table: str) -> int:
    """How many records of a table rows stand for, those of older revisions included."""
    return int(reader.execute(VOUCHED.format(parts=parts_of(table)), {"table": table}).fetchone()[0])


def holders(reader: sqlite3.Connection, digests: Sequence[bytes]) -> dict[bytes, list[Holder]]:
    """Who holds records of these keys (16 bytes each); keys of nobody are absent. At most a few hundred a call."""
    marks = ",".join("?" * len(digests))
    query = f"SELECT digest, row_key, revision, table_name FROM record_keys WHERE digest IN ({marks})"
    found: dict[bytes, list[Holder]] = {}
    for digest, *holder in reader.execute(query, digests):
        found.setdefault(digest, []).append(Holder(*holder))
    return found


def hold(writer: sqlite3.Connection, part: Part, revision: int, digests: Sequence[bytes]) -> None:
    """A revision of a row holds records of these keys."""
    keys = ((digest, part.row_key, revision, part.table) for digest in digests)
    writer.executemany("INSERT OR IGNORE INTO record_keys VALUES (?, ?, ?, ?)", keys)


def release(writer: sqlite3.Connection, part: Part, revision: int) -> None:
    """That revision of a row holds no records any more."""
    writer.execute("DELETE FROM record_keys WHERE row_key = ? AND table_name = ? AND revision = ?", (*part, revision))


def save(writer: sqlite3.Connection, part: Part, piece: Piece) -> None:
    """One more page of a row."""
    writer.execute(SAVE, (*part, *piece))


def save_side(writer: sqlite3.Connection, part: Part, standing: Standing) -> None:
    """Where a row stands in a table beside the main one."""
    held = (standing.records, standing.first_record, standing.digest, standing.revision)
    writer.execute(SAVE_SIDE, (*part, *held))


def drop(writer: sqlite3.Connection, part: Part, revision: int) -> None:
    """A pass begins anew: what an earlier one of this revision brought home is superseded at once."""
    _supersede(writer, part, revision, revision - 1, by_record=-1)


def complete(writer: sqlite3.Connection, part: Part, revision: int) -> None:
    """The last page has come: this revision stands, unless it is the one before over again, in the same place, which
    then goes on standing. The row's state is the caller's."""
    pieces = writer.execute(OF_REVISION, (*part, revision)).fetchall()
    digest = hashlib.sha256(b"".join(piece[1] for piece in pieces)).digest()
    query = f"SELECT digest FROM ({parts_of(part.table)}) WHERE row_key = ? AND table_name = ?"
    (before,) = writer.execute(query, part).fetchone()
    if before == digest and held(writer, part, revision) == held(writer, part, revision - 1):
        _supersede(writer, part, revision, revision - 1, by_record=-1)
        return
    records = sum(piece[0] for piece in pieces)
    last_record = max((first + count for count, _, first in pieces), default=0) - 1
    _supersede(writer, part, revision - 1, revision, by_record=last_record)
    if part.table == MAIN:
        change = "UPDATE rows SET records = ?, first_record = ?, digest = ?, revision = ? WHERE key = ?"
        writer.execute(change, (records, IN_PIECES, digest, revision, part.row_key))
    else:
        writer.execute(SAVE_SIDE, (*part, records, IN_PIECES, digest, revision))


def held(reader: sqlite3.Connection, part: Part, revision: int) -> set[int]:
    """Where the records of a revision's pages begin."""
    return {first for records, _, first in reader.execute(OF_REVISION, (*part, revision)) if records}


def _supersede(writer: sqlite3.Connection, part: Part, revision: int, by_revision: int, *, by_record: int) -> None:
    """The first revision is nothing any more, but for the ranges that the other one has as well."""
    writer.execute(SUPERSEDE, (by_record, *part, revision, *part, by_revision))
    writer.execute("DELETE FROM pieces WHERE row_key = ? AND table_name = ? AND revision = ?", (*part, revision))
    release(writer, part, revision)
