"""Notes that workers leave of what they are at, for the parent of one that dies or hangs.

They lie in memory that both share: a worker that is gone can say nothing more.
"""

import multiprocessing
import time
from dataclasses import dataclass

NUMBERS = 4
"""A note is four numbers: the batch, the item of it, the record of that, and since when (monotonic seconds)."""

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


class Mark:
    """The note of one worker, which writes it.

    The time comes first: whoever reads in between may take a new item for an old one, never the other way round.
    """

    def __init__(self, notes: "Notes", place: int) -> None:
        self._numbers, self._first = notes.numbers, place * NUMBERS

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
        for first in range(0, self._places * NUMBERS, NUMBERS):
            if self.numbers[first] == batch:
                item, record, since = self.numbers[first + 1 : first + NUMBERS]
                return Spot(int(item), int(record), since)
        return None
