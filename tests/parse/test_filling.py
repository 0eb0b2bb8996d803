"""Run-length points."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import Quarantined
from tests.parse.shaping import records

FILL = 'records = "periods[].points[]"\nfill = { by = "n", last = "^.last" }'
TIMED = (
    'records = "periods[].points[]"\n'
    'fill = { by = "n", start = "^.start", end = "^.end", step = "^.step", time = "at" }\nfields.at = "at"'
)


@given(st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=12), max_size=3))
def test_what_was_left_out_comes_back(periods):
    """A list is coded by leaving out what repeats the one before, and reads back whole; no list fills another."""
    coded = []
    for values in periods:
        kept = [(n, v) for n, v in enumerate(values, 1) if n == 1 or values[n - 2] != v]
        coded.append({"last": len(values), "points": [{"n": str(n), "v": v} for n, v in kept]})
    expected = [{"n": n, "v": v} for values in periods for n, v in enumerate(values, 1)]
    assert records(FILL, {"periods": coded}) == expected


@pytest.mark.parametrize(
    ("start", "end", "step", "times"),
    [
        ("2024-01-01T00:00Z", "2024-01-01T01:00Z", "PT30M", ["2024-01-01T00:00:00Z", "2024-01-01T00:30:00Z"]),
        ("2024-01-01T00:00Z", "2024-01-01T00:50Z", "PT30M", ["2024-01-01T00:00:00Z", "2024-01-01T00:30:00Z"]),
        ("2024-01-01T01:00+01:00", "2024-01-03", "P1D", ["2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"]),
        ("2024-01-31", "2024-02-14", "P1W", ["2024-01-31T00:00:00Z", "2024-02-07T00:00:00Z"]),
        ("2023-12-01", "2024-02-01", "P1M", ["2023-12-01T00:00:00Z", "2024-01-01T00:00:00Z"]),
        ("2023-01-01", "2025-01-01", "P1Y", ["2023-01-01T00:00:00Z", "2024-01-01T00:00:00Z"]),
    ],
)
def test_each_point_has_its_time(start, end, step, times):
    """From the start of its list on, up to its end, which no point begins at."""
    period = {"start": start, "end": end, "step": step, "points": [{"n": 1}]}
    assert [record["at"] for record in records(TIMED, {"periods": [period]})] == times


@pytest.mark.parametrize(
    ("points", "last", "reason"),
    [
        ([2], 3, "do not grow from 1 on"),
        ([1, 3, 2], 3, "do not grow from 1 on"),
        ([1, 1], 3, "do not grow from 1 on"),
        ([1, 4], 3, "point 4 is behind the last one, 3"),
        ([1], 10**9, r"1,000,000,000 points are more than 1,000,000 in one list"),
        (["x"], 3, "'n' of a point is 'x', expected a whole number"),
        ([1], "x", "finds 'x', expected a whole number"),
    ],
)
def test_points_that_do_not_count_are_an_error(points, last, reason):
    """And no answer makes a million records out of one."""
    with pytest.raises(Quarantined, match=reason):
        records(FILL, {"periods": [{"last": last, "points": [{"n": n} for n in points]}]})


@pytest.mark.parametrize(("start", "step"), [("2024-01-31", "P1M"), ("9999-12-31", "P1D"), ("9999-01-01", "P1Y")])
def test_a_time_that_the_calendar_has_not_is_an_error(start, step):
    """The 31st of February, the year 10000."""
    period = {"start": start, "end": "9999-12-31T23:00Z", "step": step, "points": [{"n": 1}, {"n": 2}]}
    with pytest.raises(
        Quarantined, match=r"^parse\.fill: (1 steps after .* is no time|point 2 is behind|.* points are)"
    ):
        records(TIMED, {"periods": [period]})


@pytest.mark.parametrize(("step", "start"), [("1 h", "2024-01-01"), ("PT0S", "2024-01-01"), ("PT1H", "soon")])
def test_times_that_cannot_be_read_are_an_error(step, start):
    """Never a guess, and never a step of nothing."""
    period = {"start": start, "end": "2024-01-02", "step": step, "points": [{"n": 1}]}
    with pytest.raises(Quarantined, match=r"^parse\.fill\.(step|start)"):
        records(TIMED, {"periods": [period]})
