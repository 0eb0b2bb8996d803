"""The ledger: which rows are settled, and how many bytes of which segment vouch for them.

What lives here: the SQL, and the promise that one call is one transaction. What it must not know: files. WAL with
synchronous=FULL: when `commit` returns, it has survived a power cut. One connection writes (WAL before SQLite 3.51.3
can be corrupted by two); reads by other processes are safe.

Records of a table are numbered from 0 in the order of writing, over all its segments. A row's records are `records` in
a row from `first_record` on, or lie in `pieces`, page by page; when a later revision takes their place, the range goes
to `superseded`.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from fetcher import pieces, wholesale
from fetcher.errors import Busy, Contradiction, DiskFailed
from fetcher.model import FAILED, MAIN, Failure, RowState, Segment, SegmentState, Standing
from fetcher.pieces import Holder, Part, Piece
from fetcher.wholesale import CONFLICT, INTO, SettledRows

MIGRATIONS = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE rows (
        key TEXT PRIMARY KEY, state TEXT NOT NULL, reason TEXT NOT NULL, attempts INTEGER NOT NULL,
        records INTEGER NOT NULL, first_record INTEGER NOT NULL, digest BLOB NOT NULL, revision INTEGER NOT NULL,
        not_before REAL NOT NULL, settled_at REAL NOT NULL, first_day INTEGER NOT NULL, last_day INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX rows_open ON rows (state, reason) WHERE state NOT IN ('done', 'empty');
    CREATE TABLE superseded (
        first_record INTEGER PRIMARY KEY, records INTEGER NOT NULL, by_record INTEGER NOT NULL
    );
    CREATE TABLE segments (
        number INTEGER PRIMARY KEY, state TEXT NOT NULL, packing TEXT NOT NULL, length INTEGER NOT NULL,
        records INTEGER NOT NULL, sha256 TEXT NOT NULL, opened_at REAL NOT NULL
    );
    """,
    pieces.SCHEMA,
    pieces.TABLES,
)
"""Statement by statement, from an empty file to the present version, which is their number."""

PAGE_BYTES, WIDE_PAGE_BYTES = 4096, 16_384
"""A commit writes each page that it touches; where it settles rows by ten thousands that is all of them, and wide ones
cost a fifth less."""

SAVE_ROW = f"{INTO} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) {CONFLICT}"
STATES = {str(state): state for state in RowState}
HAS_FAILED = "state IN ({})".format(",".join(f"'{state}'" for state in sorted(FAILED)))
SAVE_SEGMENT = "INSERT OR REPLACE INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
STANDINGS = """
SELECT key, state, not_before, records, first_record, digest, revision, settled_at, first_day, last_day,
    position, answers
FROM rows WHERE key IN ({marks})
"""


@dataclass(frozen=True, slots=True)
class Settled:
    """One row as a commit saves it, or what it has in a `table` beside the main one.

    `attempts` is added to those of earlier runs; `superseded` frees an older range.
    With a `piece` it is one page that came; `begins_anew` drops what an earlier pass left of that revision, and
    `is_whole` says that it was the last. `record_keys` (16 bytes each) are those of the records that it brought.
    """

    key: str
    standing: Standing
    reason: str
    attempts: int
    superseded: tuple[int, int] | None = None
    piece: Piece | None = None
    begins_anew: bool = False
    is_whole: bool = False
    record_keys: Sequence[bytes] = ()
    table: str = MAIN

    @property
    def revision(self) -> int:
        """Which revision the records belong to that it brought."""
        return self.piece.revision if self.piece else self.standing.revision


class LedgerView:
    """A ledger that is only read, beside a run or without one: `with LedgerView(path) as ledger`.

    All that is read is of one moment, also while a run goes on; any thread may call, one at a time. Raises
    `Contradiction` for a file that is damaged or no ledger of this program's version, and at the end `Busy` where a run
    has begun meanwhile, so that what was read may be torn.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        # A connection of any other kind would leave a journal behind where there was none; this one takes no lock.
        self._is_alone = not self._journal.exists()
        mode = "immutable=1" if self._is_alone else "mode=ro"
        with ExitStack() as opened:
            try:
                address = f"{self._path.absolute().as_uri()}?{mode}"
                self._reader = opened.enter_context(
                    closing(sqlite3.connect(address, uri=True, check_same_thread=False))
                )
                self._reader.execute("BEGIN")
                self._check_version(self._reader, least=len(MIGRATIONS))
            except sqlite3.DatabaseError as error:
                raise self._unreadable(error) from error
            opened.pop_all()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._reader.close()
        if not isinstance(error, sqlite3.DatabaseError | None):
            return
        if self._is_alone and self._journal.exists():
            raise Busy(f"a run began while {self._path} was read; do it again") from error
        if error:
            raise self._unreadable(error) from error

    def standings(self, keys: Sequence[str]) -> Mapping[str, Standing]:
        """What earlier runs know of these rows; rows never settled are absent. At most a few hundred keys a call."""
        found = self._reader.execute(STANDINGS.format(marks=",".join("?" * len(keys))), keys)
        return {key: Standing(STATES[state], *rest) for key, state, *rest in found}

    def is_new(self) -> bool:
        """Whether no row was ever settled."""
        return not self._reader.execute("SELECT EXISTS (SELECT 1 FROM rows)").fetchone()[0]

    def segments(self) -> list[Segment]:
        """Every segment, table by table in order of number."""
        found = self._reader.execute("SELECT * FROM segments ORDER BY table_name, number")
        return [Segment(number, SegmentState(state), *rest) for number, state, *rest in found]

    def superseded(self, before: int, table: str = MAIN) -> list[tuple[int, int]]:
        """Ranges of records, (first, how many) in order, that a revision replaced which begins before that record, or
        that belong to a revision that has not come whole."""
        return pieces.superseded(self._reader, table, before)

    def vouched_records(self, table: str = MAIN) -> int:
        """How many records of a table the rows stand for, those of older revisions included."""
        return pieces.vouched(self._reader, table)

    def knows(self, table: str) -> bool:
        """Whether it is the main table, or one that any row was ever asked about."""
        return pieces.knows(self._reader, table)

    def pieces(self, row_key: str, page: int, table: str = MAIN) -> list[Piece]:
        """What is known of one page of a row in a table, over its revisions."""
        return pieces.of_page(self._reader, Part(row_key, table), page)

    def sides(self, row_key: str, state: RowState) -> Mapping[str, Standing]:
        """Where a row of that state stands in tables beside the main one, as far as it has ever had part in them."""
        return pieces.sides(self._reader, row_key, state)

    def holders(self, record_keys: Sequence[bytes]) -> Mapping[bytes, list[Holder]]:
        """Who holds records of these keys; keys of nobody are absent. At most a few hundred keys a call."""
        return pieces.holders(self._reader, record_keys)

    def newest(self) -> float:
        """When the row that was settled last was settled (epoch seconds)."""
        return float(self._reader.execute("SELECT COALESCE(MAX(settled_at), 0.0) FROM rows").fetchone()[0])

    def reached(self, since: float) -> dict[str, int]:
        """By table, the number behind the last record of the rows whose answers came since then (epoch seconds)."""
        return pieces.reached(self._reader, since)

    def halfway(self) -> int:
        """How many rows have pages that came and pages that did not."""
        return int(self._reader.execute("SELECT COUNT(*) FROM rows WHERE position != ''").fetchone()[0])

    def pages_a_row(self) -> float:
        """How many pages rows have had on an average; 1 where none has come in pages."""
        return pieces.pages_a_row(self._reader)

    def counts(self) -> Counter[tuple[RowState, str]]:
        """Rows by state and reason, over all runs; settled rows have no reason."""
        found = self._reader.execute("SELECT state, reason, COUNT(*) FROM rows GROUP BY state, reason")
        return Counter({(RowState(state), reason): count for state, reason, count in found})

    def reasons(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Why rows are not done, where that is known. At most a few hundred keys a call."""
        query = f"SELECT key, reason FROM rows WHERE reason != '' AND key IN ({','.join('?' * len(keys))})"
        return dict(self._reader.execute(query, keys).fetchall())

    def failures(self) -> Iterator[Failure]:
        """Rows whose newest outcome is a failure, in order of key."""
        which = f"rows INDEXED BY rows_open WHERE state NOT IN ('done', 'empty') AND {HAS_FAILED}"
        query = f"SELECT key, state, reason, attempts, settled_at FROM {which} ORDER BY key"
        for key, state, *rest in self._reader.execute(query):
            yield Failure(key, RowState(state), *rest)

    def remembered(self, name: str) -> str | None:
        """A fact kept beside the rows, such as a fingerprint."""
        found = self._reader.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else str(found[0])

    @property
    def page_bytes(self) -> int:
        """How large its pages are: a copy needs the same."""
        return int(self._reader.execute("PRAGMA page_size").fetchone()[0])

    @property
    def _journal(self) -> Path:
        return self._path.with_name(f"{self._path.name}-wal")

    def _check_version(self, connection: sqlite3.Connection, least: int) -> int:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(MIGRATIONS):
            raise Contradiction(
                f"{self._path}: written by version {version} of the ledger, this program knows {len(MIGRATIONS)}; "
                "use the newer program"
            )
        if version < least:
            found = f"written by version {version} of the ledger" if version else "no run has begun to write it"
            raise Contradiction(f"{self._path}: {found}; run the job, which brings it to version {len(MIGRATIONS)}")
        return int(version)

    def _unreadable(self, error: sqlite3.DatabaseError) -> Contradiction:
        return Contradiction(f"{self._path}: not a readable ledger ({error}); restore it from a backup")


class Ledger(LedgerView):
    """One job's ledger, as its only writer. Its methods block; any thread may call, one at a time.

    Raises `Contradiction` for a file that is no ledger or one of a newer program, `DiskFailed` when SQLite cannot
    write.
    """

    def __init__(self, path: Path, page_bytes: int = PAGE_BYTES) -> None:
        super().__init__(path)
        self._page_bytes = page_bytes

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            try:
                self._writer = opened.enter_context(closing(self._connect()))
                self._migrate()
                self._reader = self._connect()
            except (sqlite3.OperationalError, OSError) as error:
                raise DiskFailed(f"{self._path}: {error}") from error
            except sqlite3.DatabaseError as error:
                raise self._unreadable(error) from error
            opened.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self._writer.close()

    def restate(self, state: RowState, keys: Sequence[str]) -> int:
        """Move the failed rows among `keys` to another state, reasons kept; returns how many there were."""
        change = f"UPDATE rows SET state = ?, not_before = 0 WHERE {HAS_FAILED} AND key = ?"
        with self._transaction() as writer:
            return sum(writer.execute(change, (state, key)).rowcount for key in dict.fromkeys(keys))

    def commit(self, rows: Iterable[Settled | SettledRows], segments: Iterable[Segment]) -> None:
        """Settle rows and vouch for the bytes that hold their records, in one transaction."""
        rows = list(rows)
        many = [row for row in rows if isinstance(row, SettledRows)]
        single = [row for row in rows if isinstance(row, Settled)]
        held = ((s.number, s.state, s.packing, s.length, s.records, s.sha256, s.opened_at, s.table) for s in segments)
        freed = ((row.table, *row.superseded, pieces.taking_hold(row.standing)) for row in single if row.superseded)
        with self._transaction() as writer:
            for alike in many:
                wholesale.save(writer, alike)
            writer.executemany(SAVE_ROW, (_columns(row) for row in single if row.table == MAIN))
            writer.executemany("INSERT INTO superseded VALUES (?, ?, ?, ?)", freed)
            for row in single:
                _save_parts(writer, row)
            writer.executemany(SAVE_SEGMENT, held)

    def remember(self, name: str, value: str) -> None:
        """Keep a fact, over any kept by that name before."""
        with self._transaction() as writer:
            writer.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))

    def become(self, other: LedgerView) -> None:
        """Say all that the other ledger says, and nothing else, from one transaction on."""
        try:
            other._reader.backup(self._writer)
        except sqlite3.Error as error:
            raise DiskFailed(f"{self._path}: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._writer:
                yield self._writer
        except sqlite3.Error as error:
            raise DiskFailed(f"{self._path}: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        self._path.touch(mode=0o600)
        connection = sqlite3.connect(self._path, check_same_thread=False)
        connection.execute(f"PRAGMA page_size={self._page_bytes}")  # of a file that is new
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    def _migrate(self) -> None:
        (health,) = self._writer.execute("PRAGMA quick_check(1)").fetchone()
        if health != "ok":
            raise sqlite3.DatabaseError(health)
        version = self._check_version(self._writer, least=0)
        if steps := "".join(MIGRATIONS[version:]):
            self._writer.executescript(f"BEGIN; {steps} PRAGMA user_version = {len(MIGRATIONS)}; COMMIT;")


def _columns(row: Settled) -> tuple[object, ...]:
    held = row.standing
    return (
        *(row.key, held.state, row.reason, row.attempts, held.records, held.first_record, held.digest, held.revision),
        *(held.not_before, held.settled_at, held.first_day, held.last_day, held.position, held.answers),
    )


def _save_parts(writer: sqlite3.Connection, row: Settled) -> None:
    """What a row's page, its records' keys, and its part in another table mean for what is kept beside `rows`."""
    part, revision = Part(row.key, row.table), row.revision
    if row.table != MAIN:
        pieces.save_side(writer, part, row.standing)
    if row.piece and row.begins_anew:
        pieces.drop(writer, part, revision)
    if row.record_keys:
        pieces.hold(writer, part, revision, row.record_keys)
    if row.superseded:
        pieces.release(writer, part, revision - 1)
    if row.piece:
        pieces.save(writer, part, row.piece)
    if row.is_whole:
        pieces.complete(writer, part, revision)
