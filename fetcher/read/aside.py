"""Work that may block for ever, beside the loop."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Result = TypeVar("Result")


async def aside(work: Callable[[], Result]) -> Result:
    """What the work returns, or what it raises, done in a thread of its own. The end of the program waits for the
    loop's own threads, but not for this one: a read from a pipe that nobody writes to never returns."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def tell(result: Result | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # without an error there is one

    def run() -> None:
        result, problem = None, None
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  (raised where the work is waited for)
            problem = error
        with suppress(RuntimeError):  # the loop may have ended meanwhile, and nobody waits any more
            loop.call_soon_threadsafe(tell, result, problem)

    threading.Thread(target=run, daemon=True, name="reading").start()
    return await done
