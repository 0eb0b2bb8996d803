"""Outcomes in the order of their rows, whatever is done first."""

import asyncio
from dataclasses import dataclass, replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.model import Outcome, RowState
from fetcher.stations import Owed
from fetcher.turns import Turns

STILL = 20
"""Turns of the loop after which nothing moves any more that does not wait for the test."""


@dataclass(frozen=True)
class Plan:
    """A row: how many records each of its pages has, whether it is left on its way or else fails behind them, and when
    it goes on (by rank)."""

    pages: tuple[int, ...]
    is_left: bool
    fails: bool
    ranks: tuple[int, ...]


def outcomes_of(number: int, plan: Plan) -> list[Outcome]:
    """What the row brings, page by page; without any it fails."""
    pages = [
        Outcome(f"row {number}", RowState.DONE, lines=b"%d.%d\n" % (number, page) * records, records=records, page=page)
        for page, records in enumerate(plan.pages, 1)
    ]
    if plan.is_left:
        return [replace(page, is_end=False) for page in pages]
    last = [Outcome(f"row {number}", RowState.GAVE_UP, reason="failed")] if plan.fails or not pages else [pages.pop()]
    return [*(replace(page, is_end=False) for page in pages), *last]


PLANS = st.lists(
    st.builds(
        Plan,
        st.lists(st.integers(0, 3), max_size=3).map(tuple),
        st.sampled_from([False] * 9 + [True]),
        st.booleans(),
        st.lists(st.integers(0, 9), min_size=5, max_size=5).map(tuple),
    ),
    max_size=12,
)


async def handed_over(plans: list[Plan], *, carriers: int, most_rows: int, most_bytes: int, on_record: bool):
    """What comes out where rows are carried so; raises TimeoutError where it never ends."""
    found: list[Outcome] = []

    async def put(outcome: Outcome) -> None:
        await asyncio.sleep(0)  # the writer may keep whoever hands over
        found.append(outcome)

    turns = Turns(put, goes_on_record=on_record, most_rows=most_rows, most_bytes=most_bytes)
    waiting: asyncio.Queue = asyncio.Queue(carriers)

    async def carrier() -> None:
        while taken := await waiting.get():
            number, turn = taken
            plan = plans[number]
            for outcome, rank in zip([*outcomes_of(number, plan), None], plan.ranks, strict=False):
                for _ in range(rank):
                    await asyncio.sleep(0)
                if outcome:
                    await turn.put(outcome)
            turn.end(is_left=plan.is_left)

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(turns.serve())
        async with asyncio.TaskGroup() as inner:
            for _ in range(carriers):
                inner.create_task(carrier())
            for number in range(len(plans)):
                await waiting.put((number, await turns.take()))
            for _ in range(carriers):
                await waiting.put(None)
        await turns.finish()
    assert turns.held_bytes == 0
    return found


@given(PLANS, st.integers(1, 4), st.integers(1, 4), st.sampled_from([0, 8, 1 << 20]), st.booleans())
def test_records_come_in_the_order_of_their_rows(plans, carriers, most_rows, most_bytes, on_record):
    """Whatever is done first, with rows that fail and pages in between: all records of the rows before the first that
    is left on its way, in order, and none behind it. How a row without records fails is told in any case, nothing is
    told twice, and of a row behind that one nothing that follows what was dropped of it."""
    found = asyncio.run(
        handed_over(plans, carriers=carriers, most_rows=most_rows, most_bytes=most_bytes, on_record=on_record)
    )
    ends_at = next((number for number, plan in enumerate(plans) if plan.is_left), len(plans))
    told = [outcomes_of(number, plan) for number, plan in enumerate(plans)]
    expected = b"".join(outcome.lines for row in told[: ends_at + 1] for outcome in row)
    assert b"".join(outcome.lines for outcome in found) == expected
    for number, row in enumerate(told[: ends_at + 1]):
        assert of_row(found, number) == row
    for number, row in enumerate(told[ends_at + 1 :], ends_at + 1):
        behind = of_row(found, number)
        assert behind == row[: len(behind)]
    failed = {row[0].row_key for row in told if row and row[0].state is RowState.GAVE_UP}
    assert failed <= {outcome.row_key for outcome in found}


def of_row(found: list[Outcome], number: int) -> list[Outcome]:
    return [outcome for outcome in found if outcome.row_key == f"row {number}"]


@pytest.mark.parametrize("last", [RowState.DONE, RowState.GAVE_UP])
def test_nothing_is_told_of_a_row_behind_what_was_dropped_of_it(put, found, last):
    """Else it would be done, or go on from its second page, and the records of the first would never be written."""

    async def story() -> None:
        turns = Turns(put)
        first, second = await turns.take(), await turns.take()
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(turns.serve())
            await second.put(brought(2, is_end=False))
            first.end(is_left=True)
            await settle()
            await second.put(Outcome("row 2", last, page=2))
            second.end(is_left=False)
            await settle()
            assert found == []
            assert turns.held_bytes == 0
            serving.cancel()

    asyncio.run(story())


def brought(number: int, *, is_end: bool = True) -> Outcome:
    return Outcome(f"row {number}", RowState.DONE, lines=b"x" * 10, records=1, is_end=is_end)


async def settle() -> None:
    for _ in range(STILL):
        await asyncio.sleep(0)


@pytest.fixture
def found() -> list[str]:
    """The keys of the rows whose outcomes were handed over."""
    return []


@pytest.fixture
def put(found):
    async def put(outcome: Outcome) -> None:
        found.append(outcome.row_key)

    return put


def test_a_failure_waits_for_nobody(put, found):
    """It has no records, so no place in the order; and its carrier is free at once."""

    async def story() -> None:
        turns = Turns(put)
        _, second = await turns.take(), await turns.take()
        await second.put(Outcome("row 2", RowState.REFUSED, reason="HTTP 404"))
        assert found == ["row 2"]

    asyncio.run(story())


def test_no_more_rows_are_begun_than_the_window_holds(put):
    """One slow row does not have the rest of the table wait in memory."""

    async def story() -> None:
        turns = Turns(put, most_rows=3)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(turns.serve())
            taken = [await turns.take()]
            await settle()
            more = group.create_task(take_all(turns, taken, 10))
            await settle()
            assert len(taken) == 4  # the first, and three that wait for it
            taken[0].end(is_left=False)
            await settle()
            assert len(taken) == 5
            more.cancel()
            serving.cancel()

    asyncio.run(story())


async def take_all(turns, taken, count):
    for _ in range(count):
        taken.append(await turns.take())


def test_carriers_wait_where_too_many_bytes_do(put, found):
    """All but the one whose turn it is: that one is never kept."""

    async def story() -> None:
        turns = Turns(put, most_bytes=15)
        first, second, third = [await turns.take() for _ in range(3)]
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(turns.serve())
            await asyncio.wait_for(second.put(brought(2)), 1)
            kept = group.create_task(third.put(brought(3)))
            await settle()
            assert not kept.done()
            await asyncio.wait_for(first.put(brought(1, is_end=False)), 1)
            await asyncio.wait_for(first.put(brought(1)), 1)
            for turn in (first, second):
                turn.end(is_left=False)
            await asyncio.wait_for(kept, 1)
            assert found == ["row 1", "row 1", "row 2", "row 3"]
            serving.cancel()

    asyncio.run(story())


def test_a_page_is_handed_over_before_the_next_goes_on_record(put, found):
    """What is on record about the next page would be overtaken by this one."""

    async def story() -> None:
        turns = Turns(put, goes_on_record=True)
        first, second = await turns.take(), await turns.take()
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(turns.serve())
            page = group.create_task(second.put(brought(2, is_end=False)))
            await settle()
            assert not page.done()
            first.end(is_left=False)
            await asyncio.wait_for(page, 1)
            assert found == ["row 2"]
            serving.cancel()

    asyncio.run(story())


@pytest.mark.parametrize("told", [{"most_bytes": 5}, {"goes_on_record": True}])
def test_a_stop_waits_for_no_row_that_waits_for_its_turn(put, told):
    """What waits there was kept, or may be asked for again, and is not handed over any more. What needs no turn is on
    its way to the disk, and is waited for."""

    async def story() -> None:
        turns, owed = Turns(put, **told), Owed()
        first, second = await turns.take(), await turns.take()
        for key in ("row 1", "row 2"):
            owed.add(key)
        kept = asyncio.create_task(second.put(brought(2, is_end=False), partial(owed.discard, "row 2")))
        await settle()
        assert not kept.done()
        assert "row 2" not in owed
        await first.put(Outcome("row 1", RowState.REFUSED), partial(owed.discard, "row 1"))
        assert "row 1" in owed
        kept.cancel()

    asyncio.run(story())
