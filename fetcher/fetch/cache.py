"""Answers, kept in one SQLite file so that nothing is asked for twice.

One writer at a time and many puts in one transaction: a put of its own costs a commit of its own. Reads go straight
from the loop (measured: 7 to 26 microseconds; a hop to a thread costs more). Bodies are zstd. What is kept has
survived a power cut (synchronous=FULL): an answer may have been paid for.
"""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from fetcher.errors import DiskFailed
from fetcher.fetch.absent import Absent
from fetcher.fetch.cache_file import is_damage, opened, others_wrote, set_aside
from fetcher.fetch.changes import USED, Change, make
from fetcher.fetch.columns import ABOUT, PAIRS, UNREADABLE, about_of, columns, unpacked
from fetcher.fetch.recent import OVERHEAD, Recent
from fetcher.fetch.room import Needed, Room, nothing_is_needed
from fetcher.fetch.stored import Plain, Stored, span_of
from fetcher.model import Response

logger = logging.getLogger("fetcher")

FIND = "SELECT id, status, headers, body, fetched_at FROM answers WHERE request_key = ? AND fetched_at BETWEEN ? AND ?"
VARIANTS = "SELECT id, status, headers, fetched_at, about FROM answers WHERE request_key >= ? AND request_key < ?"
BODY = "SELECT body FROM answers WHERE id = ?"
ANY = "SELECT 1 FROM answers LIMIT 1"
LOOP_BYTES = 256_000
"""What is put in the loop: in a thread each statement would wait for its turn, up to 5 ms. Only the sync is long."""

TURNS = 2
"""Of the loop, for which a transaction waits for further puts: answers that have come together are kept together."""

BUSY_MS = 5000
"""So long another process may hold the file."""

MOST_USED = 100_000
"""Uses that are noted until something is written; what is used beyond them may be dropped a little early."""


class Label(NamedTuple):
    """What an answer is called before people (no secret in it), and the row that needs it until it is settled."""

    text: str = ""
    row_key: str = ""


NO_LABEL = Label()


class Cache:
    """`async with Cache(path)`: answers by request key, or several by what they are answers to.

    With `max_bytes`, those that were used longest ago make room, but none of a row that `needed` names. Raises
    `DiskFailed` when the disk fails or is full; a file that is damaged or another's is set aside.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int | None = None,
        needed: Needed = nothing_is_needed,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._room = Room(max_bytes, needed)
        self._now = now
        self._pending: list[Change] = []
        self._writing: asyncio.Task[None] | None = None
        self._used: dict[int, float] = {}
        self._damage = ""
        self._absent: Absent | None = None
        self._others_wrote = 0
        self._found: Recent[Plain] = Recent()
        self._variants: Recent[list[Stored]] = Recent()
        self._bodies: Recent[bytes] = Recent()

    async def __aenter__(self) -> "Cache":
        self._open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writing:  # whoever made these changes was stopped; they hold all the same
            await self._writing
        if self._used:
            await asyncio.to_thread(self._write, ())
        self._close()

    def find(self, key: str, not_before: float, not_after: float = float("inf")) -> Response | None:
        """The kept answer to that request, if it was fetched between the two (epoch seconds), both included."""
        if (recent := self._found.get(key)) is not None:
            number, status, pairs, content, fetched_at = recent
            self._note_use(number)
            if not not_before <= fetched_at <= not_after:
                return None
            return Response(status, pairs, content, fetched_at, from_cache=True)
        if self._is_absent(key):
            return None
        for number, status, headers, body, fetched_at in self._read(FIND, key, not_before, not_after):
            try:
                pairs = PAIRS.decode(headers)
                content = unpacked(body)
            except UNREADABLE as error:
                self._tell_unreadable(error)
                return None
            self._note_use(number)
            self._found.put(key, (number, status, pairs, content, fetched_at), len(content))
            return Response(status, pairs, content, fetched_at, from_cache=True)
        return None

    def variants(self, target: str) -> Sequence[Stored]:
        """All kept answers to a target; bodies that are not held yet are left out, and `whole` brings them."""
        if (recent := self._variants.get(target)) is not None:
            return recent
        if self._is_absent(target):
            return ()
        found = []
        for number, status, headers, fetched_at, about in self._read(VARIANTS, *span_of(target)):
            try:
                response = Response(status, PAIRS.decode(headers), b"", fetched_at, from_cache=True)
                told = ABOUT.decode(about)
            except UNREADABLE as error:
                self._tell_unreadable(error)
                continue
            found.append(Stored(response, told.asked_at, told.identity, told.selecting, number, has_body=False))
        self._variants.put(target, found, OVERHEAD * len(found))
        return found

    def whole(self, stored: Stored) -> Stored | None:
        """The same answer with its body; None where it is gone or damaged."""
        if stored.has_body:
            self._note_use(stored.number)
            return stored
        if (content := self._bodies.get(stored.body_key)) is not None:
            self._note_use(stored.number)
            return stored.with_body(content)
        for (body,) in self._read(BODY, stored.number):
            try:
                content = unpacked(body)
            except UNREADABLE as error:
                self._tell_unreadable(error)
                return None
            self._note_use(stored.number)
            self._bodies.put(stored.body_key, content, len(content))
            return stored.with_body(content)
        return None

    async def put(self, key: str, response: Response, label: Label = NO_LABEL) -> None:
        """Keep an answer. Returns when it would survive a power cut."""
        told = (label.text, label.row_key, self._now())
        self._note_presence(key)
        self._found.drop(key)
        change = Change(lambda: columns(key, response, None, told), size=len(response.body))
        await self._begun(change)
        kept = (change.number, response.status, response.headers, response.body, response.fetched_at)
        self._found.put(key, kept, len(response.body))

    async def put_variant(self, target: str, stored: Stored, label: Label = NO_LABEL) -> None:
        """Keep an answer beside others to the same target; it replaces that to the same variant, and has a number."""
        key, answer, told = stored.key(target), stored.response, (label.text, label.row_key, self._now())
        if self._note_presence(target):
            self._variants.put(target, [], 0)
        about = about_of(stored)
        change = Change(lambda: columns(key, answer, about, told), size=len(answer.body))
        try:
            await self._begun(change)
        except BaseException:
            self._variants.drop(target)
            raise
        # What is held may have been read before or after the change was made: either way this variant is in it once.
        stored.number = change.number
        self._bodies.drop(stored.body_key)
        if (held := self._variants.get(target)) is not None:
            several = [other for other in held if other.key(target) != key]
            size = sum([OVERHEAD + len(other.response.body) for other in several]) + len(answer.body)
            self._variants.put(target, [*several, stored], size)

    async def forget(self, target: str) -> None:
        """Drop all kept answers to a target."""
        try:
            await self._begun(Change(target=target))
        finally:
            self._variants.drop(target)

    def _begun(self, change: Change) -> asyncio.Future[None]:
        """Done once the change has been made, and would survive a power cut."""
        made = change.made = asyncio.get_running_loop().create_future()
        self._pending.append(change)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_pending())
        return made

    async def _write_pending(self) -> None:
        """Write what is pending, and what comes meanwhile, in as few transactions as it takes."""
        while self._pending:
            for _ in range(TURNS):
                await asyncio.sleep(0)
            batch, self._pending = self._pending, []
            failure: DiskFailed | None = None
            try:
                await self._put_down(batch)
            except DiskFailed as error:
                failure = error
            for change in batch:
                change.tell(failure)

    async def _put_down(self, batch: Sequence[Change]) -> None:
        """Make the changes, and wait until they would survive a power cut."""
        for _ in range(2):
            if self._damage:
                self._begin_anew()
            size = sum([change.size for change in batch])
            is_small = size <= LOOP_BYTES
            failure = self._insert(batch) if is_small else None
            if not is_small or failure:
                failure = await asyncio.to_thread(self._write, batch)
            else:
                failure = await asyncio.get_running_loop().run_in_executor(None, self._commit)
            if not self._damage:
                break
        if failure:
            raise self._failed(failure) from failure
        self._room.add(size)
        if self._room.is_wanted:
            await self._make_room()

    async def _make_room(self) -> None:
        try:
            await self._room.make(self._writer)
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            self._forget_recent()

    def _write(self, batch: Sequence[Change]) -> sqlite3.Error | None:
        """All of it, in a thread, which may wait for another process."""
        self._writer.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        failure = self._insert(batch) or self._commit()
        self._writer.execute("PRAGMA busy_timeout = 0")
        return failure

    def _insert(self, batch: Sequence[Change]) -> sqlite3.Error | None:
        """Make the changes in a transaction that is left open; where one fails, none is made."""
        used, self._used = self._used, {}
        try:
            if self._absent and others_wrote(self._writer) != self._others_wrote:
                self._absent = None
            make(self._writer, batch)
            if used:
                self._writer.executemany(USED, [(at, number) for number, at in used.items()])
        except sqlite3.Error as error:
            self._used = used
            return self._undone(error)
        return None

    def _commit(self) -> sqlite3.Error | None:
        try:
            self._writer.commit()
        except sqlite3.Error as error:
            return self._undone(error)
        return None

    def _undone(self, error: sqlite3.Error) -> sqlite3.Error:
        with suppress(sqlite3.Error):
            self._writer.rollback()
        self._damage = str(error) if is_damage(error) else ""
        return error

    def _read(self, query: str, *wanted: object) -> list[tuple[Any, ...]]:
        try:
            return [] if self._damage else self._reader.execute(query, wanted).fetchall()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise self._failed(error) from error
            logger.warning("%s is damaged (%s): nothing in it is used any more", self._path, error)
            self._damage = str(error)
            return []

    def _tell_unreadable(self, error: Exception) -> None:
        logger.warning("%s: a kept answer cannot be read (%s): it is asked for again", self._path, error)

    def _is_absent(self, key: str) -> bool:
        """Whether it is certain that nothing is kept under that key or target."""
        absent = self._absent  # a thread may give it up meanwhile
        return absent is not None and key in absent

    def _note_presence(self, key: str) -> bool:
        """Whether it was certain until now that nothing is kept under that key or target."""
        absent = self._absent
        return absent is not None and absent.note(key)

    def _note_use(self, number: int) -> None:
        if self._room.is_limited and len(self._used) < MOST_USED:
            self._used[number] = self._now()

    def _open(self) -> None:
        try:
            self._writer, self._reader = opened(self._path)
            self._others_wrote = others_wrote(self._writer)
        except (sqlite3.Error, OSError) as error:
            raise self._failed(error) from error
        self._absent = None if self._read(ANY) else Absent()

    def _close(self) -> None:
        self._reader.close()
        self._writer.close()

    def _begin_anew(self) -> None:
        """Give up the file that is damaged; only what writes does this, while no thread is at work."""
        self._close()
        try:
            set_aside(self._path, self._damage)
        except OSError as error:
            raise self._failed(error) from error
        self._open()
        self._absent = None  # what is being kept was noted in the one before
        self._damage, self._used = "", {}
        self._forget_recent()

    def _forget_recent(self) -> None:
        for recent in (self._found, self._variants, self._bodies):
            recent.clear()

    def _failed(self, error: Exception) -> DiskFailed:
        return DiskFailed(f"{self._path}: {error}")


def kept_among(path: Path, keys: Sequence[str], not_before: float) -> int:
    """How many of these requests have an answer in the cache at `path` that is not too old. Changes nothing there."""
    if not path.is_file():
        return 0
    query = f"SELECT COUNT(*) FROM answers WHERE request_key IN ({','.join('?' * len(keys))}) AND fetched_at >= ?"
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as reader:
            return int(reader.execute(query, (*keys, not_before)).fetchone()[0])
    except sqlite3.Error as error:
        if is_damage(error):
            return 0
        raise DiskFailed(f"{path}: {error}") from error
