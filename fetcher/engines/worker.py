"""What runs inside a worker process. Imports nothing that a worker does not need."""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from ctypes import Array, c_double
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Generic, TypeVar

from fetcher.errors import FetcherError

Item = TypeVar("Item")
Result = TypeVar("Result")

notes: "Array[c_double]"
"""Two numbers a batch in flight: the index of the item it is at, and since when (monotonic seconds)."""


@dataclass(frozen=True, slots=True)
class Done(Generic[Result]):
    """An item's result."""

    value: Result


@dataclass(frozen=True, slots=True)
class Raised:
    """An item's exception, as text: exceptions of foreign classes do not cross processes safely."""

    reason: str


def prepare(shared_notes: "Array[c_double]") -> None:
    """Called once in every new worker.

    Ctrl-C reaches the whole group of processes, and it is the parent that decides; what a parser prints must not mix
    with our output; and a worker whose parent was killed has nobody left to work for.
    """
    global notes  # noqa: PLW0603  (a worker process has one batch at a time and no other place to keep this)
    notes = shared_notes
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.dup2(sys.stderr.fileno(), 1)
    threading.Thread(target=die_with_parent, daemon=True).start()


def die_with_parent() -> None:
    """Wait for the parent's end, then end at once, whatever the main thread is doing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def run_batch(
    function: Callable[[Item], Result], items: Sequence[Item], note: int
) -> tuple[list[Done[Result] | Raised], float]:
    """Every item's result, and the seconds that all of them took. `note` is this batch's place in `notes`."""
    began = time.monotonic()
    results: list[Done[Result] | Raised] = []
    for index, item in enumerate(items):
        notes[2 * note], notes[2 * note + 1] = index, time.monotonic()
        try:
            results.append(Done(function(item)))
        except FetcherError as error:
            results.append(Raised(str(error)))
        except Exception as error:  # noqa: BLE001  (whatever a job's own function raises is that item's failure)
            results.append(Raised(described(error)))
    return results, time.monotonic() - began


def described(error: Exception) -> str:
    """`KeyError: 'items' (air_temperature.py, line 12)`: the innermost place, on one line."""
    text = " ".join(f"{type(error).__name__}: {error}".split())
    frames = traceback.extract_tb(error.__traceback__)
    return f"{text} ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else text
