"""CPU work in processes of this machine: pebble with spawn, in batches, with a limit on every item's time.

An item that raises costs itself. An item that kills or hangs its worker costs itself too: the worker leaves a note
of which item it is at, so the rest of its batch is done again elsewhere and the culprit is named.
"""

import asyncio
import math
import multiprocessing
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import TimeoutError as TaskTimeout
from dataclasses import dataclass
from types import TracebackType
from typing import Generic

from pebble import ProcessExpired, ProcessPool

from fetcher.engines.worker import Done, Item, Raised, Result, prepare, run_batch
from fetcher.errors import Quarantined, RunStopped

BATCH_ITEMS = 16
BATCH_S = 0.02
"""A batch is worth so many seconds of work: enough to make the hop cheap, too little to be waited for."""

BATCH_GRACE_S = 1.0
MIN_ITEM_S = 1e-5
NOBODY = -1
MOST_UNEXPLAINED = 5


@dataclass(slots=True, eq=False)
class _Job(Generic[Item, Result]):
    item: Item
    future: "asyncio.Future[Result]"


class Processes(Generic[Item, Result]):
    """`async with Processes(function, workers, timeout_s)`; then `await run(item)` from any number of tasks.

    `function` is importable by name; items and results are picklable. At most two batches a worker are under way;
    whoever comes later waits.
    """

    def __init__(self, function: Callable[[Item], Result], *, workers: int, timeout_s: float) -> None:
        self._function = function
        self._timeout_s = timeout_s
        self._workers = workers
        self._batches = 2 * workers
        self._queue: asyncio.Queue[_Job[Item, Result]] = asyncio.Queue(BATCH_ITEMS * workers)
        self._item_s = BATCH_S  # until the first batch is back, an item is taken to fill one

    async def __aenter__(self) -> "Processes[Item, Result]":
        context = multiprocessing.get_context("spawn")
        self._notes = context.RawArray("d", 2 * self._batches)
        self._pool = ProcessPool(self._workers, initializer=prepare, initargs=(self._notes,), context=context)
        self._tasks = [asyncio.create_task(self._serve(note)) for note in range(self._batches)]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pool.stop()  # type: ignore[no-untyped-call]  # pebble leaves it untyped
        await asyncio.to_thread(self._pool.join)

    def warm_up(self) -> None:
        """Start the workers now, so that they are there when the first item comes."""
        self._pool.schedule(run_batch, (self._function, (), 0))

    async def run(self, item: Item) -> Result:
        """The function's result. Raises `Quarantined` with the reason when this item raised, died or hung."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        await self._queue.put(_Job(item, future))
        return await future

    async def _serve(self, note: int) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < self._batch_size() and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                await self._settle(batch, note)
            except Exception as error:  # noqa: BLE001  (a broken pool: whoever waits must hear of it)
                for job in batch:
                    _fail(job, error)

    def _batch_size(self) -> int:
        worth = max(1, int(BATCH_S / self._item_s))
        fair = math.ceil(self._queue.qsize() / self._workers)
        return max(1, min(BATCH_ITEMS, worth, fair))

    async def _settle(self, batch: Sequence[_Job[Item, Result]], note: int) -> None:
        """Give every job its result or its failure. A batch that dies is done again without its culprit."""
        pending = list(batch)
        unexplained = 0
        while pending:
            try:
                results, took_s = await self._run_batch([job.item for job in pending], note)
            except (ProcessExpired, TaskTimeout) as error:
                if (at := self._culprit(error, note, len(pending))) is not None:
                    _fail(pending.pop(at), Quarantined(self._cause(error)))
                elif (unexplained := unexplained + 1) == MOST_UNEXPLAINED:
                    raise RunStopped(f"worker processes end before they begin: {self._cause(error)}") from error
            else:
                self._item_s = 0.5 * self._item_s + 0.5 * max(took_s / len(results), MIN_ITEM_S)
                for job, result in zip(pending, results, strict=True):
                    _deliver(job, result)
                return

    async def _run_batch(self, items: list[Item], note: int) -> tuple[list[Done[Result] | Raised], float]:
        self._notes[2 * note] = NOBODY
        timeout_s = self._timeout_s if len(items) == 1 else self._timeout_s + BATCH_GRACE_S
        return await asyncio.wrap_future(
            self._pool.schedule(run_batch, (self._function, items, note), timeout=timeout_s)
        )

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


def _deliver(job: _Job[Item, Result], result: Done[Result] | Raised) -> None:
    if isinstance(result, Raised):
        _fail(job, Quarantined(result.reason))
    elif not job.future.done():
        job.future.set_result(result.value)


def _fail(job: _Job[Item, Result], error: Exception) -> None:
    if not job.future.done():
        job.future.set_exception(error)


def _exit_text(code: int) -> str:
    return signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"
