"""What runs inside a worker process. Imports nothing that a worker does not need.

Items and results travel as pickles that are made and read one by one: what cannot be carried over costs its own item,
where a pickle of the whole batch would cost its neighbours, or the pipe that all workers share.
"""

import ctypes
import faulthandler
import gc
import multiprocessing
import os
import pickle
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection, wait
from traceback import clear_frames
from typing import Any, TypeVar

from fetcher.engines.memory import Gauge, limit_memory, size_text
from fetcher.engines.notes import LOADING, NO_RECORD, NOBODY, Mark, Notes
from fetcher.engines.output import print_to
from fetcher.engines.precedence import give_way
from fetcher.engines.tracebacks import described, place_of, trace_of
from fetcher.errors import DiskFailed, Fault, FetcherError, JobError, RunStopped

Item = TypeVar("Item")
Result = TypeVar("Result")

PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class Life:
    """What a worker knows of itself: where it leaves notes, the memory that it may use (bytes), whether it is spent."""

    mark: Mark
    memory: int | None
    gauge: Gauge
    is_spent: bool = False


life: Life | None = None
"""This worker's; None in a process that is no worker."""


@dataclass(frozen=True, slots=True)
class Done:
    """An item's result, pickled."""

    result: bytes


@dataclass(frozen=True, slots=True)
class Raised:
    """An item's exception, as text: exceptions of foreign classes do not cross processes safely. `trace` is where it
    was raised, `at` the record that the function said it was at."""

    reason: str
    trace: str = ""
    at: int = NO_RECORD


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


@dataclass(frozen=True, slots=True)
class Answers:
    """To the first items of a batch, one at least; how long they took, by the clock and by the processor (seconds)."""

    answers: list[Answer]
    took_s: float
    busy_s: float


@dataclass(frozen=True, slots=True)
class Birth:
    """What a new worker is given: where it leaves notes, what it works at, the memory that it may use (bytes), where
    what it prints goes."""

    notes: Notes
    work: bytes
    memory: int | None
    output: Connection


class Lifetime(int):
    """How many batches a worker lives for, or fewer: until it is spent. pebble compares its count with it."""

    def __gt__(self, done: int) -> bool:
        return not (life and life.is_spent) and super().__gt__(done)


def prepare(birth: Birth) -> None:
    """Called once in every new worker, which loads what it needs before the first item comes.

    Ctrl-C reaches the whole group of processes, and it is the parent that decides; what a parser prints must not mix
    with our output; and a worker whose parent was killed has nobody left to work for. SIGTERM ends a worker at once:
    a handler in Python would wait for a parser that is deep in C.
    """
    global life  # noqa: PLW0603  (a process has one life, and pebble hands nothing on from here to a batch)
    mark = Mark(birth.notes, multiprocessing.current_process().place)  # type: ignore[attr-defined]  # pool._Worker
    life = Life(mark, birth.memory, Gauge(birth.memory))
    give_way()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # what a parser has in memory goes to no file
    if birth.memory:
        limit_memory(birth.memory)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # numpy would start a thread a core, in each worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    print_to(birth.output)
    faulthandler.enable(sys.stderr)
    die_with_parent()
    tune_garbage_collection()
    mark.begin(LOADING)
    with suppress(Exception):  # the first batch tries again, and can tell the parent
        loaded(birth.work)
    mark.begin(NOBODY)


def tune_garbage_collection() -> None:
    """Decoding makes many objects and no garbage; measured, looking for it takes longer than the decoding itself."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


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


def note_at(record: int) -> None:
    """Say which record of an item this worker is at: its time begins now, and if it dies or hangs, it is that one.

    Does nothing where no worker process is at work.
    """
    if life:
        life.mark.record(record)


def run_batch(work: bytes, items: Sequence[bytes], batch: int) -> Answers:
    """An answer for each of the first items, until this worker is spent. `batch` is what the parent knows them by.

    Raises `RunStopped` when `work` cannot be loaded here.
    """
    began, busy = time.monotonic(), time.process_time()
    assert life
    try:
        function = loaded(work)
    except JobError as error:
        answers: list[Answer] = [Unusable(error.file, error.faults)] * len(items)
    except BaseException as error:  # noqa: BLE001  (SystemExit too: it would end the parent)
        raise RunStopped(f"a worker process cannot load what it is to run: {described(error)}") from None
    else:
        answers = []
        life.mark.begin(batch)
        for index, item in enumerate(items):
            life.mark.item(index)
            answers.append(answer(function, item))
            if life.is_spent or life.gauge.is_high():
                life.is_spent = True
                break
    return Answers(answers, time.monotonic() - began, time.process_time() - busy)


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
        return Raised(str(error), getattr(error, "trace", ""), _record_at())
    except MemoryError as error:
        return _out_of_memory(error)
    except BaseException as error:  # noqa: BLE001  (SystemExit too: what a job's own code raises is that item's failure)
        return Raised(described(error), trace_of(error), _record_at())


def _record_at() -> int:
    return life.mark.record_at if life else NO_RECORD


def _out_of_memory(error: MemoryError) -> Raised:
    clear_frames(error.__traceback__)  # they hold what has filled it
    reason = described(error)
    if life:
        life.is_spent = True  # libraries that were denied memory in the middle of something are not to be trusted
        if life.memory:
            reason = f"the parser needed more than {size_text(life.memory)} of memory{place_of(error)}"
    return Raised(reason, trace_of(error), _record_at())
