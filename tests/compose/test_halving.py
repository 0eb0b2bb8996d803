"""Windows that are halved: nothing is left out, whatever holds too much, and every place can be gone on from."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.compose.halving import beside, deeper, half, halved_values, window_of
from fetcher.compose.pages import FIRST, following_part, is_capped
from fetcher.errors import Incomplete
from fetcher.job.pages import Pages
from fetcher.model import PageFacts, Value

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
BEGIN = datetime(2018, 1, 31)
COUNTED = st.lists(st.integers(0, 9 * 86_400), max_size=60, unique=True)


def walked(window, least, is_too_much):
    """The parts that are asked for in turn and hold little enough, and how many were asked for in all."""
    way: str | None = ""
    parts, asked = [], 0
    while way is not None:
        asked += 1
        part = half(window, way, least)
        if is_too_much(part):
            way = deeper(window, way, least)
        else:
            parts.append(part)
            way = beside(way)
    return parts, asked


@given(COUNTED, st.integers(1, 8), st.integers(2, 9 * 86_400))
def test_the_parts_of_a_window_cover_it_in_order_and_without_gaps(events, cap, length_s):
    """Whatever lies where: each part begins where the one before ends, and each holds no more than the cap."""
    window = (BEGIN, BEGIN + timedelta(seconds=length_s))
    moments = [BEGIN + timedelta(seconds=event) for event in events]

    def is_too_much(part):
        return sum(part[0] <= moment < part[1] for moment in moments) > cap

    parts, asked = walked(window, SECOND, is_too_much)
    assert [parts[0][0], *(end for _, end in parts)] == [*(begin for begin, _ in parts), window[1]]
    assert not any(is_too_much(part) for part in parts)
    assert asked == 2 * len(parts) - 1


@given(st.integers(1, 400), st.sets(st.integers(0, 400), max_size=8))
def test_days_are_halved_at_midnights(days, crowded):
    """Parts of whole days share no day and leave none out; the values are days, so that formats go on working."""
    first = date(2018, 1, 31)
    row: dict[str, Value] = {"start": first, "end": first + (days - 1) * DAY}

    def is_too_much(part):
        return part[1] - part[0] > DAY and any(part[0] <= BEGIN + day * DAY < part[1] for day in crowded)

    way: str | None = ""
    asked = []
    while way is not None:
        if is_too_much(half(window_of(row), way, DAY)):
            way = deeper(window_of(row), way, DAY)
            continue
        values: Any = halved_values(row, way, DAY)
        asked += [values["start"] + DAY * day for day in range((values["end"] - values["start"]).days + 1)]
        way = beside(way)
    assert asked == [first + DAY * day for day in range(days)]
    assert all(type(day) is date for day in asked)


def test_a_part_that_holds_too_much_and_cannot_be_halved_is_an_error():
    """Halving stops at `least`: an endless loop would be the other choice."""
    window = (BEGIN, BEGIN + DAY)
    with pytest.raises(Incomplete, match=r"from 2018-01-31 00:00:00 to 2018-01-31 00:00:01 there is more"):
        walked(window, SECOND, lambda part: True)


@pytest.mark.parametrize(
    ("values", "window"),
    [
        ({"date": date(2018, 1, 31)}, (BEGIN, BEGIN + DAY)),
        ({"start": date(2018, 1, 31), "end": date(2018, 2, 1)}, (BEGIN, BEGIN + 2 * DAY)),
        ({"start": BEGIN, "end": BEGIN + SECOND}, (BEGIN, BEGIN + SECOND)),
        ({"start": date(2018, 1, 31), "end": date(2018, 1, 31), "until": date(2018, 2, 3)}, (BEGIN, BEGIN + 3 * DAY)),
    ],
)
def test_the_window_of_a_row_ends_with_its_last_day(values, window):
    """A day is a window of a day."""
    assert window_of(values) == window


def test_a_row_without_a_window_cannot_be_halved():
    """It is said, rather than guessed."""
    with pytest.raises(Incomplete, match=r"no window that could be halved"):
        window_of({"place": "Seattle"})


@pytest.mark.parametrize(
    ("keys", "facts", "capped"),
    [
        ({"size": 200}, {"items": 200}, True),
        ({"size": 200}, {"items": 199}, False),
        ({}, {"items": 5, "more": True}, True),
        ({}, {"items": 5, "more": "false"}, False),
        ({}, {"items": 5, "total": "6"}, True),
        ({}, {"items": 5, "total": 5}, False),
        ({}, {"items": 5}, False),
    ],
)
def test_an_answer_at_the_cap_is_never_taken_for_all(keys, facts, capped):
    """It is full, or says that there are more, or how many there are."""
    assert is_capped(Pages(kind="split", **keys), PageFacts(**facts)) == capped


def test_parts_are_counted_like_pages():
    """A part that held too much brings nothing and counts all the same, so that `most` bounds them all."""
    pages, values = Pages(kind="split", most=3), {"date": date(2018, 1, 31)}
    place = following_part(pages, FIRST, values, None)
    assert place is not None and (place.number, place.cursor) == (2, "0")
    place = following_part(pages, place, values, PageFacts(items=4, records=3))
    assert place is not None and (place.number, place.cursor, place.items, place.records) == (3, "1", 4, 3)
    assert following_part(pages, place, values, PageFacts()) is None
    with pytest.raises(Incomplete, match=r"fetch.pages.most = 3"):
        following_part(pages, place, values, None)
