"""What lies in a cache, looked at and thrown away: for people, while no run uses it."""

import hashlib
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fetcher.errors import DiskFailed
from fetcher.fetch.cache_file import NotOurs, connected
from fetcher.fetch.stored import VARIANT
from fetcher.model import Response

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LISTED = """
SELECT name_of(request_key), COALESCE(label, ''), status, fetched_at, COALESCE(size, LENGTH(body)) FROM answers
ORDER BY fetched_at DESC, id DESC
"""
SHOWN = """
SELECT name_of(request_key) AS name, COALESCE(label, ''), status, headers, body, fetched_at FROM answers
WHERE name LIKE ? LIMIT 2
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A kept answer as a list shows it: `size` in bytes, packed; `fetched_at` in epoch seconds."""

    key: str
    label: str
    status: int
    fetched_at: float
    size: int


def kept_answers(path: Path) -> Iterator[Kept]:
    """All answers, the newest first."""
    with looking(path) as connection:
        yield from (Kept(*row) for row in connection.execute(LISTED))


def kept_answer(path: Path, key: str) -> tuple[Kept, Response] | None:
    """The one answer whose key begins so; None where there is none, or more than one."""
    if not key.isalnum():
        return None
    with looking(path) as connection:
        found = connection.execute(SHOWN, (f"{key}%",)).fetchall()
    if len(found) != 1:
        return None
    whole, label, status, headers, body, fetched_at = found[0]
    pairs = msgspec.json.decode(headers, type=tuple[tuple[str, str], ...])
    answer = Response(status, pairs, zstd.decompress(body), fetched_at, from_cache=True)
    return Kept(whole, label, status, fetched_at, len(body)), answer


def prune(path: Path, fetched_before: float) -> int:
    """Throw away what was fetched before then (epoch seconds), and give the room back; how many answers that were."""
    with looking(path) as connection:
        with connection:
            gone = connection.execute("DELETE FROM answers WHERE fetched_at < ?", (fetched_before,)).rowcount
        connection.execute("VACUUM")
        return gone


def name_of(key: str) -> str:
    """What people call an answer: the keys of answers to one URL all begin alike."""
    return hashlib.sha256(key.encode()).hexdigest() if VARIANT in key else key


@contextmanager
def looking(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to a cache that is there. Raises `DiskFailed` where it cannot be used; nothing is set aside."""
    try:
        writer, reader = connected(path)
        reader.close()
        with closing(writer):
            writer.create_function("name_of", 1, name_of)
            yield writer
    except (sqlite3.Error, NotOurs, OSError) as error:
        raise DiskFailed(f"{path}: {error}; a run sets it aside and goes on without it") from error
