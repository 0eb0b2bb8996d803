import asyncio
import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fetcher.testing.clock import Stuck, VirtualClock, run_virtual

WAITS_S = st.lists(st.floats(0, 1e6), min_size=1, max_size=8)
STARTS_S = st.sampled_from([0.0, 1e-9, 12.3, 1e7, 1.7e9, 1e12])


@example(12.3, [8180.0, 40948.62950935696])
@given(STARTS_S, WAITS_S)
def test_a_sleeper_wakes_at_its_time_and_never_before(start_s, waits_s):
    """The clock jumps to the next timer exactly: at epoch times too, where a float is coarse."""
    clock = VirtualClock(start_s)
    woken = []

    async def sleep(wait_s):
        due_s = clock.now() + wait_s
        await asyncio.sleep(wait_s)
        assert clock.now() == due_s
        woken.append(due_s)

    async def story():
        await asyncio.gather(*map(sleep, waits_s))

    run_virtual(story(), clock)
    assert woken == sorted(woken)
    assert clock.now() == start_s + max(waits_s)


def test_the_loop_and_the_clock_tell_one_time():
    """What reads `now` and what sets timers never disagree."""
    clock = VirtualClock(1000.0)

    async def story():
        await asyncio.sleep(90)
        return asyncio.get_running_loop().time(), clock.now()

    assert run_virtual(story(), clock) == (1090, 1090)


def test_years_of_waiting_end():
    """asyncio waits for a day at most in one go; longer waits take several jumps."""
    clock = VirtualClock()
    run_virtual(asyncio.sleep(10 * 365 * 86400), clock)
    assert clock.now() == 10 * 365 * 86400


def test_a_timeout_strikes_at_its_time():
    """asyncio.timeout runs on the loop's time."""
    clock = VirtualClock()

    async def story():
        async with asyncio.timeout(30):
            await asyncio.sleep(31)

    with pytest.raises(TimeoutError):
        run_virtual(story(), clock)
    assert clock.now() == 30


def test_a_semaphore_lets_two_at_a_time():
    """Locks and semaphores work as ever: five hours of work in pairs take three hours."""
    clock = VirtualClock()

    async def work(slots):
        async with slots:
            await asyncio.sleep(3600)

    async def story():
        slots = asyncio.Semaphore(2)
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(work(slots))

    run_virtual(story(), clock)
    assert clock.now() == 3 * 3600


def test_the_clock_stands_still_while_a_thread_works():
    """A write in a thread takes no virtual time, however long it takes in truth."""
    clock = VirtualClock()

    async def story():
        may_end = threading.Event()
        timer = asyncio.create_task(asyncio.sleep(5))
        await asyncio.sleep(1)
        thread = asyncio.create_task(asyncio.to_thread(may_end.wait))
        # The loop goes to wait for the thread before anything lets the thread end.
        threading.Timer(0.01, may_end.set).start()
        assert await thread
        now_s = clock.now()
        await timer
        return now_s

    assert run_virtual(story(), clock) == 1
    assert clock.now() == 5


def test_a_failing_thread_lets_the_clock_go_on():
    """A thread that raises is no longer waited for."""
    clock = VirtualClock()

    async def story():
        with pytest.raises(ValueError, match="invalid literal"):
            await asyncio.to_thread(int, "x")
        await asyncio.sleep(7)

    run_virtual(story(), clock)
    assert clock.now() == 7


def test_a_clock_moved_by_hand_wakes_who_is_due():
    """`advance` in the midst of a story; a timer that is due exactly now runs."""
    clock = VirtualClock(1.7e9)

    async def story():
        sleeper = asyncio.create_task(asyncio.sleep(5))
        await asyncio.sleep(0)
        clock.advance(5)
        await sleeper
        return clock.now()

    assert run_virtual(story(), clock) == 1.7e9 + 5


@pytest.mark.parametrize("seconds", [-1, float("nan")])
def test_a_clock_never_goes_back(seconds):
    """Loops and limiters rely on it."""
    with pytest.raises(ValueError, match="a clock goes forward"):
        VirtualClock().advance(seconds)


def test_a_coroutine_that_could_never_end_is_reported_and_cleaned_up():
    """In real time it would hang; here it is an error, and its `finally` still runs."""
    left = []

    async def story():
        try:
            await asyncio.Event().wait()
        finally:
            left.append("cleaned up")

    with pytest.raises(Stuck, match="nothing can ever wake"):
        run_virtual(story())
    assert left == ["cleaned up"]


def test_a_story_that_used_threads_is_reported_as_stuck_too():
    """Idle threads of the pool are no reason to wait."""

    async def story():
        await asyncio.to_thread(int)
        await asyncio.Event().wait()

    with pytest.raises(Stuck):
        run_virtual(story())


def test_what_the_coroutine_gives_and_raises_comes_through():
    """As with asyncio.run."""

    async def fail():
        await asyncio.sleep(1)
        raise LookupError("gone")

    assert run_virtual(asyncio.sleep(1, "slept")) == "slept"
    with pytest.raises(LookupError, match="gone"):
        run_virtual(fail())
