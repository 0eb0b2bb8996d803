"""One exchange for all who ask for the same thing at the same time: its answer is everyone's, and so is its failure."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from fetcher.errors import RowError

Result = TypeVar("Result")


class Flights(Generic[Result]):
    """What is under way, by what it is about. The first who asks does the work; who comes meanwhile waits for it."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Future[Result]] = {}

    def __len__(self) -> int:
        return len(self._under_way)

    async def share(self, about: Hashable, work: Callable[[], Awaitable[Result]]) -> tuple[Result, bool]:
        """What the work gives, and whether it was done for this caller.

        Raises what the work raises, once for each who waits. Where the first caller is cancelled, another does the
        work.
        """
        while (flight := self._under_way.get(about)) is not None:
            try:
                return await asyncio.shield(flight), False
            except RowError as error:
                mine = copy.copy(error)
                mine.attempts = 0
                raise mine from error
            except asyncio.CancelledError:
                if not flight.cancelled() or is_being_cancelled():
                    raise
        return await self._lead(about, work), True

    async def _lead(self, about: Hashable, work: Callable[[], Awaitable[Result]]) -> Result:
        flight: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._under_way[about] = flight
        try:
            result = await work()
        except asyncio.CancelledError:
            flight.cancel()
            raise
        except BaseException as error:
            flight.set_exception(error)
            flight.exception()  # nobody may be waiting
            raise
        else:
            flight.set_result(result)
            return result
        finally:
            del self._under_way[about]


def is_being_cancelled() -> bool:
    """Whether it is the caller's own task that is cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
