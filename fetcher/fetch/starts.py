"""The shared log of starts: every process that asks one realm knows of every start there, also of those before it.

One file a realm, which is only appended to: a record for a start, one for its leaving, one for its end. A start is
decided and written under the file's lock, after everything that others wrote has been read; the two others are written
without one. That takes microseconds, so it happens in the loop. It survives a process that is killed, not a power cut.

A process holds the lock of a file of its own for as long as it lives. Starts of one that is gone have ended at the
latest when that is found out. Times are monotonic seconds, which all processes of one boot share; those of an earlier
boot are translated by the wall's clock.
"""

import fcntl
import hashlib
import os
import struct
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from fetcher.errors import DiskFailed
from fetcher.fetch.windows import FOR_EVER, Pace, Start

RECORD = struct.Struct("<B7xQQdd")
BOOT, START, LEFT, ENDED, WEIGHT, COOL, HORIZON = range(7)
"""A record: what happened, which process, which of its starts, and two numbers.

BOOT: which boot (in place of the process), wall less monotonic clock. START: when, weight. LEFT: when. ENDED: when
it had left, round trip. WEIGHT: 0, weight. COOL: until, 0. HORIZON: longest window, 0.
"""

Record = tuple[int, int, int, float, float]
COMPACTED_BYTES = 1_000_000
KEPT_S = 40 * 86400.0


@dataclass(frozen=True, slots=True)
class Clocks:
    """What time it is: `now` in monotonic seconds, `wall` in epoch seconds, and which boot this is (64 bits)."""

    now: Callable[[], float]
    wall: Callable[[], float]
    boot: int


@dataclass(slots=True)
class StartsLog:
    """A process's view of the log at `path`, kept in step with `pace`; `horizon_s` is its longest window."""

    path: Path
    pace: Pace
    horizon_s: float
    clocks: Clocks
    token: int = field(default_factory=lambda: int.from_bytes(os.urandom(8), "little"))
    _file: int = -1
    _lock: int = -1
    _life: int = -1
    _read: int = 0
    _compact_at: int = COMPACTED_BYTES
    _boot: int = -1
    _boot_shift: float = 0.0
    _known: dict[tuple[int, int], Start] = field(default_factory=dict)
    _forgotten: float = -FOR_EVER
    _order: deque[tuple[int, int]] = field(default_factory=deque)
    _strangers: dict[int, int] = field(default_factory=dict)

    def open(self) -> None:
        """Join the realm's processes, and learn of every start that still counts."""
        with told(self.path):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = opened(self.path.with_suffix(".lock"))
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            try:
                self._sweep()
                self._life = opened(self._life_of(self.token))
                fcntl.flock(self._life, fcntl.LOCK_EX)
                self._open_file()
                self.end_those_of_the_gone()
                self._compact()
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    def close(self) -> None:
        """Leave: this process's starts have all ended."""
        with told(self.path):
            self._life_of(self.token).unlink(missing_ok=True)
            for number in (self._file, self._lock, self._life):
                os.close(number)

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether this process alone may decide on the next start, until the block ends; never waits for another."""
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            with told(self.path):
                self._follow()
            yield True
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    @property
    def waits_for_strangers(self) -> bool:
        """Whether starts of other processes are under way, so that news may come at any moment."""
        return bool(self._strangers)

    def made(self, start: Start) -> None:
        """This process has made a start; to be called within its turn."""
        self._know((self.token, start.number), start)
        self._append((START, self.token, start.number, start.at, float(start.weight)))

    def left(self, start: Start) -> None:
        """The request went out."""
        self._append((LEFT, self.token, start.number, start.at, 0.0))

    def ended(self, start: Start) -> None:
        """The answer is here, or there will be none."""
        self._append((ENDED, self.token, start.number, start.at, start.round_trip_s or 0.0))

    def reweighed(self, start: Start) -> None:
        """The start has cost something else."""
        self._append((WEIGHT, self.token, start.number, 0.0, float(start.weight)))

    def cooled(self, until: float) -> None:
        """The server wants no start before `until`."""
        self._append((COOL, self.token, 0, until, 0.0))

    def end_those_of_the_gone(self) -> None:
        """Starts of processes that are no more arrived before now or never; to be called within this one's turn."""
        with told(self.path):
            self._end_those_of_the_gone(self.clocks.now())

    def _end_those_of_the_gone(self, now: float) -> None:
        for token in [token for token in self._strangers if self._is_gone(token)]:
            for key in [key for key in self._known if key[0] == token and self._known[key].round_trip_s is None]:
                start = self._known[key]
                # One that never left may have left the moment before its process ended, which is the moment before now.
                at = start.at if start.has_left else now
                self._append((ENDED, *key, at, now - at))
        self._follow()

    def _sweep(self) -> None:
        """Remove what the killed have left here, and the logs of realms that nobody has asked for long."""
        for life in self.path.parent.glob(f"{self.path.stem}.*.alive"):
            self._is_gone(int(life.name.split(".")[1], 16))
        for log in self.path.parent.glob("*.log"):
            if log != self.path and log.stat().st_mtime < self.clocks.wall() - KEPT_S:
                log.unlink(missing_ok=True)

    def _life_of(self, token: int) -> Path:
        return self.path.with_name(f"{self.path.stem}.{token:016x}.alive")

    def _is_gone(self, token: int) -> bool:
        life = self._life_of(token)
        try:
            number = os.open(life, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        finally:
            os.close(number)
        life.unlink(missing_ok=True)
        return True

    def _open_file(self) -> None:
        self._file = opened(self.path)
        size = os.fstat(self._file).st_size
        os.ftruncate(self._file, size - size % RECORD.size)
        self._read = 0
        self._follow()
        if self._boot != self.clocks.boot or not self._read:
            self._append(self._boot_record())
        self._append((HORIZON, self.token, 0, self.horizon_s, 0.0))

    def _boot_record(self) -> Record:
        return (BOOT, self.clocks.boot, 0, self.clocks.wall() - self.clocks.now(), 0.0)

    def _append(self, record: Record) -> None:
        with told(self.path):
            if os.write(self._file, RECORD.pack(*record)) != RECORD.size:
                raise OSError("a record was written in part")
            if os.fstat(self._file).st_nlink == 0:
                self._go_over()
                os.write(self._file, RECORD.pack(*record))

    def _follow(self) -> None:
        """Read what has been written since, and go over to the new file where another process has compacted it."""
        if os.fstat(self._file).st_nlink == 0:
            self._go_over()
        size = os.fstat(self._file).st_size
        if size == self._read:
            return
        news = os.pread(self._file, size - self._read, self._read)
        whole = len(news) - len(news) % RECORD.size
        self._read += whole
        for kind, token, number, first, second in RECORD.iter_unpack(news[:whole]):
            self._learn((kind, token, number, first, second))
        if self._read > self._compact_at:
            self._compact()

    def _go_over(self) -> None:
        """Another process has compacted the file. What this one wrote to the old one since is in the old one only."""
        os.close(self._file)
        self._file, self._read = opened(self.path), 0
        for key, start in list(self._known.items()):
            if key[0] == self.token:
                for record in records_of(key, start):
                    self._append(record)

    def _learn(self, record: Record) -> None:
        kind, token, number, first, second = record
        key = (token, number)
        if kind == BOOT:
            self._boot, self._boot_shift = token, 0.0
            if token != self.clocks.boot:
                self._boot_shift = first - (self.clocks.wall() - self.clocks.now())
        elif kind == START and key not in self._known and (at := self._at(first)) >= self._forgotten:
            start = self.pace.commit(at, int(second))
            self._know(key, start)
            self._strangers[token] = self._strangers.get(token, 0) + 1
        elif kind == COOL:
            if not self._boot_shift:  # waits outlive a boot in another file, by the wall's clock
                self.pace.cool_down(first)
        elif kind == HORIZON:
            self.horizon_s = max(self.horizon_s, first)
        elif token != self.token and (known := self._known.get(key)):
            self._learn_of_stranger(known, kind, record)

    def _learn_of_stranger(self, start: Start, kind: int, record: Record) -> None:
        _, token, _, first, second = record
        if kind == LEFT:
            self.pace.left(start, self._at(first))
        elif kind == WEIGHT:
            self.pace.settle(start, int(second))
        elif kind == ENDED:
            if start.round_trip_s is None:
                self._strangers[token] -= 1
                if not self._strangers[token]:
                    del self._strangers[token]
            self.pace.left(start, self._at(first))
            start.round_trip_s = second

    def _at(self, time_s: float) -> float:
        """A time of the log by this boot's clock; what seems to lie ahead was written by a clock that was."""
        if not self._boot_shift:
            return time_s
        return min(time_s + self._boot_shift, self.clocks.now())

    def _know(self, key: tuple[int, int], start: Start) -> None:
        self._known[key] = start
        self._order.append(key)
        # What has left every window is forgotten, here and, when it is compacted, in the file.
        before = self.clocks.now() - 2 * self.horizon_s - 1.0
        while self._order and is_over(self._known[self._order[0]], before):
            del self._known[self._order.popleft()]
            self._forgotten = before

    def _compact(self) -> None:
        """Write what still counts to a new file, in the place of the old; to be called within this process's turn."""
        records = [self._boot_record(), (HORIZON, self.token, 0, self.horizon_s, 0.0)]
        if self.pace.cool_until > self.clocks.now():
            records.append((COOL, self.token, 0, self.pace.cool_until, 0.0))
        for key in self._order:
            records += records_of(key, self._known[key])
        fresh = self.path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        file = opened(fresh)
        packed = b"".join(RECORD.pack(*record) for record in records)
        if os.write(file, packed) != len(packed):
            raise OSError("not all was written")
        fresh.rename(self.path)
        # Whoever writes from now on sees that the old file is gone; what came before is copied here.
        late = os.pread(self._file, os.fstat(self._file).st_size - self._read, self._read)
        os.write(file, late[: len(late) - len(late) % RECORD.size])
        os.close(self._file)
        self._file, self._read, self._boot_shift = file, len(packed), 0.0
        self._compact_at = max(COMPACTED_BYTES, 2 * len(packed))


def records_of(key: tuple[int, int], start: Start) -> list[Record]:
    """All that there is to say of a start."""
    told = [(START, *key, start.at, float(start.weight))]
    if start.round_trip_s is not None:
        told.append((ENDED, *key, start.at, start.round_trip_s))
    elif start.has_left:
        told.append((LEFT, *key, start.at, 0.0))
    return told


def is_over(start: Start, before: float) -> bool:
    """Whether a start has had its answer by then."""
    return start.round_trip_s is not None and start.at + start.round_trip_s < before


def this_boot() -> int:
    """64 bits that are another number after the machine has started anew; 0 where the system does not tell."""
    with suppress(OSError):
        told = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        return int.from_bytes(hashlib.sha256(told).digest()[:8], "little")
    return 0


def opened(path: Path) -> int:
    """A file of the owner's alone that is read and appended to."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What the system says becomes `DiskFailed`, with the place."""
    try:
        yield
    except OSError as error:
        raise DiskFailed(f"{path}: {error}") from error
