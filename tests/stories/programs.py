"""Programs that need no time for their imports: each is forked from a process that has made them.

`python -m fetcher` takes half a second of a processor before it does anything, and the stories start it more than a
thousand times. What is forked is a process of its own, with the arguments, streams and environment that it is given and
the exit that it would have; only the modules are there already. Stories of what a process has from its very beginning
(its memory, its group, streams that are closed) start theirs with `subprocess`.

So there are things that no story proves by a program that is forked: that nothing depends on the seed of hashes, which
is one for all of them and differs between interpreters; that each command imports what it needs, for all of that is
there; and what is said while the interpreter ends, for it is left before that (`leave`).
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
IMPORTED = (
    "fetcher.cli",
    "fetcher.failures",
    "fetcher.launch",
    "fetcher.progress",
    "fetcher.status",
    "fetcher.testing.server",
    "fetcher.verify",
    "multiprocessing.resource_tracker",
)
"""None of them may start a thread: a process that is forked would lack it."""

NUMBER = struct.Struct("=q")


class Program:
    """A program that was forked; it is used as a `subprocess.Popen` is."""

    def __init__(self, told: int, out: IO[str], err: IO[str]) -> None:
        self._told, self._out, self._err = told, out, err
        self.returncode: int | None = None
        self.pid = self._number()

    def _number(self) -> int:
        (number,) = NUMBER.unpack(os.read(self._told, NUMBER.size))
        return int(number)

    def poll(self) -> int | None:
        """Its exit code as `subprocess` has it; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; raises `subprocess.TimeoutExpired` where it does not end in time."""
        if self.returncode is None:
            if not select.select([self._told], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = self._number()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it has said, once it has ended."""
        self.wait(timeout)
        return self.said()

    def said(self) -> tuple[str, str]:
        """What it has said so far, to its output and to its errors."""
        self._out.seek(0)
        self._err.seek(0)
        return self._out.read(), self._err.read()

    def send_signal(self, number: int) -> None:
        """Nothing happens where it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def close(self) -> None:
        """Kill it where it has not ended; nothing can be read of it then."""
        self.kill()
        self.wait()
        os.close(self._told)
        self._out.close()
        self._err.close()


class Programs:
    """`with start(module, arguments, environ) as program`: `python -m module arguments`, its imports made."""

    def __init__(self, asked: socket.socket) -> None:
        self._asked, self._settings = asked, interpreter_settings(os.environ)

    @contextmanager
    def start(
        self, module: str, arguments: Iterable[object], environ: Mapping[str, str], *, stdin: int = 0, stdout: int = -1
    ) -> Iterator[Program]:
        """It is killed with the end of the `with`. Without `stdout`, what it says is kept."""
        assert interpreter_settings(environ) == self._settings, "they come too late for a program that is forked"
        # To append, so that to read from the beginning does not move the place at which the program writes.
        out, err = (tempfile.TemporaryFile("a+", encoding="utf-8") for _ in range(2))  # noqa: SIM115  (till it ends)
        told, telling = os.pipe()
        with tempfile.TemporaryFile() as order:
            order.write(json.dumps([module, [*map(str, arguments)], dict(environ)]).encode())
            order.seek(0)
            streams = (stdin, out.fileno() if stdout < 0 else stdout, err.fileno())
            socket.send_fds(self._asked, [b"."], [order.fileno(), telling, *streams])
        os.close(telling)
        program = Program(told, out, err)
        try:
            yield program
        finally:
            program.close()


def interpreter_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that an interpreter looks at when it starts, but for that which only saves it work."""
    return {name: value for name, value in environ.items() if name.startswith("PYTHON") and "BYTECODE" not in name}


@contextmanager
def serving_programs() -> Iterator[Programs]:
    """The process that forks stands while the `with` lasts."""
    ours, its = socket.socketpair()
    with ours, its:
        told = [sys.executable, "-m", "tests.stories.programs", str(its.fileno())]
        null = subprocess.DEVNULL
        with subprocess.Popen(told, pass_fds=[its.fileno()], stdin=null, stdout=null, cwd=ROOT) as process:
            its.close()
            yield Programs(ours)
            ours.close()
            process.wait()


def main() -> None:
    """Fork whatever is asked for; in each process that was forked, run what it shall be."""
    ended: list[int] = []
    atexit.register(leave, ended)  # before what the modules register, so that it comes after it
    for module in IMPORTED:
        importlib.import_module(module)
    gc.freeze()  # pages that nobody writes to are shared
    with socket.socket(fileno=int(sys.argv[1])) as asked:
        module, sys.argv[1:] = fork_all(asked)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, int):
            ended.append(end.code)
        raise


def leave(ended: list[int]) -> None:
    """Do not take every module apart at the end: it takes three times as long as to fork."""
    if ended:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended[0] & 0xFF)


def fork_all(asked: socket.socket) -> tuple[str, list[str]]:
    """The module and the arguments of a program: returns only in a process that was forked."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, fds, _, _ = socket.recv_fds(asked, 1, 5)
        if not message:
            sys.exit()
        order, telling, *streams = fds
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if (pid := os.fork()) == 0:
                os.close(telling)
                return become(order, streams)
            watch(pid, telling, [asked.fileno(), order, *streams])
        for fd in fds:
            os.close(fd)


def watch(pid: int, telling: int, others: list[int]) -> None:
    """Tell a program's process id, and how it has ended."""
    for fd in others:
        os.close(fd)
    with suppress(BrokenPipeError):
        os.write(telling, NUMBER.pack(pid))
        os.write(telling, NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))
    os._exit(0)


def become(order: int, streams: list[int]) -> tuple[str, list[str]]:
    """Take over what the program was given."""
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
        os.close(fd)
    with open(order, encoding="utf-8") as file:
        module, arguments, environ = json.load(file)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    return module, arguments


if __name__ == "__main__":
    main()
