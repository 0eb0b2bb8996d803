"""What workers print goes to the debug log, never to our own output: that belongs to records and to who reads them."""

import asyncio
import logging
import os
import sys
from collections import deque
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe

logger = logging.getLogger("fetcher.workers")

MOST_LINES = 1000
"""So many lines of a run are logged; the others are counted."""

LONGEST_LINE = 500
PIECE = 65_536
LAST_LINES = 40


class Output:
    """A pipe from all workers into the log. Made, read and closed where a loop runs; `last` are the newest lines."""

    def __init__(self) -> None:
        self._reader, self.writer = Pipe(duplex=False)
        """Workers get the writing end, in place of their standard output and error."""
        self.last: deque[str] = deque(maxlen=LAST_LINES)
        self.lines = 0
        self._rest = b""
        os.set_blocking(self._reader.fileno(), False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._reader.fileno(), self.read)

    def read(self) -> None:
        """Log what has come."""
        with suppress(BlockingIOError):
            while piece := os.read(self._reader.fileno(), PIECE):
                *lines, rest = (self._rest + piece).split(b"\n")
                self._rest = rest[:PIECE]
                for line in lines:
                    self._log(line)

    def close(self) -> None:
        """When no worker is left: log what they said last, and sum it up."""
        self.read()
        if self._rest:
            self._log(self._rest)
        self._loop.remove_reader(self._reader.fileno())
        self._reader.close()
        self.writer.close()
        if self.lines:
            logger.info("parsers printed %s lines, which are in the debug log; the last: %s", self.lines, self.last[-1])

    def _log(self, line: bytes) -> None:
        text = "".join(character if character.isprintable() else " " for character in line.decode("utf-8", "replace"))
        text = text[:LONGEST_LINE]
        self.lines += 1
        self.last.append(text)
        if self.lines <= MOST_LINES:
            logger.debug("a parser printed: %s", text)


def print_to(writer: Connection) -> None:
    """Whatever this process prints from now on, Python or C, goes there, line by line."""
    for number in (1, 2):
        os.dup2(writer.fileno(), number)
    # The interpreter's own may be missing, as under cron, or hold back what a worker that is stopped never flushes.
    sys.stdout = sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
