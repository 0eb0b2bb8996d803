"""Equal questions are one, and its failure is everyone's."""

import asyncio
import copy
import pickle

import pytest

from fetcher.errors import Parked
from fetcher.fetch.flights import Flights


async def test_a_wait_that_a_server_asks_for_is_told_to_all_who_share_the_question():
    """Each has an error of its own, with the moment in it."""
    flights: Flights[None] = Flights()

    async def asked():
        await asyncio.sleep(0)
        raise Parked("later", 5.0)

    found = await asyncio.gather(*(flights.share("a", asked) for _ in range(3)), return_exceptions=True)
    assert [(type(error), getattr(error, "until", None), str(error)) for error in found] == [(Parked, 5.0, "later")] * 3


async def test_who_comes_while_it_is_asked_waits_for_the_answer_and_who_comes_later_asks():
    """One exchange at a time for what is about the same; nothing is left of those that are over."""
    flights: Flights[int] = Flights()
    answers = iter(range(10))

    async def asked():
        answer = next(answers)
        await asyncio.sleep(0)
        return answer

    alone = await flights.share("a", asked)
    together = await asyncio.gather(*(flights.share("a", asked) for _ in range(3)))
    assert [alone, *together] == [(0, True), (1, True), (1, False), (1, False)]
    assert not len(flights)


async def test_another_asks_where_the_first_is_cancelled():
    """Those that waited for it do not fail with it."""
    flights: Flights[str] = Flights()
    answered = asyncio.Event()

    async def asked():
        await answered.wait()
        return "answer"

    first, second, third = (asyncio.create_task(flights.share("a", asked)) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    for _ in range(5):  # until another asks, and the third waits for that one
        await asyncio.sleep(0)
    answered.set()
    ended = await asyncio.gather(first, second, third, return_exceptions=True)
    assert isinstance(ended[0], asyncio.CancelledError)
    assert list(ended[1:]) == [("answer", True), ("answer", False)]
    assert not len(flights)


async def test_a_failure_that_nobody_shares_is_told_once():
    """The one who asked has it, and what is under way forgets it."""
    flights: Flights[None] = Flights()

    async def asked():
        raise Parked("later", 5.0)

    with pytest.raises(Parked):
        await flights.share("a", asked)
    assert not len(flights)


@pytest.mark.parametrize("copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_with_a_moment_can_be_copied(copied):
    """Between callers, and between processes."""
    assert copied(Parked("later", 5.0)).until == 5.0
