"""A pool of worker processes: pebble with spawn. It ends its workers however far each has come, and retires them."""

import asyncio
import fcntl
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from itertools import count
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from fetcher.engines.notes import Notes
from fetcher.engines.output import Output
from fetcher.engines.patience import Died, Limits, Seen, Watch
from fetcher.engines.worker import Answers, Birth, Lifetime, prepare, run_batch

PIPE_BYTES = 1 << 20
"""As large as Linux makes one for everybody."""

PLACES = 8
"""Notes a worker: what one has left can be read until so many others have come and gone."""


class _Worker(SpawnProcess):
    """A worker whose start is told to `on_start`, which stays behind in this process."""

    on_start: "Callable[[SpawnProcess], None]"
    place: int

    def start(self) -> None:
        super().start()
        self.on_start(self)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "on_start"}


class _Lineage(SpawnContext):
    """Spawns workers, and ends all of them, however far each has come.

    pebble takes its locks away before it stops its workers, and one that is only starting says so with a traceback.
    """

    def __init__(self, places: int) -> None:
        super().__init__()
        self._alive: list[SpawnProcess] = []
        self._is_ended = False
        self._places, self._born = places, count()

    def Process(self, *args: Any, **kwargs: Any) -> _Worker:  # type: ignore[override]  # pebble calls it
        worker = _Worker(*args, **kwargs)
        worker.on_start = self._note
        worker.place = next(self._born) % self._places
        return worker

    def Pipe(self, duplex: bool = True) -> tuple[Connection, Connection]:
        """A pipe with room for a whole batch. In one of 64 kB each writes a piece and waits for the other to read it;
        in this process both need a turn at the interpreter for each piece."""
        reader, writer = super().Pipe(duplex)
        if sys.platform == "linux":
            with suppress(OSError):  # more than the system grants a user; it goes on piece by piece
                fcntl.fcntl(writer.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        return reader, writer

    def _note(self, worker: SpawnProcess) -> None:
        self._alive = [*filter(SpawnProcess.is_alive, self._alive), worker]
        if self._is_ended:
            worker.kill()

    def end(self) -> None:
        """Kill every worker; whoever is started from now on is killed at once."""
        self._is_ended = True
        for worker in self._alive:
            worker.kill()


class Pool:
    """Workers that do batches of `work`. It starts them when it is asked to, or when the first batch comes."""

    def __init__(self, work: bytes, workers: int, limits: Limits, output: Output) -> None:
        self._work, self._limits = work, limits
        self._batches = count()
        places = PLACES * workers
        self._notes, self._lineage = Notes(places), _Lineage(places)
        self._pool = ProcessPool(
            workers,
            Lifetime(limits.batches),
            initializer=prepare,
            initargs=(Birth(self._notes, work, limits.memory, output.writer),),
            context=self._lineage,
        )
        self._is_warm = False
        self._threads: set[threading.Thread] = set()

    @property
    def threads_s(self) -> float:
        """The processor time of the threads that serve this pool; 0 where the system does not tell it."""
        return sum(map(_thread_s, self._threads))

    def warm_up(self) -> None:
        """Start the workers now, so that they are there when the first batch comes."""
        if self._is_warm:
            return
        resource_tracker.ensure_running()  # it would unblock SIGINT again, started later
        # A Ctrl-C while workers start would kill them before they can ignore it; they inherit the mask.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            others = {*threading.enumerate()}
            self._is_warm = self._pool.active
            self._threads = {*threading.enumerate()} - others
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    async def run(self, items: list[bytes]) -> Answers:
        """The answers to the first of these items, to one at least.

        Raises `Died` or `Hung` where a worker did, and `BrokenProcessPool` or `RuntimeError` where this pool is of no
        more use: a worker that dies with nothing to do, by the kernel's or an administrator's hand, breaks it.
        """
        self.warm_up()
        batch = next(self._batches)
        scheduled = self._pool.schedule(run_batch, (self._work, items, batch))
        future = asyncio.wrap_future(scheduled)
        try:
            await self._until_done(future, batch, scheduled)
            return future.result()
        except ProcessExpired as error:
            raise Died(self._notes.spot(batch), error.exitcode) from error
        finally:
            future.cancel()  # stops its worker, if one is at it

    async def _until_done(
        self, future: "asyncio.Future[Answers]", batch: int, scheduled: "ProcessFuture[Answers]"
    ) -> None:
        """Wait for a batch, and look after it: a broken pool forgets those that it had not handed out yet."""
        now = asyncio.get_running_loop().time
        watch = Watch(self._limits, now())
        while not (await asyncio.wait({future}, timeout=watch.until_look_s))[0]:
            if not self._pool.active:
                raise BrokenProcessPool("the pool broke before this batch was handed out")
            seen = Seen(self._notes.spot(batch), scheduled.running(), self._notes.at_start())
            watch.look(seen, now())

    def close(self) -> None:
        """End all workers; blocks until they are gone."""
        self._pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it untyped
        self._lineage.end()
        self._pool.join()


def _thread_s(thread: threading.Thread) -> float:
    if sys.platform != "linux" or thread.native_id is None:
        return 0.0
    try:
        # Linux's number of a thread's own clock. pthread_getcpuclockid() gives it too, and crashes for one that ended.
        return time.clock_gettime((~thread.native_id << 3) | 6)
    except OSError:
        return 0.0


def exit_text(code: int) -> str:
    """How a worker ended: `SIGSEGV`, `exit code 3`."""
    return signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"
