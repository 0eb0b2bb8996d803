"""How many rows are on their way at once."""

import pytest

from fetcher.carriers import MOST_IN_STALL, MOST_ROWS, SPARE_ROWS, carriers_of
from fetcher.job.sections import Fetch

SOME = 2 * 8 + SPARE_ROWS
"""With eight at once, as is the default."""


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, SOME),
        ({"concurrency": 3}, 2 * 3 + SPARE_ROWS),
        ({"rate": "20/2 s"}, SOME + 10),
        ({"rate": ["50/s", "600/min", "5000/day"]}, SOME + 10),
        ({"rate": "2/min"}, SOME),
        ({"rate": "100/s", "cost": 4}, SOME + 25),
        ({"rate": "100/s", "cost": "{tokens}"}, SOME),
        ({"rate": "100/s", "spacing": "200 ms"}, SOME + 5),
        ({"rate": "100000/s"}, SOME + MOST_IN_STALL),
        ({"rate": "100/month"}, SOME),
    ],
)
def test_a_second_of_rows_is_on_its_way_besides_those_that_are_asked_for(limits, expected):
    """By the slowest of the limits, for that is the one that is kept to."""
    assert carriers_of(Fetch(base_url="https://api.example.org", url="/", limits=limits)) == expected


@pytest.mark.parametrize(
    ("size", "expected"), [(5, 5 * (16 + 10) + SPARE_ROWS), (400, MOST_ROWS + SPARE_ROWS), (5000, 5000 + SPARE_ROWS)]
)
def test_a_batch_has_all_its_rows_on_their_way(size, expected):
    batch = {"size": size, "each": ["id"]}
    fetch = Fetch(base_url="https://api.example.org", url="/{id}", limits={"rate": "10/s"}, batch=batch)
    assert carriers_of(fetch) == expected


def test_each_key_has_a_rate_of_its_own():
    auth = {"kind": "bearer", "keys": ["one-of-the-keys", "another-of-them"]}
    fetch = Fetch(base_url="https://api.example.org", url="/", limits={"rate": "10/s"}, auth=auth)
    assert carriers_of(fetch) == SOME + 20
