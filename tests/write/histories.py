"""Histories: a small job on a disk that fails, run after run, until a run ends well; every promise checked on the way.

`replay(seed)` tells one history, always the same for one seed, and raises `Violation` where a promise is broken.
A history is up to three runs that a mishap ends (a power cut or a kill at one operation, an error of the disk, a
stranger's file), then one that nothing ends, then a last power cut.
"""

import asyncio
import errno
import gzip
import hashlib
import json
import random
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from fetcher.errors import Contradiction, DiskFailed
from fetcher.ledger import MIGRATIONS, Ledger, Settled
from fetcher.model import CAME, MAIN, SETTLED, Outcome, RowState, Segment, SegmentState, Standing
from fetcher.pieces import parts_of
from fetcher.tally import Tally
from fetcher.testing.clock import VirtualClock, run_virtual
from fetcher.wholesale import SettledRows
from fetcher.write.packing import PACKINGS
from fetcher.write.segments import Layout, published_name, published_of
from fetcher.write.writer import Writer
from tests.write.long_rows import Desk, LongRows, make_long_rows, page_problem
from tests.write.mishaps import CRASHES, Kind, Mishap, is_faulty, make_mishaps
from tests.write.power_loss import ModelDisk, PowerCut
from tests.write.side_tables import TABLES, UNITS, SideDesk, stations_of, units_of
from tests.write.small_jobs import Settings, Work, make_settings, make_work

if sys.version_info >= (3, 14):
    from compression.zstd import decompress as unpack_zstd
else:
    from backports.zstd import decompress as unpack_zstd

FOLDER = Path("out")
STATE = FOLDER / ".fetcher"
UNPACK: dict[str, Callable[[bytes], bytes]] = {"none": bytes, "gzip": gzip.decompress, "zstd": unpack_zstd}
PREFIXES = tuple(f"{table}-" for table in (MAIN, *TABLES))
UNSEEN = frozenset({"sync", "sync_folder", "commit", "committed"})
"""After these a reader sees what it saw before."""

STRANGER = b"this is somebody else's file\n"


class Violation(AssertionError):
    """A promise was broken; `story` tells the whole history up to here."""

    def __init__(self, promise: str, seed: int, story: str) -> None:
        self.promise = promise
        self.story = story
        lately = "\n".join(story.splitlines()[-40:])
        super().__init__(f"{promise}\n{lately}\nreplay it with: scripts/chaos --seed {seed}")


class ModelLedger(Ledger):
    """The real ledger, in memory; a crash comes just before a commit or just after it."""

    def __init__(self, story: "History") -> None:
        super().__init__(STATE / "ledger.sqlite")
        self._story = story

    def _connect(self) -> sqlite3.Connection:
        return self._story.connection

    def __exit__(self, *_: object) -> None:
        self._story.connection.rollback()

    def commit(self, rows: Iterable[Settled | SettledRows], segments: Iterable[Segment]) -> None:
        try:
            self._story.before("commit", self._path)
            super().commit(rows, segments)
            self._story.before("committed", self._path)
        except OSError as error:
            raise DiskFailed(f"{self._path}: {error}") from error


def run_at_once(executor: object, function: Callable[..., object], *arguments: object) -> asyncio.Future[object]:
    """What would run in a thread runs here and now: a history takes milliseconds, and is the same each time."""
    future = asyncio.get_running_loop().create_future()
    try:
        future.set_result(function(*arguments))
    except BaseException as error:  # noqa: BLE001 - a PowerCut too goes to whoever waits
        future.set_exception(error)
    return future


@dataclass(eq=False)
class History:
    """The world of one history."""

    seed: int
    chance: random.Random
    work: list[Work]
    long: LongRows
    settings: Settings
    connection: sqlite3.Connection
    tables: tuple[str, ...] = ()
    clock: VirtualClock = field(default_factory=lambda: VirtualClock(1000.0))
    ledger_class: type[ModelLedger] = ModelLedger
    disk: ModelDisk = field(init=False)
    mishap: Mishap = field(default_factory=lambda: Mishap(Kind.NONE, 0))
    mishaps: list[Mishap] = field(default_factory=list)
    told: list[tuple[str, Path | str]] = field(default_factory=list)
    seen: dict[str, bytes] = field(default_factory=dict)
    lasting: set[str] = field(default_factory=set)
    tried: Counter[str] = field(default_factory=Counter)
    strangers: set[str] = field(default_factory=set)
    is_off: bool = False
    is_asked_again: bool = False

    def __post_init__(self) -> None:
        self.disk = ModelDisk(self.before)
        self.layout = Layout(FOLDER, STATE, self.disk, self.tables)

    # What happens

    def before(self, operation: str, path: Path) -> None:
        """Stands before each operation that changes something: readers look, and mishaps strike."""
        if self.is_off:
            raise PowerCut
        if not (self.told and self.told[-1][0] in UNSEEN):
            self.look()
        self.told.append((operation, path))
        if not self.mishap.strikes(operation):
            return
        self.told.append(("!!", self.mishap.kind))
        match self.mishap.kind:
            case Kind.CUT | Kind.KILL:
                self.is_off = True
                raise PowerCut
            case Kind.EIO:
                raise OSError(errno.EIO, "Input/output error", str(path))
            case Kind.ENOSPC | Kind.LEDGER:
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
            case Kind.STRANGER:
                self.plant_stranger()

    def plant_stranger(self) -> None:
        """Somebody puts a file where the next segment is to be published."""
        table = self.chance.choice((MAIN, *self.tables))
        top = max((segment.number for segment in self.segments() if segment.table == table), default=0)
        suffix = PACKINGS[self.settings.compress].suffix
        name = f"{table}-{top + self.chance.choice((0, 1, 1)):06}{suffix}"
        if "-000000" not in name and name not in self.disk.names(FOLDER):
            self.strangers.add(name)
            self.disk.plant(FOLDER / name, STRANGER)

    async def run(self, mishap: Mishap) -> None:
        """One run of the job, to its end or to its mishap, and what follows on that."""
        self.mishap = mishap
        self.mishaps.append(mishap)
        self.told.append(("RUN", f"until {mishap.kind}, {mishap.at}"))
        ended: BaseException | None = None
        try:
            with self.ledger_class(self) as ledger:
                writer = Writer(self.layout, self.settings, ledger, Tally(), now=self.clock.now)
                if self.seed % 2:  # so small that the power fails between portions of a batch
                    writer._portion_bytes = 50
                async with writer, asyncio.TaskGroup() as group:
                    group.create_task(writer.serve())
                    group.create_task(self.feed(writer, ledger))
        except BaseExceptionGroup as group:
            (ended,) = group.exceptions
        except (PowerCut, Contradiction, DiskFailed) as error:
            ended = error
        self.told.append(("ENDED", repr(ended)))
        self.must(self.may_end(ended), f"a run ended with {ended!r}")
        self.is_off = False
        self.look()
        self.remove_strangers()

    def may_end(self, ended: BaseException | None) -> bool:
        """Whether the mishap explains how the run ended."""
        match ended:
            case None:
                return True
            case PowerCut():
                return self.mishap.kind in CRASHES
            case DiskFailed():
                return bool(self.mishap.struck)
            case Contradiction():
                return bool(self.strangers)
        raise ended

    async def feed(self, writer: Writer, ledger: Ledger) -> None:
        """Hand over what the ledger does not know as settled."""
        paged, paid = self.long.paged, self.long.paid
        desk: Desk = SideDesk(writer, self.tables) if self.tables else writer
        keys = [work.outcome.row_key for work in self.work] + [row.key for row in paged]
        standings = ledger.standings(keys + [row.answer.row_key for row in paid])
        async with asyncio.TaskGroup() as group:
            group.create_task(self.feed_small(desk, standings))
            for row in paged:
                group.create_task(row.feed(desk, standings.get(row.key), self.is_asked_again))
        for bill in paid:
            await bill.feed(desk, standings.get(bill.answer.row_key), lambda step: self.before(step, STATE))
            self.must(bill.paid <= 1, f"{bill.answer.row_key}: paid twice")
        await writer.finish()

    async def feed_small(self, desk: Desk, standings: Mapping[str, Standing]) -> None:
        """The rows that are answered at once."""
        for work in self.work:
            key = work.outcome.row_key
            before = standings.get(key)
            if before and before.state in SETTLED:
                if self.is_asked_again and work.revised:
                    await asyncio.sleep(work.pause_s)
                    await desk.put(replace(work.revised, row_key=key, before=before))
                continue
            await asyncio.sleep(work.pause_s)
            self.tried[key] += 1
            if self.tried[key] <= work.failures:
                await desk.put(Outcome(key, RowState.GAVE_UP, "HTTP 503", attempts=8, before=before))
            else:
                await desk.put(replace(work.outcome, before=before))

    def lose_power(self) -> None:
        """The machine goes off and on again."""
        self.disk.lose_power(self.chance)
        self.told.append(("POWER LOST", f"left are {self.disk.names(FOLDER)} and {self.disk.names(STATE)}"))
        self.lasting.update(self.published())
        self.look()
        self.check_vouched()

    def remove_strangers(self) -> None:
        """The person does what the message says: moves the file away."""
        for name in self.strangers:
            self.must(self.disk.read(FOLDER / name) == STRANGER, f"{name}: a stranger's file was written over")
            self.disk.take_away(FOLDER / name)
        self.strangers.clear()

    # What must hold

    def must(self, is_kept: bool, promise: str) -> None:
        """Tell the whole history where it is not."""
        if not is_kept:
            raise Violation(promise, self.seed, self.story())

    def story(self) -> str:
        """What has happened, an operation a line."""
        return "\n".join(f"{what} {where}" if what.isupper() else f"    {what} {where}" for what, where in self.told)

    def published(self) -> list[str]:
        """Names of record files."""
        return [name for name in self.disk.names(FOLDER) if name.startswith(PREFIXES)]

    def segments(self) -> list[Segment]:
        """What the ledger says."""
        found = self.connection.execute("SELECT * FROM segments ORDER BY table_name, number")
        return [Segment(number, SegmentState(state), *rest) for number, state, *rest in found]

    def look(self) -> None:
        """A reader, at any moment, sees complete files only, and each as it saw it before."""
        vanished = set(self.lasting)
        for name, content in self.disk.files(FOLDER):
            if not name.startswith(PREFIXES) or name in self.strangers:
                continue
            vanished.discard(name)
            if name not in self.seen:
                self.must(self.is_final(name, bytes(content)), f"{name} can be read and is not what the ledger sealed")
                self.seen[name] = bytes(content)
            elif content != self.seen[name]:
                self.must(False, f"{name} changed after it could be read")
        if vanished:
            self.must(False, f"published files vanished: {sorted(vanished)}")

    def is_final(self, name: str, content: bytes) -> bool:
        """Whether the ledger sealed exactly these bytes under this name."""
        found = published_of(name, (MAIN, *self.tables))
        query = "SELECT * FROM segments WHERE table_name = ? AND number = ? AND state != 'open'"
        for number, state, *rest in self.connection.execute(query, found or ("", 0)):
            segment = Segment(number, SegmentState(state), *rest)
            told = (name, len(content), hashlib.sha256(content).hexdigest())
            return told == (published_name(segment), segment.length, segment.sha256)
        return False

    def vouched(self, segment: Segment) -> bytes:
        """The bytes of a segment that the ledger vouches for, wherever they lie now."""
        published, growing = FOLDER / published_name(segment), self.layout.growing_path(segment)
        is_published = published.name in self.disk.names(FOLDER)
        self.must(is_published or segment.state is not SegmentState.PUBLISHED, f"{published}: published, and not there")
        self.must(is_published or growing.name in self.disk.names(STATE), f"{growing}: vouched for, and not there")
        content = self.disk.read(published if is_published else growing)[: segment.length]
        self.must(
            (len(content), hashlib.sha256(content).hexdigest()) == (segment.length, segment.sha256),
            f"{published}: its bytes are not those that the ledger vouches for",
        )
        return content

    def check_vouched(self) -> dict[str, list[bytes]]:
        """The bytes vouched for hold the records of each row that is done, once, and no others; returned by table."""
        everything: dict[str, list[bytes]] = {table: [] for table in (MAIN, *self.tables)}
        for segment in self.segments():
            held = UNPACK[segment.packing](self.vouched(segment)).splitlines(keepends=True)
            told = f"{published_name(segment)}: {len(held)} lines, not {segment.records}"
            self.must(len(held) == segment.records, told)
            everything[segment.table] += held
        for table, lines in everything.items():
            self.check_ranges(table, lines)
        self.check_pages(everything)
        expected = self.expected_of_whole_rows()
        self.check_lines(expected, everything[MAIN])
        if "stations" in everything:
            self.check_lines(Counter(stations_of(expected.elements())), everything["stations"])
        if "units" in everything:
            shown = Counter(self.newest("units", everything["units"]))
            self.must(shown <= Counter(UNITS), f"units: shown are {shown}")
        return everything

    def check_lines(self, expected: Counter[bytes], everything: list[bytes]) -> None:
        """Of the rows that are answered at once, a table holds exactly these."""
        lines = Counter(line for line in everything if b'"row":"row-' in line)
        self.must(lines <= expected, f"twice, or of rows that are not done: {list(lines - expected)[:3]}")
        self.must(lines >= expected, f"lost: {list(expected - lines)[:3]}")

    def expected_of_whole_rows(self) -> Counter[bytes]:
        """The records of the main table, of all revisions, that rows which are answered at once must have."""
        found = self.connection.execute("SELECT key, state, revision, records, first_record FROM rows")
        rows = {key: rest for key, *rest in found}
        expected: Counter[bytes] = Counter()
        for work in self.work:
            state, revision, *_ = rows.get(work.outcome.row_key, (RowState.WAITING, 0))
            if state in SETTLED:
                expected.update(work.outcome.lines.splitlines(keepends=True))
            if revision > 1 and work.revised:
                expected.update(work.revised.lines.splitlines(keepends=True))
        return expected

    def check_ranges(self, table: str, lines: list[bytes]) -> None:
        """Every record of a table is a row's, a page's or superseded, and no two of these."""
        query = f"""
            SELECT first_record, records FROM ({parts_of(table)})
            WHERE first_record >= 0 AND records > 0 AND table_name = :table
            UNION ALL SELECT first_record, records FROM superseded WHERE table_name = :table
            UNION ALL SELECT DISTINCT first_record, records FROM pieces WHERE records > 0 AND table_name = :table
        """
        found = self.connection.execute(query, {"table": table})
        taken = sorted(at for first, count in found for at in range(first, first + count))
        self.must(taken == list(range(len(lines))), f"{table}: {len(lines)} records, and accounted for are {taken}")

    def check_pages(self, everything: dict[str, list[bytes]]) -> None:
        """The pages of a row hold what they should, and a reader sees those of the revision that stands."""
        columns = ("state", "revision", "digest", "position")
        rows = {key: rest for key, *rest in self.connection.execute(f"SELECT key, {', '.join(columns)} FROM rows")}
        lines, newest = everything[MAIN], {table: self.newest(table, held) for table, held in everything.items()}
        for row in self.long.paged:
            pieces = self.connection.execute(
                "SELECT revision, page, first_record, records FROM pieces WHERE row_key = ? AND table_name = ?",
                (row.key, MAIN),
            ).fetchall()
            if row.key in rows:
                standing = dict(zip(columns, rows[row.key], strict=True))
                self.must(not (problem := page_problem(row, standing, pieces, lines)), problem)
                if standing["digest"]:
                    own, mark = row.lines(standing["revision"]), b'"%s"' % row.key.encode()
                    shown = sorted(line for line in newest[MAIN] if mark in line)
                    self.must(shown == sorted(own), f"{row.key}: shown are {shown}")
                    shown = sorted(line for line in newest.get("stations", ()) if mark in line)
                    expected = sorted(stations_of(own)) if "stations" in newest else []
                    self.must(shown == expected, f"{row.key}: stations shown are {shown}")

    def newest(self, table: str, lines: list[bytes]) -> list[bytes]:
        """What a reader sees of a table who leaves out what was superseded."""
        ledger = self.ledger_class(self)
        ledger._reader = self.connection
        left_out = ledger.superseded(before=len(lines), table=table)
        gone = {at for first, count in left_out for at in range(first, first + count)}
        return [line for at, line in enumerate(lines) if at not in gone]

    def check_latest(self, everything: dict[str, list[bytes]]) -> None:
        """Whoever leaves out what was superseded reads each row as it answered last, and nothing else."""
        newest = {table: Counter(self.newest(table, lines)) for table, lines in everything.items()}
        found = self.connection.execute("SELECT key, revision, state FROM rows")
        rows = {key: (revision, state) for key, revision, state in found}
        expected: Counter[bytes] = Counter()
        for work in self.work:
            revision, _ = rows[work.outcome.row_key]
            shown = work.revised if revision > 1 and work.revised else work.outcome
            expected.update(shown.lines.splitlines(keepends=True))
        for row in self.long.paged:
            expected.update(row.lines(rows[row.key][0]))
        for bill in self.long.paid:
            if rows[bill.answer.row_key][1] in SETTLED:
                expected.update(bill.answer.lines.splitlines(keepends=True))
        units = {unit for key, (_, state) in rows.items() if state in CAME for unit in units_of(key)}
        due = {MAIN: expected, "stations": Counter(stations_of(expected.elements())), "units": Counter(units)}
        for table, read in newest.items():
            told = f"{table}: read are {read - due[table]}, missing are {due[table] - read}"
            self.must(read == due[table], told)

    def check_end(self) -> None:
        """After a run that ended well: every row settled, every segment published, nothing left over."""
        states = dict(self.connection.execute("SELECT key, state FROM rows"))
        self.must(all(states.get(work.outcome.row_key) in SETTLED for work in self.work), "a row is not settled")
        self.must(all(states.get(row.key) in SETTLED for row in self.long.paged), "a row of pages is not settled")
        bills = [bill for bill in self.long.paid if not bill.is_settled(states.get(bill.answer.row_key, ""))]
        self.must(not bills, f"paid for, and not settled: {bills}")
        segments = self.segments()
        self.must(all(segment.state is SegmentState.PUBLISHED for segment in segments), "a segment is not published")
        names = [published_name(segment) for segment in segments]
        self.must(self.published() == names, f"files: {self.published()}, segments: {names}")
        left = [name for name in self.disk.names(STATE) if name.endswith(".open")]
        self.must(not left, f"left over: {left}")
        for name, segment in zip(names, segments, strict=True):
            content, limit = self.disk.read(FOLDER / name), self.settings.rotate
            self.must(UNPACK[segment.packing](content).endswith(b"\n"), f"{name}: not whole lines")
            self.must(len(content) == segment.length, f"{name}: longer than what is vouched for")
            is_large = segment.packing == "none" and len(content) > limit.bytes
            self.must(not is_large or segment.records == 1, f"{name}: larger than a segment may be")
            self.must(limit.records is None or segment.records <= limit.records, f"{name}: too many records")
        self.check_rows(self.check_vouched())
        self.check_summaries(segments)

    def check_rows(self, everything: dict[str, list[bytes]]) -> None:
        """The range of records that the ledger names for a row holds that row's newest records."""
        self.check_latest(everything)
        lines = everything[MAIN]
        found = self.connection.execute("SELECT key, revision, first_record, records FROM rows WHERE key LIKE 'row-%'")
        for key, revision, first, records in found:
            work = next(work for work in self.work if work.outcome.row_key == key)
            newest = work.revised if revision > 1 and work.revised else work.outcome
            self.must(b"".join(lines[first : first + records]) == newest.lines, f"{key}: not its records")

    def check_summaries(self, segments: list[Segment]) -> None:
        """The manifest names every file."""
        try:
            told = json.loads(self.disk.read(FOLDER / "manifest.json"))["files"]
        except ValueError:
            told = []
        names = [(file["name"], file["sha256"]) for file in told]
        self.must(names == [(published_name(s), s.sha256) for s in segments], "the manifest is not of these files")
        listed = [json.loads(line)["state"] for line in self.disk.read(FOLDER / "failures.jsonl").splitlines()]
        self.must(set(listed) <= {"unknown"}, f"a failure is listed that is none: {listed}")


@cache
def new_ledger() -> sqlite3.Connection:
    """A ledger that nothing was written to yet; to make one takes as long as a third of a history."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.executescript(f"{''.join(MIGRATIONS)} PRAGMA user_version = {len(MIGRATIONS)};")
    return connection


async def tell(story: History) -> None:
    """Mishaps, then a good run or two, then a last power cut."""
    loop: Any = asyncio.get_running_loop()
    loop.run_in_executor = run_at_once
    pages = sum(len(row.pages(1)) for row in story.long.paged if row.pause_s)
    groups = 1 + sum(work.pause_s > 0 for work in story.work) + pages + len(story.long.paid)
    groups *= 1 + len(story.tables)
    for mishap in make_mishaps(story.chance, groups, is_faulty(story.seed)):
        await story.run(mishap)
        if mishap.kind is Kind.CUT or (mishap.kind not in CRASHES and story.chance.random() < 0.5):
            story.lose_power()
        else:
            story.check_vouched()
    breaks = max((len(row.breaks) for row in story.long.paged), default=0)
    for _ in range(1 + max(breaks, *(work.failures for work in story.work))):
        await story.run(Mishap(Kind.NONE, 0))
    story.check_end()
    is_paged = bool(story.long.paged) and story.chance.random() < 0.3
    story.is_asked_again = is_paged or any(work.revised for work in story.work)
    if story.is_asked_again:
        for mishap in make_mishaps(story.chance, groups, is_faulty(story.seed))[:1]:
            await story.run(mishap)
            if mishap.kind is Kind.CUT:
                story.lose_power()
        await story.run(Mishap(Kind.NONE, 0))
        for row in story.long.paged:
            row.breaks.clear()
        await story.run(Mishap(Kind.NONE, 0))
        story.check_end()
    story.lose_power()
    story.check_end()


def replay(seed: int, ledger_class: type[ModelLedger] = ModelLedger) -> History:
    """Tell the history of this seed; raises `Violation`."""
    chance = random.Random(seed)
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        new_ledger().backup(connection)
        work, long = make_work(chance), make_long_rows(chance)
        tables = TABLES[: max(0, seed // 4 % 4 - 1)]  # every other group of four seeds has one or two
        work = work[: max(3, len(work) // 2)] if tables else work  # there is more to do for each of them
        story = History(seed, chance, work, long, make_settings(chance), connection, tables, ledger_class=ledger_class)
        run_virtual(tell(story), story.clock)
    finally:
        connection.close()
    return story
