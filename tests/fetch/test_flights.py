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


@pytest.mark.parametrize("copied", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_with_a_moment_can_be_copied(copied):
    """Between callers, and between processes."""
    assert copied(Parked("later", 5.0)).until == 5.0
