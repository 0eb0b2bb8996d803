"""What the engine's tests ask of a worker. Light: every worker that a test starts imports it."""

import ctypes
import os
import re
import signal
import sys
import threading
import time
from pathlib import Path

from fetcher.engines import worker
from fetcher.engines.output import LONGEST_LINE
from fetcher.engines.precedence import ATTRIBUTES, SCHED_SETATTR
from fetcher.errors import DiskFailed, Fault, JobError, Quarantined


class Unpicklable(Exception):
    """An exception that cannot be put together again from its arguments."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{what} at {where}")
        self.lock = threading.Lock()


class Mute(Exception):
    """An exception whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Unreadable:
    """Pickles well, and cannot be put together again."""

    def __reduce__(self):
        return refuse_to_be_made, ()


def refuse_to_be_made():
    """What unpickling an `Unreadable` comes to."""
    raise LookupError("no longer there")


def do(item):
    """`(deed, argument)` -> what the deed gives."""
    deed, argument = item
    return DEEDS[deed](argument)


def precedence(_):
    """How nice this process is, and for how long it would have the processor (nanoseconds, Linux)."""
    attributes = ctypes.create_string_buffer(ATTRIBUTES.size)
    number = SCHED_SETATTR[os.uname().machine] + 1  # sched_getattr
    assert ctypes.CDLL(None).syscall(number, 0, attributes, ATTRIBUTES.size, 0) == 0
    _, _, _, nice, _, slice_ns, _, _ = ATTRIBUTES.unpack(attributes.raw)
    return nice, slice_ns


def hang(_):
    """For ever, but interruptible."""
    while True:
        time.sleep(3600)


def spin(_):
    """For ever, in Python."""
    while True:
        pass


def hold_the_gil(_):
    """For ever, in C that lets no other thread run: a regex that backtracks."""
    re.match(r"(a+)+$", "a" * 64 + "b")


def burn(seconds):
    """A given time of work, by the processor's clock."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def fail(error):
    """Raise it."""
    raise error


def report_then(argument):
    """Tell the test this worker's pid, then do another deed."""
    pipe, item = argument
    with Path(pipe).open("w") as file:
        file.write(f"{os.getpid()}\n")
    return do(item)


def read_gate(pipe):
    """Block until the test writes a line."""
    with Path(pipe).open() as file:
        return file.readline()


def say(text):
    """Print in all the ways there are."""
    print(f"{text} by print")
    os.write(1, f"{text} by C\n".encode())


def mark_of_worker():
    """Where this worker leaves its notes."""
    assert worker.life
    return worker.life.mark


def do_all(items):
    """A chunk of deeds: what each gives."""
    found = []
    for number, item in enumerate(items):
        worker.note_at(number)
        found.append(do(item))
    return found


def fill(size):
    """So many bytes of memory, piece by piece."""
    pieces: list[bytearray] = []
    while sum(len(piece) for piece in pieces) < size:
        pieces.append(bytearray(10_000_000))
    return len(pieces)


def fill_at_once(size):
    """So many bytes of memory."""
    return bytearray(size)


def leak(size):
    """So many bytes of memory that are never given back, and who has them."""
    LEAKED.append(bytearray(b"x") * size)
    return os.getpid()


def leak_file(_):
    """A file that nobody closes, and who has it."""
    os.open(os.devnull, os.O_RDONLY)
    return os.getpid()


def leak_thread(_):
    """A thread that never ends, and who has it."""
    threading.Thread(target=threading.Event().wait, daemon=True).start()
    return os.getpid()


LEAKED: list[bytearray] = []

DEEDS = {
    "fill": fill,
    "fill at once": fill_at_once,
    "leak": leak,
    "leak file": leak_file,
    "leak thread": leak_thread,
    "square": lambda number: number * number,
    "raise": lambda text: fail(ValueError(text)),
    "raise long": lambda length: fail(ValueError("x" * length)),
    "raise lines": lambda _: fail(ValueError("one\n  two")),
    "refuse": lambda text: fail(Quarantined(text)),
    "blame job": lambda file: fail(JobError(file, [Fault(3, 1, "", "cannot be loaded")])),
    "fill disk": lambda text: fail(DiskFailed(text)),
    "mute": lambda _: fail(Mute()),
    "unpicklable exception": lambda _: fail(Unpicklable("here", "trouble")),
    "no memory": lambda _: fail(MemoryError()),
    "interrupt": lambda _: fail(KeyboardInterrupt()),
    "leave": sys.exit,
    "precedence": precedence,
    "exit": os._exit,
    "segfault": lambda _: ctypes.string_at(0),
    "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "terminate": lambda _: os.kill(os.getpid(), signal.SIGTERM),
    "unpicklable result": lambda _: lambda: None,
    "unreadable result": lambda _: Unreadable(),
    "hang": hang,
    "spin": spin,
    "hold the gil": hold_the_gil,
    "burn": burn,
    "pid": lambda _: os.getpid(),
    "report": report_then,
    "gate": read_gate,
    "say": say,
    "print lines": lambda count: print("\n".join(["x" * 2 * LONGEST_LINE] * count)),
    "place": lambda _: mark_of_worker().item_at,
    "chunk": do_all,
    "length": len,
    "is deaf": lambda _: signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()),
}


def load_badly():
    """The job's own code is at fault."""
    raise JobError("parse.py", [Fault(3, 1, "", "cannot be loaded: ImportError: no module named 'stations'")])


def die_at_start():
    """A worker that never gets as far as an item."""
    print("no libfoo.so")
    os._exit(3)


def load_for_ever():
    """A worker that waits for something at its start."""
    hang(None)


def load_with_threads():
    """A library that warms up threads of its own when it is imported."""
    for _ in range(4):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
