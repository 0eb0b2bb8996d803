"""One exchange for all who ask for the same thing at the same time: its answer is everyone's, and so is its failure."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from fetcher.errors import RowError

Result = TypeVar("Result")


class Flights(Generic[Result]):
    """What is under way, by what it is about. The first who asks does the work; who comes meanwhile waits for it.

    There is a future only where somebody waits: most are alone.
    """

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Future[Result] | None] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    async def share(self, about: Hashable, work: Callable[[], Awaitable[Result]]) -> tuple[Result, bool]:
        """What the work gives, and whether it was done for this caller.

        Raises what the work raises, once for each who waits. Where the first caller is cancelled, another does the
        work.
        """
        while about in self._under_way:
            flight = self._joined(about)
            try:
                return await asyncio.shield(flight), False
            except RowError as error:
                mine = copy.copy(error)
                mine.attempts = 0
                raise mine from error
            except asyncio.CancelledError:
                if not flight.cancelled() or is_being_cancelled():
                    raise
        self._under_way[about] = None
        try:
            result = await work()
        except BaseException as error:
            self._fail(about, error)
            raise
        if (awaited := self._under_way.pop(about)) is not None:
            awaited.set_result(result)
        return result, True

    def _joined(self, about: Hashable) -> asyncio.Future[Result]:
        flight = self._under_way[about]
        if flight is None:
            flight = self._under_way[about] = asyncio.get_running_loop().create_future()
        return flight

    def _fail(self, about: Hashable, error: BaseException) -> None:
        flight = self._under_way.pop(about)
        if flight is None:
            return
        if isinstance(error, asyncio.CancelledError):
            flight.cancel()
        else:
            flight.set_exception(error)
            flight.exception()  # those who wait may all have been cancelled


def is_being_cancelled() -> bool:
    """Whether it is the caller's own task that is cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
