"""A pool of worker processes: pebble with spawn. It ends its workers however far each has come, and retires them."""

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from itertools import count
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

from pebble import ProcessExpired, ProcessPool

from fetcher.engines.notes import LOADING, Notes, Spot
from fetcher.engines.output import Output
from fetcher.engines.worker import Answers, Birth, Lifetime, prepare, run_batch
from fetcher.errors import RunStopped

LOOK_EVERY_S = 1.0
LEAST_LOOK_S = 0.001
LATE_S = 1.0
"""Who looks so much later than it meant to was stopped, or had no processor; so had its workers, probably."""

PLACES = 8
"""Notes a worker: what one has left can be read until so many others have come and gone."""


class Died(Exception):
    """A worker died in the middle of a batch: at which spot, if it had begun, and with which exit code."""

    def __init__(self, spot: Spot | None, code: int) -> None:
        self.spot, self.code = spot, code
        super().__init__(spot, code)


class Hung(Exception):
    """An item had its time, and its worker is being stopped."""

    def __init__(self, spot: Spot) -> None:
        self.spot = spot
        super().__init__(spot)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker may use: seconds an item (or a record that it tells of), bytes in all (None: any), batches, seconds
    for its start."""

    timeout_s: float
    memory: int | None = None
    batches: int = 10_000
    load_s: float = 60.0


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
        try:
            return await self._outcome(asyncio.wrap_future(scheduled), batch)
        except ProcessExpired as error:
            raise Died(self._notes.spot(batch), error.exitcode) from error

    async def _outcome(self, future: "asyncio.Future[Answers]", batch: int) -> Answers:
        """The future's result. A broken pool forgets tasks that it had not handed out yet, so look after it."""
        now = asyncio.get_running_loop().time
        patience, at_start = Patience(self._limits.timeout_s, now()), Patience(self._limits.load_s, now())
        try:
            while not (await asyncio.wait({future}, timeout=min(patience.until_look_s, at_start.until_look_s)))[0]:
                if not self._pool.active:
                    raise BrokenProcessPool("the pool broke before this batch was handed out")
                spot = self._notes.spot(batch)
                if patience.is_over(spot, now()) and spot:
                    raise Hung(spot)
                if at_start.is_over(None if spot else self._notes.spot(LOADING), now()):
                    raise RunStopped(
                        f"a worker process was not ready after {self._limits.load_s:g} s: does the job's function wait "
                        "for something when its file is loaded?"
                    )
            return future.result()
        finally:
            future.cancel()  # stops its worker, if one is at it

    def close(self) -> None:
        """End all workers; blocks until they are gone."""
        self._pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it untyped
        self._lineage.end()
        self._pool.join()


class Patience:
    """Whether an item has had its time. What passes while this process itself is stopped does not count."""

    def __init__(self, timeout_s: float, now: float) -> None:
        self._timeout_s = timeout_s
        self._since, self._stopped_s = now, 0.0
        self._look_in(min(LOOK_EVERY_S, timeout_s), now)

    def is_over(self, spot: Spot | None, now: float) -> bool:
        """Whether it is over at `now`; if not, look again in `until_look_s`. None is an item that has not begun."""
        late_s, since = now - self._look_at, spot.since if spot else now
        if since != self._since:
            self._since, self._stopped_s = since, 0.0
        if late_s > LATE_S:
            self._stopped_s += late_s
        left_s = self._timeout_s - (now - since - self._stopped_s)
        self._look_in(min(LOOK_EVERY_S, max(left_s, LEAST_LOOK_S)), now)
        return left_s <= 0

    def _look_in(self, seconds: float, now: float) -> None:
        self.until_look_s, self._look_at = seconds, now + seconds


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
