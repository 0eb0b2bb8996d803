"""Waiting for a thread to its end. One that was begun goes on when its caller is cancelled, and nobody may use what it
holds beside it."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


async def to_its_end(
    work: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
) -> tuple[Result, asyncio.CancelledError | None]:
    """What the work returns, done in a thread, and the cancellation that came meanwhile, for the caller to raise once
    it has taken note of the result. Raises what the work raises."""
    working = asyncio.ensure_future(asyncio.to_thread(work, *arguments, **named))
    cancelled = None
    while not working.done():
        try:
            await asyncio.wait({working})
        except asyncio.CancelledError as error:
            cancelled = error
    return working.result(), cancelled
