"""The file that answers are kept in: opened, brought up to date, and set aside where it is no cache of ours.

A cache can always be filled again, so damage to it ends nothing: the file is renamed, and an empty one takes its place.
A full or failing disk is another matter, and is raised.
"""

import logging
import sqlite3
from pathlib import Path
from typing import Any

from fetcher.fetch.columns import ABOUT, PAIRS, UNREADABLE
from fetcher.fetch.stored import VARIANT, Stored
from fetcher.model import Response

logger = logging.getLogger("fetcher")

APPLICATION = 0x66746368
VERSION = 3
SET_ASIDE = ".set-aside"
FIRST_COLUMNS = ("id", "request_key", "status", "headers", "body", "fetched_at")
SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    id INTEGER PRIMARY KEY,
    request_key TEXT NOT NULL UNIQUE,
    status INTEGER NOT NULL,
    headers BLOB NOT NULL,
    body BLOB NOT NULL,
    fetched_at REAL NOT NULL
)
"""
LATER_COLUMNS = ("about BLOB", "label TEXT", "row_key TEXT", "used_at REAL", "size INTEGER")
"""What selects an answer among those to its URL; for people, and for making room."""

FROM_SECOND = """
UPDATE OR REPLACE answers SET request_key = variant_key(request_key, target, about, status, headers)
WHERE target IS NOT NULL;
DROP INDEX answers_by_target;
"""
"""Its column and its index for what answers to a URL are found by took as long as all the rest."""

LONGEST_UPDATE_MS = 600_000
"""So long another process may take to bring a large file up to date."""

DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class NotOurs(Exception):
    """The file is a database, and not one of kept answers that this version can read."""


def opened(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """A connection that writes and one that reads; an empty cache where there was none that could be used.

    Raises `sqlite3.Error` or `OSError` where the disk fails.
    """
    try:
        return connected(path)
    except NotOurs as error:
        set_aside(path, str(error))
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        set_aside(path, str(error))
    return connected(path)


def connected(path: Path) -> tuple[sqlite3.Connection, sqlite3.Connection]:
    """The two connections; raises `NotOurs` where the file holds something else."""
    # Not left to the umask and the file's past; SQLite gives the files beside it the same mode.
    path.touch(mode=0o600)
    path.chmod(0o600)
    writer, reader = (sqlite3.connect(path, timeout=5.0, check_same_thread=False) for _ in range(2))
    try:
        check_is_ours(writer)  # before anything is changed in it
        for connection in (writer, reader):
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")  # a commit survives a power cut: it may have been paid for
        bring_up_to_date(writer)
        writer.execute("PRAGMA busy_timeout = 0")  # it may be used in the loop, where nothing waits
    except (sqlite3.Error, NotOurs):
        writer.close()
        reader.close()
        raise
    return writer, reader


def others_wrote(writer: sqlite3.Connection) -> int:
    """A number that changes when another process has written to the file."""
    return int(writer.execute("PRAGMA data_version").fetchone()[0])


def bring_up_to_date(writer: sqlite3.Connection) -> None:
    """Make the table, or bring that of an earlier version up to date; kept answers stay."""
    if version_of(writer) == VERSION:
        return
    writer.execute(f"PRAGMA busy_timeout = {LONGEST_UPDATE_MS}")
    writer.create_function("variant_key", 5, variant_key)
    writer.execute("BEGIN IMMEDIATE")
    with writer:
        if version_of(writer) == VERSION:  # another process was quicker
            return
        writer.execute(SCHEMA)
        columns = columns_of(writer)
        for column in LATER_COLUMNS:
            if column.partition(" ")[0] not in columns:
                writer.execute(f"ALTER TABLE answers ADD COLUMN {column}")
        if "target" in columns:
            for statement in FROM_SECOND.split(";"):
                writer.execute(statement)
        writer.execute(f"PRAGMA application_id = {APPLICATION}")
        writer.execute(f"PRAGMA user_version = {VERSION}")


def variant_key(key: str, target: str, about: bytes, *answer: Any) -> str:
    """The key that an answer of the second version has now."""
    status, headers = answer
    try:
        told = ABOUT.decode(about)
        stored = Stored(Response(status, PAIRS.decode(headers), b"", 0.0), told.asked_at, told.identity, told.selecting)
    except UNREADABLE:
        return target + VARIANT + key
    return stored.key(target)


def check_is_ours(writer: sqlite3.Connection) -> None:
    """Raise `NotOurs` where the file belongs to another program, or to a later version of this one."""
    application = int(writer.execute("PRAGMA application_id").fetchone()[0])
    if application not in (0, APPLICATION):
        raise NotOurs("it belongs to another program")
    if version_of(writer) > VERSION:
        raise NotOurs("it was written by a later version")
    tables = {str(name) for (name,) in writer.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if tables and (tables != {"answers"} or not set(FIRST_COLUMNS) <= set(columns_of(writer))):
        raise NotOurs("it belongs to another program")


def version_of(connection: sqlite3.Connection) -> int:
    """Which version of the table the file has; 0 for the first one, and for an empty file."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def columns_of(connection: sqlite3.Connection) -> list[str]:
    """The names of the table's columns."""
    return [str(row[1]) for row in connection.execute("PRAGMA table_info(answers)")]


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file itself is broken, as opposed to the disk under it."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in DAMAGE


def set_aside(path: Path, reason: str) -> None:
    """Rename the file, and what SQLite keeps beside it; one that was set aside before makes room."""
    aside = path.with_name(path.name + SET_ASIDE)
    logger.warning("%s cannot be used (%s): set aside as %s, answers are asked for again", path, reason, aside.name)
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    path.replace(aside)
