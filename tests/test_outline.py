"""What an answer looks like, and where its records may be."""

import json

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.outline import around_of, columns_of, lines_of, record_paths, shape_of

ANSWERS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=5),
    max_leaves=30,
)


def test_an_outline_tells_paths_kinds_and_numbers():
    """A snapshot, of an answer with lists in lists."""
    answer = {
        "status": "ok",
        "items": [{"at": "10:00", "readings": [{"id": "S1", "value": 1.5}, {"id": "S2", "value": None}]}] * 3,
        "odd key": [1, 2],
        "none": [],
    }
    assert "\n".join(lines_of(shape_of(answer))) == (
        'status                    text, such as "ok"\n'
        "items                     lists\n"
        "items[]                   3 objects\n"
        'items[].at                text, such as "10:00"\n'
        "items[].readings          lists\n"
        "items[].readings[]        6 objects\n"
        'items[].readings[].id     text, such as "S1"\n'
        "items[].readings[].value  numbers or null, such as 1.5\n"
        '"odd key"                 lists\n'
        '"odd key"[]               numbers, such as 1\n'
        "none                      lists"
    )


def test_a_long_list_is_counted_and_not_read_whole():
    """Nor is an outline longer than a screen."""
    shape = shape_of([{"x": [{"y": 1}]}] * 1000)
    assert list(lines_of(shape))[:3] == [
        "[]        1,000 objects",
        "[].x      lists",
        "[].x[]    200 or more objects",
    ]
    wide = list(lines_of(shape_of({f"k{number}": 1 for number in range(100)})))
    assert (len(wide), wide[-1]) == (41, "and 60 further paths")


@pytest.mark.parametrize(
    ("answer", "paths"),
    [
        ([{"a": 1}, {"a": 2}], [("[]", 2)]),
        ([{"page": 1}, [{"a": 1}, {"a": 2}]], [("[1][]", 2)]),
        ({"data": {"rows": [{"a": 1}]}}, [("data.rows[]", 1)]),
        ({"a": 1}, [("@", 1)]),
        ([1, 2], []),
        ("text", []),
        ({"meta": {"notes": [{"a": 1}] * 9}, "rows": [{"a": 1}]}, [("rows[]", 1)]),
        ({"places": [{"i": 1}] * 2, "items": [{"r": [{"v": 1}] * 2}]}, [("items[].r[]", 2)]),
        ([None, None, False, [{}]], []),
        ({"stations": [{"i": 1}] * 5, "items": [{"t": 1, "r": [{"v": 1}] * 4}] * 2}, [("items[].r[]", 8)]),
        (  # the authors of a paper are no records, however many there are
            {"items": [{"doi": 1, "title": 2, "year": 3, "author": [{"n": 1}] * 9}] * 2},
            [("items[]", 2)],
        ),
        ({"data": {"x-y": [{"a": 1}]}}, [('data."x-y"[]', 1)]),
    ],
)
def test_the_likeliest_records_come_first(answer, paths):
    """The longest list of objects, or the list in it where those objects are only its headings."""
    assert record_paths(shape_of(answer))[: len(paths) or 1] == paths


@given(ANSWERS)
def test_every_path_to_records_yields_as_many_as_told(answer):
    """They are JMESPath, and are what a job's `parse.records` takes."""
    for path, count in record_paths(shape_of(answer)):
        found = jmespath.search(path, answer)
        found = [found] if path == "@" else found
        assert len(found) == count
        assert all(isinstance(record, dict) for record in found)


@given(ANSWERS)
def test_an_outline_can_be_shown_whatever_the_answer(answer):
    """A path a line."""
    lines = list(lines_of(shape_of(json.loads(json.dumps(answer)))))
    assert lines
    assert len(lines) <= 41


def test_a_table_told_by_its_columns_is_seen():
    """Lists of one length beside each other; lists of other lengths are none."""
    hourly = {"time": ["a", "b"], "temperature": [1.0, 2.0]}
    assert columns_of(shape_of({"hourly": hourly, "units": {"a": [1]}})) == ["hourly.time", "hourly.temperature"]
    assert columns_of(shape_of({"a": [1, 2], "b": [1]})) == []
    assert columns_of(shape_of({"rows": [{"a": [1], "b": [2]}]})) == []


def test_what_is_round_records_is_found_with_its_way_out():
    """From the nearest object outwards; what a record has itself, lists and objects are left out, and the whole answer
    is no heading."""
    reading = {"id": "S1", "value": 1}
    item = {"at": "10:00", "id": "x", "odd name": 1, "sub": {"a": 1}, "list": [1], "readings": [reading]}
    shape = shape_of({"status": "ok", "days": [{"day": "d", "at": "d", "items": [item]}]})
    assert around_of(shape, "days[].items[].readings[]") == {"at": "^.at", "odd name": '^."odd name"', "day": "^^.day"}
    assert around_of(shape, "days[]") == {}
    assert around_of(shape, "@") == {}
