"""CPU work in processes of this machine: pebble with spawn, in batches, with a limit on every item's time.

An item that raises costs itself. An item that kills or hangs its worker costs itself too: the worker leaves a note
of which item it is at, so the rest of its batch is done again elsewhere and the culprit is named.
"""

import asyncio
import math
import multiprocessing
import pickle
import signal
import time
from collections.abc import Callable
from concurrent.futures import TimeoutError as TaskTimeout
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from types import TracebackType
from typing import Any, Generic

from pebble import ProcessExpired, ProcessPool

from fetcher.engines.worker import Answer, Broken, Done, Item, Raised, Result, Unusable, described, prepare, run_batch
from fetcher.errors import DiskFailed, JobError, Quarantined, RunStopped

BATCH_ITEMS = 16
BATCH_S = 0.01
"""A batch is worth so many seconds of work: enough to make the hop cheap, too little to be waited for."""

BATCH_GRACE_S = 1.0
MIN_ITEM_S = 1e-5
LOOK_EVERY_S = 1.0
NOBODY = -1
MOST_UNEXPLAINED = 5
MOST_POOLS_LOST = 3


class _Worker(SpawnProcess):
    """A worker whose start is told to `on_start`, which stays behind in this process."""

    on_start: "Callable[[SpawnProcess], None]"

    def start(self) -> None:
        super().start()
        self.on_start(self)

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "on_start"}


class _Lineage(SpawnContext):
    """Spawns workers, and ends all of them, however far each has come.

    pebble takes its locks away before it stops its workers, and one that is only starting says so with a traceback.
    """

    def __init__(self) -> None:
        super().__init__()
        self._alive: list[SpawnProcess] = []
        self._is_ended = False

    def Process(self, *args: Any, **kwargs: Any) -> _Worker:  # type: ignore[override]  # pebble calls it
        worker = _Worker(*args, **kwargs)
        worker.on_start = self._note
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


@dataclass(slots=True, eq=False)
class _Job(Generic[Result]):
    item: bytes
    future: "asyncio.Future[Result]"


class Processes(Generic[Item, Result]):
    """`async with Processes(function, load, workers, timeout_s)`; then `await run(item)` from any number of tasks.

    `function` is importable by name; items and results are picklable. Every worker calls `load()` before its first
    item; it raises `JobError` where the job's own code is at fault, and that ends every item alike. At most two
    batches a worker are under way; whoever comes later waits. Whoever still waits when it closes is cancelled.
    """

    def __init__(
        self,
        function: Callable[[Item], Result],
        load: Callable[[], None] | None = None,
        *,
        workers: int,
        timeout_s: float,
    ) -> None:
        self._work = pickle.dumps((function, load))
        self._timeout_s = timeout_s
        self._workers = workers
        self._batches = 2 * workers
        self._queue: asyncio.Queue[_Job[Result]] = asyncio.Queue(BATCH_ITEMS * workers)
        self._item_s = BATCH_S  # until the first batch is back, an item is taken to fill one
        self._replacing = asyncio.Lock()
        self._pools_lost = 0

    async def __aenter__(self) -> "Processes[Item, Result]":
        self._notes = multiprocessing.get_context("spawn").RawArray("d", 2 * self._batches)
        self._pool = self._new_pool()
        self._tasks = [asyncio.create_task(self._serve(note)) for note in range(self._batches)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        while not self._queue.empty():
            self._queue.get_nowait().future.cancel()
            await asyncio.sleep(0)  # whoever waited for a place comes in now, and is sent away too
        await asyncio.to_thread(_close, self._pool, self._lineage)

    def warm_up(self) -> None:
        """Start the workers now, so that they are there when the first item comes."""
        resource_tracker.ensure_running()  # it would unblock SIGINT again, started later
        # A Ctrl-C while workers start would kill them before they can ignore it; they inherit the mask.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._is_warm = self._pool.active
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    async def run(self, item: Item) -> Result:
        """The function's result.

        Raises `Quarantined` with the reason when this item raised, died or hung, `JobError` when the job's own code
        cannot be loaded, `DiskFailed` when it could not write, `RunStopped` when workers cannot be kept alive.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        await self._queue.put(_Job(_pickled(item), future))
        return await future

    def _new_pool(self) -> ProcessPool:
        self._is_warm = False
        initial = (self._notes, self._work)
        self._lineage = _Lineage()
        return ProcessPool(self._workers, initializer=prepare, initargs=initial, context=self._lineage)

    async def _serve(self, note: int) -> None:
        while True:
            batch = [await self._queue.get()]
            size = self._batch_size()
            while len(batch) < size and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._settle(batch, note)
            except asyncio.CancelledError:
                for job in batch:
                    job.future.cancel()
                raise
            except Exception as error:  # noqa: BLE001  (a broken pool: whoever waits must hear of it)
                for job in batch:
                    _fail(job, error)

    def _batch_size(self) -> int:
        worth = max(1, int(BATCH_S / self._item_s))
        fair = math.ceil((1 + self._queue.qsize()) / self._workers)
        return max(1, min(BATCH_ITEMS, worth, fair))

    async def _settle(self, batch: list[_Job[Result]], note: int) -> None:
        """Give every job its result or its failure. A batch that dies is done again without its culprit."""
        groups = [list(batch)]
        unexplained = 0
        while groups:
            jobs = groups.pop()
            try:
                answers, took_s = await self._run_batch([job.item for job in jobs], note)
            except (ProcessExpired, TaskTimeout) as error:
                at = self._culprit(error, note, len(jobs))
                if at is None or _is_from_outside(error):
                    unexplained += 1
                if at is not None and (unexplained >= MOST_UNEXPLAINED or not _is_from_outside(error)):
                    _fail(jobs.pop(at), Quarantined(self._cause(error)))
                elif unexplained >= MOST_UNEXPLAINED:
                    raise RunStopped(f"worker processes end before they begin: {self._cause(error)}") from error
                # A batch whose items together took too long is taken apart: each has the whole time for itself.
                groups += [[job] for job in jobs] if isinstance(error, TaskTimeout) else [jobs] if jobs else []
            else:
                self._item_s = 0.5 * self._item_s + 0.5 * max(took_s / len(answers), MIN_ITEM_S)
                for job, answer in zip(jobs, answers, strict=True):
                    _deliver(job, answer)

    async def _run_batch(self, items: list[bytes], note: int) -> tuple[list[Answer], float]:
        timeout_s = self._timeout_s if len(items) == 1 else self._timeout_s + BATCH_GRACE_S
        while True:
            self._notes[2 * note] = NOBODY
            pool = self._pool
            try:
                if not self._is_warm:
                    self.warm_up()
                scheduled = pool.schedule(run_batch, (self._work, items, note), timeout=timeout_s)
                done = await _outcome(pool, asyncio.wrap_future(scheduled))
            # A worker that dies with nothing to do, by the kernel's or an administrator's hand, breaks pebble's pool.
            except (BrokenProcessPool, RuntimeError) as error:
                await self._replace(pool, error)
            else:
                self._pools_lost = 0
                return done

    async def _replace(self, broken: ProcessPool, error: Exception) -> None:
        async with self._replacing:
            if self._pool is not broken:
                return
            self._pools_lost += 1
            if self._pools_lost >= MOST_POOLS_LOST:
                raise RunStopped("worker processes end as soon as they start; what they said is above") from error
            await asyncio.to_thread(_close, broken, self._lineage)
            self._pool = self._new_pool()

    def _culprit(self, error: Exception, note: int, size: int) -> int | None:
        """Which item of a batch took its worker down; None when it was at none yet, or its neighbours took the time."""
        at, since = int(self._notes[2 * note]), self._notes[2 * note + 1]
        if at == NOBODY:
            return None
        had_its_time = time.monotonic() - since >= self._timeout_s
        return at if size == 1 or had_its_time or isinstance(error, ProcessExpired) else None

    def _cause(self, error: ProcessExpired | TaskTimeout) -> str:
        if isinstance(error, ProcessExpired):
            return f"the parser's process died ({_exit_text(error.exitcode)})"
        return f"the parser took longer than {self._timeout_s:g} s and was stopped"


async def _outcome(
    pool: ProcessPool, future: "asyncio.Future[tuple[list[Answer], float]]"
) -> tuple[list[Answer], float]:
    """The future's result. A broken pool forgets tasks that it had not handed out yet, so look after it."""
    try:
        while not (await asyncio.wait({future}, timeout=LOOK_EVERY_S))[0]:
            if not pool.active:
                raise BrokenProcessPool("the pool broke before this batch was handed out")
        return future.result()
    finally:
        future.cancel()


def _close(pool: ProcessPool, lineage: _Lineage) -> None:
    pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it untyped
    lineage.end()
    pool.join()


def _pickled(item: object) -> bytes:
    try:
        return pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise Quarantined(f"cannot be handed to a worker process: {described(error)}") from error


def _deliver(job: _Job[Result], answer: Answer) -> None:
    match answer:
        case Raised(reason):
            _fail(job, Quarantined(reason))
        case Unusable(file, faults):
            _fail(job, JobError(file, faults))
        case Broken(reason):
            _fail(job, DiskFailed(reason))
        case Done(result):
            try:
                value = pickle.loads(result)
            except Exception as error:  # noqa: BLE001  (a foreign class that cannot be put together again)
                _fail(job, Quarantined(f"the result cannot be read back: {described(error)}"))
            else:
                if not job.future.done():
                    job.future.set_result(value)


def _fail(job: _Job[Result], error: Exception) -> None:
    if not job.future.done():
        job.future.set_exception(error)


def _is_from_outside(error: ProcessExpired | TaskTimeout) -> bool:
    """SIGTERM comes from who stops the whole service, hardly from the item at hand, which would be settled for good."""
    return isinstance(error, ProcessExpired) and error.exitcode == -signal.SIGTERM


def _exit_text(code: int) -> str:
    if code == -signal.SIGKILL:
        return "SIGKILL; out of memory?"
    return signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"
