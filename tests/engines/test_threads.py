"""Work without processes: the same answers, as far as a thread can give them."""

import sys
import threading

import pytest

from fetcher.engines.scales import Scales
from fetcher.engines.threads import InThread
from fetcher.errors import JobError, Quarantined
from tests.engines import deeds
from tests.engines.test_processes import LONG_S, outcomes

NEVER = threading.Event()


def engine(do=deeds.do, load=None, timeout_s=LONG_S):
    """An engine that works in a thread."""
    return InThread(do, load, timeout_s=timeout_s, scales=Scales())


@pytest.mark.parametrize(
    ("misdeed", "reason"),
    [
        (("raise", "no 'items'"), r"^ValueError: no 'items' \(deeds\.py, line \d+\)$"),
        (("leave", 4), r"^SystemExit: 4 \(deeds"),
        (("refuse", "record 3 is None"), r"^record 3 is None$"),
    ],
)
async def test_an_item_that_raises_costs_itself_only(misdeed, reason):
    """Its neighbours get their answers, and the process goes on."""
    async with engine() as threads:
        *others, failure = await outcomes(threads, [("square", 2), ("square", 3), misdeed])
        assert await threads.run(("square", 4)) == 16
    assert others == [4, 9]
    with pytest.raises(Quarantined, match=reason):
        raise failure
    assert "refuse" in misdeed or "deeds.py" in failure.trace


async def test_an_item_that_takes_too_long_is_left_behind():
    """A thread cannot be stopped, so another one goes on, and the process ends without waiting for it."""
    async with engine(lambda item: NEVER.wait() if item else "done", timeout_s=0.2) as threads:
        failure, done = await outcomes(threads, [True, False])
    assert str(failure) == "the parser took longer than 0.2 s and was left behind"
    assert done == "done"


async def test_code_of_the_job_that_cannot_be_loaded_ends_every_item_with_the_fault():
    """As in a process."""
    async with engine(load=deeds.load_badly) as threads:
        found = await outcomes(threads, [("square", 1), ("square", 2)])
    assert {type(error) for error in found} == {JobError}


async def test_what_it_prints_is_not_our_output(capsys):
    """While others of this process may print as ever."""

    def say(item):
        print("hello from", item)
        print("and more", file=sys.stderr)

    async with engine(say) as threads:
        await threads.run("a parser")
        print("ours")
    print("ours again")
    assert capsys.readouterr() == ("ours\nours again\n", "")
    assert list(threads.printed.last) == ["hello from a parser", "and more"]


async def test_whoever_is_cancelled_keeps_nobody_from_the_thread():
    """What was asked for is done, and told to nobody."""
    async with engine() as threads:
        with pytest.raises(TimeoutError):
            await with_timeout(threads.run(("burn", 0.05)))
        assert await threads.run(("square", 3)) == 9


async def with_timeout(work):
    """Wait for hardly anything."""
    import asyncio

    async with asyncio.timeout(0):
        await work
