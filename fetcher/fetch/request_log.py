"""What was sent when: one line a request, one file a run, for `fetcher verify` and for planning.

A line tells when the request left (epoch seconds), how long its answer took, and the answer's status; nothing of what
was asked. Times are of a clock that nobody can set, anchored once, so that a run's own distances are exact. Lines are
written about a second after their answer: that much of the log a kill may cost.
"""

import asyncio
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import msgspec

from fetcher.errors import DiskFailed
from fetcher.fetch.threads import to_its_end

LOGS_KEPT = 30
FLUSH_S = 1.0
NAME = "%Y%m%dT%H%M%S.%fZ"
SUFFIX = ".requests.jsonl"


class Sent(NamedTuple):
    """One request: when it left (epoch seconds), how long it took (seconds), its status; None where none came."""

    at: float
    took_s: float
    status: int | None


class RequestLog:
    """`async with RequestLog(folder, now, clock)`: the log of a run that begins `now` (epoch seconds).

    `clock` gives the seconds that `note` is told. Raises `DiskFailed` where the log cannot be written.
    """

    def __init__(self, folder: Path, now: float, clock: Callable[[], float]) -> None:
        self._path = folder / f"{datetime.fromtimestamp(now, UTC):{NAME}}{SUFFIX}"
        self._epoch = now - clock()
        self._lines = bytearray()
        self._failure: OSError | None = None

    async def __aenter__(self) -> "RequestLog":
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            for old in logs(self._path.parent)[: 1 - LOGS_KEPT]:
                old.unlink()
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise DiskFailed(f"{self._path}: {error}") from error
        self._flushing = asyncio.create_task(self._flush_often())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._flushing.cancel()
        await asyncio.wait({self._flushing})
        try:
            if self._failure is None:
                await asyncio.to_thread(self._write, bytes(self._lines))
        except OSError as failure:
            raise DiskFailed(f"{self._path}: {failure}") from failure
        finally:
            os.close(self._file)

    def note(self, left_at: float, ended_at: float, status: int | None) -> None:
        """One request has ended. Raises `DiskFailed` where those before it could not be written."""
        if self._failure:
            raise DiskFailed(f"{self._path}: {self._failure}") from self._failure
        sent = Sent(round(self._epoch + left_at, 4), round(ended_at - left_at, 4), status)
        self._lines += msgspec.json.encode(sent) + b"\n"

    async def _flush_often(self) -> None:
        while self._failure is None:
            await asyncio.sleep(FLUSH_S)
            lines, self._lines = bytes(self._lines), bytearray()
            try:
                _, cancelled = await to_its_end(self._write, lines)
            except OSError as error:
                self._failure = error
            else:
                if cancelled:
                    raise cancelled

    def _write(self, lines: bytes) -> None:
        rest = memoryview(lines)
        while rest:
            rest = rest[os.write(self._file, rest) :]


def logs(folder: Path) -> list[Path]:
    """The request logs in a folder, oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []


def sent_in(log: Path) -> Iterator[Sent]:
    """Every request of a log, in the order in which they ended. A last line that a kill has cut is passed over."""
    with log.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield msgspec.json.decode(line, type=Sent)
