"""Notes that workers leave of what they are at, for the parent of one that dies or hangs.

They lie in memory that both share: a worker that is gone can say nothing more.
"""

import multiprocessing
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

NUMBERS = 5
"""A note is five numbers: batch, item of it, record of that, since when (monotonic seconds), and whose it is (pid)."""

NOBODY = -1
NO_RECORD = -1
LOADING = -2
"""No batch: a worker that is starting."""


@dataclass(frozen=True, slots=True)
class Spot:
    """What a worker is, or was, at: an item of a batch, a record of it (-1 where the function tells none)."""

    item: int
    record: int
    since: float
    pid: int

    @property
    def is_left(self) -> bool:
        """Whether that worker is no more."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        return False


class Mark:
    """The note of one worker, which writes it.

    The time comes first: whoever reads in between may take a new item for an old one, never the other way round.
    """

    def __init__(self, notes: "Notes", place: int) -> None:
        self._numbers, self._first = notes.numbers, place * NUMBERS
        self._numbers[self._first + 4] = os.getpid()

    def begin(self, batch: int) -> None:
        """At the first item of a batch."""
        self.item(0)
        self._numbers[self._first] = batch

    def item(self, item: int) -> None:
        """At that item of the batch."""
        numbers, first = self._numbers, self._first
        numbers[first + 3] = time.monotonic()
        numbers[first + 1], numbers[first + 2] = item, NO_RECORD

    def record(self, record: int) -> None:
        """At that record of the item."""
        numbers, first = self._numbers, self._first
        numbers[first + 3] = time.monotonic()
        numbers[first + 2] = record

    @property
    def item_at(self) -> int:
        """The item that was begun last."""
        return int(self._numbers[self._first + 1])

    @property
    def record_at(self) -> int:
        """The record of it that was told last."""
        return int(self._numbers[self._first + 2])


class Notes:
    """The notes of all workers; a new worker gets the place that was left longest ago."""

    def __init__(self, places: int) -> None:
        self.numbers = multiprocessing.get_context("spawn").RawArray("d", [float(NOBODY)] * NUMBERS * places)
        self._places = places

    def spot(self, batch: int) -> Spot | None:
        """What its worker is at of a batch; None where none has begun it."""
        return next(self._spots(batch), None)

    def at_start(self) -> Spot | None:
        """A worker that is starting. One that died meanwhile has left such a note, too, and is none."""
        return next((spot for spot in self._spots(LOADING) if not spot.is_left), None)

    def _spots(self, batch: int) -> Iterator[Spot]:
        for first in range(0, self._places * NUMBERS, NUMBERS):
            if self.numbers[first] == batch:
                item, record, since, pid = self.numbers[first + 1 : first + NUMBERS]
                yield Spot(int(item), int(record), since, int(pid))
