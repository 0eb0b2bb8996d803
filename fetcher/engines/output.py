"""What parsers print goes to the debug log, never to our own output: that belongs to records and to who reads them."""

import asyncio
import io
import logging
import os
import sys
import threading
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from types import TracebackType
from typing import TextIO

logger = logging.getLogger("fetcher.workers")

MOST_LINES = 1000
"""So many lines of a run are logged; the others are counted."""

LONGEST_LINE = 500
PIECE = 65_536
LAST_LINES = 40


class Printed:
    """Lines that parsers have printed: how many, and the newest ones."""

    def __init__(self) -> None:
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self.lines = 0

    def add(self, line: str) -> None:
        """Log one more, as a line that a terminal takes for text."""
        text = "".join(character if character.isprintable() else " " for character in line)[:LONGEST_LINE]
        self.lines += 1
        self.last.append(text)
        if self.lines <= MOST_LINES:
            logger.debug("a parser printed: %s", text)

    def sum_up(self) -> None:
        """Say that there were any."""
        if self.lines:
            logger.info(
                "parsers printed %s lines (to see them: docs/workers.md); the last: %s", self.lines, self.last[-1]
            )


class Output:
    """A pipe from all workers to what is printed. Made, read and closed where a loop runs.

    Workers get the `writer` in place of their standard output and error.
    """

    def __init__(self, printed: Printed) -> None:
        self._printed = printed
        self._reader, self.writer = Pipe(duplex=False)
        self._rest = b""
        os.set_blocking(self._reader.fileno(), False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._reader.fileno(), self.read)

    def read(self) -> None:
        """Take what has come."""
        with suppress(BlockingIOError):
            while piece := os.read(self._reader.fileno(), PIECE):
                *lines, rest = (self._rest + piece).split(b"\n")
                self._rest = rest[:PIECE]
                for line in lines:
                    self._printed.add(line.decode("utf-8", "replace"))

    def close(self) -> None:
        """When no worker is left: take what they said last."""
        self.read()
        if self._rest:
            self._printed.add(self._rest.decode("utf-8", "replace"))
        self._loop.remove_reader(self._reader.fileno())
        self._reader.close()
        self.writer.close()


def print_to(writer: Connection) -> None:
    """Whatever this process prints from now on, Python or C, goes there, line by line."""
    for number in (1, 2):
        os.dup2(writer.fileno(), number)
    # The interpreter's own may be missing, as under cron, or hold back what a worker that is stopped never flushes.
    sys.stdout = sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115


class ThreadOutput:
    """What Python code prints in threads of that name goes to what is printed, as long as the `with` lasts."""

    def __init__(self, printed: Printed, thread: str) -> None:
        self._printed, self._thread = printed, thread

    def __enter__(self) -> None:
        self._before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = (_Parted(stream, self._printed, self._thread) for stream in self._before)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stdout, sys.stderr = self._before


class _Parted(io.TextIOBase):
    """A stream for everybody but threads of one name."""

    def __init__(self, stream: TextIO, printed: Printed, thread: str) -> None:
        self._stream, self._printed, self._thread = stream, printed, thread
        self._rest = ""

    def write(self, text: str) -> int:
        if threading.current_thread().name != self._thread:
            return self._stream.write(text)
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._printed.add(line)
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def isatty(self) -> bool:
        return self._stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]  # as that of the stream, which may change
        return self._stream.encoding

    @property
    def buffer(self) -> object:
        """What click writes bytes to."""
        return self._stream.buffer
