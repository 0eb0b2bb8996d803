"""What runs inside a worker process. Imports nothing that a worker does not need.

Items and results travel as pickles that are made and read one by one: what cannot be carried over costs its own item,
where a pickle of the whole batch would cost its neighbours, or the pipe that all workers share.
"""

import ctypes
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, TypeVar

from fetcher.errors import DiskFailed, Fault, FetcherError, JobError, RunStopped

Item = TypeVar("Item")
Result = TypeVar("Result")

LONGEST_REASON = 500
PR_SET_PDEATHSIG = 1

notes: "ctypes.Array[ctypes.c_double]"
"""Two numbers a batch in flight: the index of the item it is at, and since when (monotonic seconds)."""


@dataclass(frozen=True, slots=True)
class Done:
    """An item's result, pickled."""

    result: bytes


@dataclass(frozen=True, slots=True)
class Raised:
    """An item's exception, as text: exceptions of foreign classes do not cross processes safely."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """The parts of a `JobError`, which would not survive pickling: no item can be done before the job is mended."""

    file: str
    faults: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """The disk failed under this item, and would fail under the next: it ends the run."""

    reason: str


Answer = Done | Raised | Unusable | Broken


def prepare(shared_notes: "ctypes.Array[ctypes.c_double]", work: bytes) -> None:
    """Called once in every new worker, which loads what it needs before the first item comes.

    Ctrl-C reaches the whole group of processes, and it is the parent that decides; what a parser prints must not mix
    with our output; and a worker whose parent was killed has nobody left to work for. SIGTERM ends a worker at once:
    a handler in Python would wait for a parser that is deep in C.
    """
    global notes  # noqa: PLW0603  (a worker process has one batch at a time and no other place to keep this)
    notes = shared_notes
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    print_to_stderr()
    die_with_parent()
    tune_garbage_collection()
    with suppress(Exception):  # the first batch tries again, and can tell the parent
        loaded(work)


def tune_garbage_collection() -> None:
    """Decoding makes many objects and no garbage; measured, looking for it takes longer than the decoding itself."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def print_to_stderr() -> None:
    """Whatever prints, Python or C, prints to standard error; to nowhere, where a run was started without one."""
    os.dup2(sys.stderr.fileno() if sys.stderr else os.open(os.devnull, os.O_WRONLY), 1)
    sys.stdout = sys.stderr  # written line by line: a worker that is stopped flushes nothing


def die_with_parent() -> None:
    """See to it that this process ends with its parent, whatever the main thread is doing then."""
    threading.Thread(target=_end_after_parent, daemon=True).start()
    if sys.platform == "linux":
        # The thread needs the GIL, which C code such as `re` can hold for hours; the kernel needs nothing. It goes by
        # the thread that started this worker: the loop's, or the pool's own, and neither ends before its workers do.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def run_batch(work: bytes, items: Sequence[bytes], note: int) -> tuple[list[Answer], float]:
    """An answer for every item, and the seconds that all of them took. `note` is this batch's place in `notes`.

    Raises `RunStopped` when `work` cannot be loaded here.
    """
    began = time.monotonic()
    try:
        function = loaded(work)
    except JobError as error:
        return [Unusable(error.file, error.faults)] * len(items), time.monotonic() - began
    except BaseException as error:  # noqa: BLE001  (SystemExit too: it would end the parent)
        raise RunStopped(f"a worker process cannot load what it is to run: {described(error)}") from None
    answers: list[Answer] = []
    for index, item in enumerate(items):
        notes[2 * note], notes[2 * note + 1] = index, time.monotonic()
        answers.append(answer(function, item))
    return answers, time.monotonic() - began


@lru_cache
def loaded(work: bytes) -> Callable[[Any], object]:
    """The function of a pickled (function, load), once `load()` has fetched what the function needs."""
    function: Callable[[Any], object]
    function, load = pickle.loads(work)
    if load is not None:
        load()
    return function


def answer(function: Callable[[Any], object], item: bytes) -> Answer:
    """What became of one item."""
    try:
        return Done(pickle.dumps(function(pickle.loads(item)), pickle.HIGHEST_PROTOCOL))
    except JobError as error:
        return Unusable(error.file, error.faults)
    except DiskFailed as error:
        return Broken(str(error))
    except FetcherError as error:
        return Raised(str(error))
    except BaseException as error:  # noqa: BLE001  (SystemExit too: what a job's own code raises is that item's failure)
        return Raised(described(error))


def described(error: BaseException) -> str:
    """`KeyError: 'items' (air_temperature.py, line 12)`: the innermost place, on one line, cut where it is long."""
    try:
        said = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  (a foreign class's own text can fail too)
        said = "its text cannot be read"
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    if len(text) > LONGEST_REASON:
        text = f"{text[:LONGEST_REASON]}..."
    frames = list(traceback.walk_tb(error.__traceback__))
    return f"{text} ({Path(frames[-1][0].f_code.co_filename).name}, line {frames[-1][1]})" if frames else text
