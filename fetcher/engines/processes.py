"""CPU work in processes of this machine: pebble with spawn, in batches, with a limit on every item's time.

An item that raises costs itself. An item that kills or hangs its worker costs itself too: the worker leaves a note
of which item it is at, so the rest of its batch is done again elsewhere and the culprit is named.
"""

import asyncio
import math
import pickle
import signal
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType
from typing import Generic

from fetcher.engines.output import Output, Printed
from fetcher.engines.patience import Died, Hung, Limits
from fetcher.engines.pool import Pool, exit_text
from fetcher.engines.scales import Scales
from fetcher.engines.tracebacks import described
from fetcher.engines.worker import Answer, Answers, Broken, Done, Item, Raised, Result, Unusable
from fetcher.errors import DiskFailed, JobError, Quarantined, RunStopped

BATCH_ITEMS = 16
BATCH_S = 0.01
"""A batch is worth so many seconds of work: enough to make the hop cheap, too little to be waited for."""

MIN_ITEM_S = 1e-5
MOST_UNEXPLAINED = 5
MOST_POOLS_LOST = 3
SAID_LINES = 3


@dataclass(slots=True, eq=False)
class _Job(Generic[Result]):
    item: bytes
    future: "asyncio.Future[Result]"


class Processes(Generic[Item, Result]):
    """`async with Processes(function, load, workers, limits)`; then `await run(item)` from any number of tasks.

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
        limits: Limits,
        scales: Scales | None = None,
    ) -> None:
        self._work = pickle.dumps((function, load))
        self._limits = limits
        self.workers, self.busy_s = workers, 0.0
        self.scales, self.printed = scales or Scales(), Printed()
        self._queue: asyncio.Queue[_Job[Result]] = asyncio.Queue(BATCH_ITEMS * workers)
        self._under_way = 0
        self._threads_s = 0.0
        self._item_s = BATCH_S  # until the first batch is back, an item is taken to fill one
        self._replacing = asyncio.Lock()
        self._pools_lost = 0

    async def __aenter__(self) -> "Processes[Item, Result]":
        self._output = Output(self.printed)
        self._pool = self._new_pool()
        self._tasks = [asyncio.create_task(self._serve()) for _ in range(2 * self.workers)]
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
        await asyncio.to_thread(self._pool.close)
        self._output.close()
        self.printed.sum_up()

    def warm_up(self) -> None:
        """Start the workers now, so that they are there when the first item comes."""
        self._pool.warm_up()

    async def run(self, item: Item) -> Result:
        """The function's result.

        Raises `Quarantined` with the reason when this item raised, died or hung, `JobError` when the job's own code
        cannot be loaded, `DiskFailed` when it could not write, `RunStopped` when workers cannot be kept alive.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        await self._queue.put(_Job(_pickled(item), future))
        return await future

    def _new_pool(self) -> Pool:
        return Pool(self._work, self.workers, self._limits, self._output)

    async def _serve(self) -> None:
        while True:
            batch = [await self._queue.get()]
            size = self._batch_size()
            while len(batch) < size and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._settle(batch)
            except asyncio.CancelledError:
                for job in batch:
                    job.future.cancel()
                raise
            except Exception as error:  # noqa: BLE001  (a broken pool: whoever waits must hear of it)
                for job in batch:
                    _fail(job, error)

    def _batch_size(self) -> int:
        worth = max(1, int(BATCH_S / self._item_s))
        fair = math.ceil((1 + self._queue.qsize()) / self.workers)
        return max(1, min(BATCH_ITEMS, worth, fair))

    async def _settle(self, batch: list[_Job[Result]]) -> None:
        """Give every job its result or its failure. A batch that dies is done again without its culprit."""
        jobs, unexplained = list(batch), 0
        while jobs:
            try:
                came = await self._run_batch([job.item for job in jobs])
            except (Died, Hung) as error:
                spot, is_forgiven = error.spot, _is_from_outside(error)
                unexplained += spot is None or is_forgiven
                if spot and (unexplained >= MOST_UNEXPLAINED or not is_forgiven):
                    _fail(jobs.pop(spot.item), Quarantined(self._cause(error), record=spot.record))
                elif unexplained >= MOST_UNEXPLAINED:
                    raise RunStopped(f"worker processes end before they begin: {self._cause(error)}") from error
            else:
                done, jobs = jobs[: len(came.answers)], jobs[len(came.answers) :]
                self._weigh([len(job.item) for job in done], came)
                for job, answer in zip(done, came.answers, strict=True):
                    _deliver(job, answer)

    async def _run_batch(self, items: list[bytes]) -> Answers:
        if not self._under_way:
            self._threads_s = self._pool.threads_s  # what they did while there was nothing to do is no hop's
        self._under_way += 1
        try:
            while True:
                pool = self._pool
                try:
                    done = await pool.run(items)
                except (BrokenProcessPool, RuntimeError) as error:
                    await self._replace(pool, error)
                else:
                    self._pools_lost = 0
                    return done
        finally:
            self._under_way -= 1

    def _weigh(self, sizes: list[int], came: Answers) -> None:
        """Learn from a batch what items of these sizes cost."""
        self.busy_s += came.busy_s
        self._item_s = 0.5 * self._item_s + 0.5 * max(came.took_s / len(sizes), MIN_ITEM_S)
        self.scales.worked(sum(sizes), came.busy_s)
        before, self._threads_s = self._threads_s, self._pool.threads_s
        if self._threads_s > before:
            self.scales.hopped(len(sizes), sum(sizes), self._threads_s - before)

    async def _replace(self, broken: Pool, error: Exception) -> None:
        async with self._replacing:
            if self._pool is not broken:
                return
            self._pools_lost += 1
            if self._pools_lost >= MOST_POOLS_LOST:
                raise RunStopped(f"worker processes end as soon as they start; {self._said()}") from error
            await asyncio.to_thread(broken.close)
            self._pool = self._new_pool()

    def _said(self) -> str:
        self._output.read()
        said = " | ".join([*dict.fromkeys(self.printed.last)][-SAID_LINES:])
        return f"they said: {said}" if said else "what they said is above"  # before they knew where to print

    def _cause(self, error: Died | Hung) -> str:
        if isinstance(error, Died):
            hint = "; out of memory?" if -error.code in (signal.SIGKILL, signal.SIGABRT) else ""
            return f"the parser's process died ({exit_text(error.code)}{hint})"
        return f"the parser took longer than {self._limits.timeout_s:g} s and was stopped"


def _pickled(item: object) -> bytes:
    try:
        return pickle.dumps(item, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise Quarantined(f"cannot be handed to a worker process: {described(error)}") from error


def _deliver(job: _Job[Result], answer: Answer) -> None:
    match answer:
        case Raised(reason, trace, at):
            _fail(job, Quarantined(reason, trace, at))
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


def _is_from_outside(error: Died | Hung) -> bool:
    """SIGTERM comes from who stops the whole service, hardly from the item at hand, which would be settled for good."""
    return isinstance(error, Died) and error.code == -signal.SIGTERM
