"""Values against the part of JSON Schema that a job may use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.annotate.schemas import fault_in

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("schema", "good", "bad", "fault"),
    [
        ({"type": "string"}, "x", 1, "it is integer, expected string"),
        ({"type": ["integer", "null"]}, None, 1.5, "it is number, expected integer or null"),
        ({"type": "integer"}, 2.0, True, "it is boolean, expected integer"),
        ({"type": "number"}, 2, "2", "it is string, expected number"),
        ({"type": "boolean"}, False, 0, "it is integer, expected boolean"),
        ({"enum": ["a", 1]}, 1, True, "it is True, expected one of"),
        ({"const": 0}, 0, False, "it is False, expected 0"),
        ({"minimum": 1, "maximum": 5}, 5, 6, "it is 6, expected 5 at most"),
        ({"minimum": 1}, 1, 0.5, "it is 0.5, expected 1 at least"),
        ({"minLength": 1, "maxLength": 3}, "abc", "", "the length of it is 0, expected 1 at least"),
        ({"items": {"type": "string"}, "maxItems": 2}, ["a"], ["a", 1], "[1] is integer, expected string"),
        ({"minItems": 1}, [1], [], "the length of it is 0, expected 1 at least"),
        ({"required": ["a"]}, {"a": 1}, {"b": 1}, "'a' is missing"),
        ({"properties": {"a": {"type": "object", "required": ["b"]}}}, {"a": {"b": 1}}, {"a": {}}, "'a.b' is missing"),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"a": 1}, {"c": 1}, "'c' is no property of it"),
        ({"properties": {"a": {"items": {"type": "null"}}}}, {"a": [None]}, {"a": [0]}, "a[0] is integer"),
    ],
)
def test_each_word_holds(schema, good, bad, fault):
    """The first thing that does not fit is told, with its place."""
    assert fault_in(schema, good) == ""
    assert fault in fault_in(schema, bad)


@given(JSON)
def test_no_schema_refuses_nothing_and_an_enum_its_own(value):
    """Whatever the value."""
    assert fault_in({}, value) == ""
    assert fault_in({"enum": [value]}, value) == ""
    assert fault_in({"const": value}, value) == ""
