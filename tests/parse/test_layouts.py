"""Columns, lists of values and objects by key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import Quarantined
from tests.parse.shaping import records

COLUMNS = 'records = "daily"\ncolumns = true'
names = st.text(min_size=1)
values = st.none() | st.integers() | st.text() | st.booleans()


@given(st.lists(st.lists(values, min_size=3, max_size=3)), st.lists(names, min_size=3, max_size=3, unique=True))
def test_columns_read_back_as_the_rows_they_were_made_from(rows, columns):
    """And so do lists of values with names: two ways to write one table."""
    expected = [dict(zip(columns, row, strict=True)) for row in rows]
    sideways = {name: [row[place] for row in rows] for place, name in enumerate(columns)}
    assert records(COLUMNS, {"daily": sideways}) == expected
    assert records('records = "rows"\nnames = "^.names"', {"names": columns, "rows": rows}) == expected


@given(st.dictionaries(names, st.dictionaries(names, values)))
def test_an_object_by_key_twice_is_a_table_of_three_columns(by_day):
    """Every value once, with both its keys."""
    found = records('records = "@"\nkey_into = ["day", "of"]', by_day)
    expected = [{"day": day, "of": of, "value": value} for day, inner in by_day.items() for of, value in inner.items()]
    assert found == expected


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ({"daily": {"time": [1, 2], "t": [1]}}, r"the lists differ in length: 'time' has 2, 't' has 1"),
        ({"daily": {"time": [1], "unit": "C"}}, "'unit' is a str, expected a list"),
        ({"daily": [5]}, "expected an object of lists, got an int"),
    ],
)
def test_a_short_column_is_an_error_and_never_shifts_rows(answer, reason):
    """Which list it is, and how long."""
    with pytest.raises(Quarantined, match=rf"^parse\.columns: {reason}"):
        records(COLUMNS, answer)


def test_no_columns_are_no_records():
    """Nothing there, null, and lists without an element."""
    assert records(COLUMNS, {}) == records(COLUMNS, {"daily": None}) == records(COLUMNS, {"daily": {"t": []}}) == []


@pytest.mark.parametrize(
    ("section", "answer", "reason"),
    [
        ('names = ["a", "b"]', [[1, 2], [1]], "a record has 1 values, and there are 2 names"),
        ('names = ["a"]', [{"a": 1}], "expected a list of values, got a dict"),
        ('names = "^[0].n"', [[1]], "finds no list of names"),
        ('names = "^[0]"', [["a", "a"]], "finds the same name twice"),
    ],
)
def test_values_without_their_names_are_an_error(section, answer, reason):
    """Never cut, never padded."""
    with pytest.raises(Quarantined, match=rf"^parse\.names:? {reason}"):
        records(f'records = "@"\n{section}', answer)


def test_a_key_leads_to_a_record_a_list_of_them_or_a_value():
    """Each gets the key."""
    answer = {"a": {"v": 1}, "b": [{"v": 2}, {"v": 3}], "c": 4}
    assert records('records = "@"\nkey_into = "k"\nvalue_into = "v"', answer) == [
        {"k": "a", "v": 1},
        {"k": "b", "v": 2},
        {"k": "b", "v": 3},
        {"k": "c", "v": 4},
    ]


@pytest.mark.parametrize(
    ("section", "answer", "reason"),
    [
        ('key_into = "k"', {"a": {"k": 1}}, "have a field 'k' of their own"),
        ('key_into = ["k", "l"]', {"a": 1}, "'a' leads to an int, expected an object"),
        ('key_into = "k"', [[1]], "expected an object, got a list"),
    ],
)
def test_an_object_that_is_not_by_key_is_an_error(section, answer, reason):
    """No field is overwritten."""
    with pytest.raises(Quarantined, match=reason):
        records(f'records = "@"\n{section}', answer)
