"""Work in a thread of this process: where a machine has no processes to spare, or a job wants none.

An item that raises or takes too long costs itself; one that crashes ends the run, and nothing limits its memory.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import Generic

from fetcher.engines.output import Printed, ThreadOutput
from fetcher.engines.scales import Scales
from fetcher.engines.tracebacks import described, trace_of
from fetcher.engines.worker import Item, Result
from fetcher.errors import FetcherError, Quarantined

NAME = "fetcher-parser"


@dataclass(frozen=True, slots=True)
class _Told(Generic[Item, Result]):
    item: Item
    future: "asyncio.Future[Result]"


class InThread(Generic[Item, Result]):
    """`async with InThread(function, load, timeout_s=...)`; then `await run(item)` from any number of tasks.

    It does one item at a time. A thread cannot be stopped: one that hangs is left behind, and ends with the process.
    """

    workers = 0
    busy_s = 0.0

    def __init__(
        self,
        function: Callable[[Item], Result],
        load: Callable[[], None] | None = None,
        *,
        timeout_s: float,
        scales: Scales,
    ) -> None:
        self._function, self._load = function, load
        self._timeout_s = timeout_s
        self._one_at_a_time = asyncio.Lock()
        self._work: SimpleQueue[_Told[Item, Result] | None] | None = None
        self.scales, self.printed = scales, Printed()
        self._output = ThreadOutput(self.printed, NAME)

    async def __aenter__(self) -> "InThread[Item, Result]":
        self._loop = asyncio.get_running_loop()
        self._output.__enter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._output.__exit__(kind, error, trace)
        if self._work:
            self._work.put(None)
        self.printed.sum_up()

    def warm_up(self) -> None:
        """Start the thread now."""
        if self._work is None:
            self._work = SimpleQueue()
            threading.Thread(target=self._serve, args=(self._work,), name=NAME, daemon=True).start()

    async def run(self, item: Item) -> Result:
        """The function's result. Raises what an `Engine` raises."""
        async with self._one_at_a_time:
            self.warm_up()
            assert self._work
            future: asyncio.Future[Result] = self._loop.create_future()
            self._work.put(_Told(item, future))
            try:
                async with asyncio.timeout(self._timeout_s):
                    return await future
            except TimeoutError as error:
                self._work.put(None)
                self._work = None
                raise Quarantined(f"the parser took longer than {self._timeout_s:g} s and was left behind") from error

    def _serve(self, work: "SimpleQueue[_Told[Item, Result] | None]") -> None:
        while told := work.get():
            outcome = self._outcome(told.item)
            with suppress(RuntimeError):  # nobody is there any more
                self._loop.call_soon_threadsafe(_tell, told.future, outcome)

    def _outcome(self, item: Item) -> Result | FetcherError:
        try:
            if self._load:
                self._load()
            return self._function(item)
        except FetcherError as error:
            return error
        except BaseException as error:  # noqa: BLE001  (SystemExit too: what a job's own code raises is that item's failure)
            return Quarantined(described(error), trace_of(error))


def _tell(future: "asyncio.Future[Result]", outcome: Result | FetcherError) -> None:
    if future.done():
        return
    if isinstance(outcome, FetcherError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
