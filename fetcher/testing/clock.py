"""An event loop on which waiting takes no time, so that a test of hours of back-off ends in milliseconds.

When nothing is ready to run, its clock jumps to the next timer. Everything built on the loop's time follows:
`asyncio.sleep`, `asyncio.timeout`, `call_later`, and locks, semaphores, queues and task groups as ever. Work in threads
(`asyncio.to_thread`, aiofiles) is waited for in real time, during which the clock stands still. Sockets and other
processes are not waited for: the clock jumps while they work. Test those against `fetcher.testing.server`.

    async def story() -> float:
        started_s = clock.now()
        await asyncio.sleep(3600)
        return clock.now() - started_s

    clock = VirtualClock()
    assert run_virtual(story(), clock) == 3600
"""

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import TypeVar, TypeVarTuple

Result = TypeVar("Result")
Arguments = TypeVarTuple("Arguments")


class VirtualClock:
    """Seconds that pass only when told to. Start it at an epoch time where `now` must be one."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s

    def now(self) -> float:
        """The time in seconds; pass `clock.now` wherever a `now` is asked for."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Move on by that many seconds, 0 or more; raises ValueError on others. Timers that are due run next."""
        self.advance_to(self._now_s + seconds)

    def advance_to(self, time_s: float) -> None:
        """Move on to that time; raises ValueError if it has passed."""
        if not time_s >= self._now_s:
            raise ValueError(f"a clock goes forward: expected {self._now_s} or later, got {time_s}")
        self._now_s = time_s


class Stuck(RuntimeError):
    """Every task waits for what can no longer happen: no timer is set and no thread works. Real time would hang."""


def run_virtual(work: Coroutine[object, object, Result], clock: VirtualClock | None = None) -> Result:
    """Run a coroutine to its end, as `asyncio.run` does, with jumps of `clock` in place of waits.

    Raises Stuck, after cancelling what is left, where the coroutine could never end.
    """
    with asyncio.Runner(loop_factory=lambda: _VirtualLoop(clock or VirtualClock())) as runner:
        return runner.run(work)


class _JumpingSelector(selectors.DefaultSelector):
    """Stands where the loop waits: for events, or for the time of its next timer."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self._clock = clock
        self.threads_at_work = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready. With nothing ready, the clock has moved by `timeout` seconds (None: no timer is set)."""
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.threads_at_work:
            # A thread that ends writes to the loop's wake-up socket.
            return super().select(None)
        if timeout is None:
            raise Stuck("no timer is set and no thread works, so nothing can ever wake the tasks that wait")
        self._clock.advance_to(_landing(self._clock.now(), timeout))
        return ready


def _landing(now_s: float, timeout: float) -> float:
    """Where to jump so that no timer is overshot.

    asyncio's `timeout` is the timer's time less now. That difference is exact up to twice now (Sterbenz); beyond it is
    rounded, and adding it could land one step late. So a far jump ends just short, and the next one, exact, arrives.
    """
    target_s = now_s + timeout
    short_s = target_s - 2 * math.ulp(target_s)
    return short_s if timeout > now_s and short_s > now_s else target_s


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._jumping = _JumpingSelector(clock)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._clock.now()

    # asyncio runs the timers that are due before time() + _clock_resolution. Its own 1e-9 wakes some early, and is
    # lost beside an epoch time, so that a timer due now would never run. One step of the float is exact at any time.
    @property
    def _clock_resolution(self) -> float:
        return math.ulp(self._clock.now())

    @_clock_resolution.setter
    def _clock_resolution(self, seconds: float) -> None:
        """Asyncio sets its own."""

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*Arguments], Result],
        *args: *Arguments,
    ) -> asyncio.Future[Result]:
        future = super().run_in_executor(executor, func, *args)
        self._jumping.threads_at_work += 1
        future.add_done_callback(self._note_thread_done)
        return future

    def _note_thread_done(self, future: asyncio.Future[Result]) -> None:
        self._jumping.threads_at_work -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncio's own
        # Joining the threads is a thread's work too; `timeout` would run out at once on this clock.
        self._jumping.threads_at_work += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self._jumping.threads_at_work -= 1
