"""Fields, what they come from, and what is done to their values."""

from datetime import date

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import Quarantined
from fetcher.parse.exploding import Node
from fetcher.parse.records import Parsing, parse
from fetcher.parse.shapes import Shape
from fetcher.parse.sources import Field, Within, found_by
from tests.parse.shaping import as_json, parsed, records

ITEMS = 'records = "items"\n'
items = st.lists(
    st.fixed_dictionaries({"t": st.text(), "rs": st.lists(st.dictionaries(st.sampled_from("vw"), st.integers()))})
)


@given(items)
def test_carrying_down_equals_a_nested_loop(given_items):
    """Each reading once, with its item's time, and null for what a reading has not."""
    found = records('records = "items[].rs[]"\n[fields]\nt = "^.t"\nv = "v"', {"items": given_items})
    assert found == [{"t": item["t"], "v": reading.get("v")} for item in given_items for reading in item["rs"]]


def test_a_field_comes_from_the_record_its_parents_the_row_or_the_job():
    """A slot makes a template of a text; JMESPath writes constants; numbers and flags are themselves."""
    section = """
        records = "items[].rs[]"
        [fields]
        v = "v"
        t = "^.t"
        all = "^^.name"
        n = "#"
        m = "^#"
        whole = "@"
        day = "{date}"
        month = "in {date:%Y-%m}"
        kind = "'hourly'"
        five = 5
        is_new = true
        half = 0.5
        none = "`null`"
        nothing = "not.there"
    """
    answer = {"name": "all", "items": [{"t": 1, "rs": [{"v": 7}]}]}
    assert records(section, answer, {"date": date(2024, 5, 1)}) == [
        {
            **{"v": 7, "t": 1, "all": "all", "n": 0, "m": 0, "whole": {"v": 7}, "day": "2024-05-01"},
            **{"month": "in 2024-05", "kind": "hourly", "five": 5, "is_new": True, "half": 0.5},
            **{"none": None, "nothing": None},
        }
    ]


def test_others_are_kept_but_not_under_two_names():
    """What a field of another name takes is not there twice; a field of its own name is replaced."""
    section = ITEMS + 'others = "keep"\nfields = { b = "a", c = "length(c)", d = "{d}" }'
    assert records(section, {"items": [{"a": 1, "c": "xyz", "e": 2}]}, {"d": 4}) == [{"c": 3, "e": 2, "b": 1, "d": 4}]


def test_things_that_are_no_objects_become_records_by_their_fields():
    """Texts in a list, with what is round them; without fields they are an error."""
    answer = {"items": [{"id": 1, "tags": ["x", "y"]}]}
    assert records('records = "items[].tags[]"\nfields = { id = "^.id", tag = "@" }', answer) == [
        {"id": 1, "tag": "x"},
        {"id": 1, "tag": "y"},
    ]
    for section in ('records = "items[].tags[]"\ntrim = true', 'records = "items[].tags[]"'):
        with pytest.raises(Quarantined, match=r"^record 1 is a str, expected a dict"):
            records(section, answer)


def test_nothing_is_above_the_whole_answer():
    """A step too many is a mistake in the job, not a null."""
    with pytest.raises(Quarantined, match=r"^parse\.fields\.x goes 3 steps up"):
        records('records = "items[].rs[]"\nfields.x = "^^^.t"', {"items": [{"rs": [{}]}]})
    assert found_by(Within("a", 1), Node({}, 0, Node({"a": 1})), "x") == 1


def test_a_row_without_the_value_is_an_error_of_that_row():
    """As for a request."""
    with pytest.raises(Quarantined, match=r"parse\.fields: \{name\} in '\{name\}!' has no value"):
        records(ITEMS + 'fields.x = "{name}!"', {"items": [{}]})


@pytest.mark.parametrize(
    ("section", "before", "after"),
    [
        (
            'null = [-999, ""]',
            {"a": -999, "b": -999.0, "c": "", "d": "-999", "e": [""]},
            {"a": None, "b": None, "c": None, "d": "-999", "e": [""]},
        ),
        ("null.a = [0]", {"a": 0, "b": 0, "c": False}, {"a": None, "b": 0, "c": False}),
        ("null = [0]", {"a": False}, {"a": False}),
        ("null = [true]", {"a": True, "b": 1}, {"a": None, "b": 1}),
        ('null = -999\ntypes.a = "float"', {"a": "-999.00"}, {"a": None}),
        ('null = "NaN"\ntypes.a = "float"', {"a": "NaN"}, {"a": None}),
        ('null.a = ["NA", -1]\ntypes.a = "int"', {"a": "NA", "b": "NA"}, {"a": None, "b": "NA"}),
        ('types = { a = "int", b = "text" }', {"a": " ", "b": ""}, {"a": None, "b": ""}),
        ('types.a = "int"', {"a": None}, {"a": None}),
        ('types.a = "int"', {"b": 1}, {"b": 1}),
        ("trim = true", {"a": " x ", "b": 1}, {"a": "x", "b": 1}),
        ('trim = "a"', {"a": " x ", "b": " y "}, {"a": "x", "b": " y "}),
        ("unescape = true", {"a": "R&amp;D &lt;3 &eacute;"}, {"a": "R&D <3 é"}),
        ('unescape = ["b"]', {"a": "&amp;"}, {"a": "&amp;"}),
        ('extract.a = "n=([0-9]+)"\ntypes.a = "int"', {"a": "x n=12 y"}, {"a": 12}),
        ('extract.a = "[0-9]+"', {"a": "none", "b": "7"}, {"a": None, "b": "7"}),
        ('replace.a = { UK = "GB" }', {"a": "UK", "b": "UK"}, {"a": "GB", "b": "UK"}),
        ('replace.a = { 0 = "no", true = "yes" }', {"a": 0}, {"a": "no"}),
        ('replace.a = { 0 = "no", true = "yes" }', {"a": True}, {"a": "yes"}),
    ],
)
def test_values_are_cleaned(section, before, after):
    """Only what is named, in the order of docs/answers.md; True is not 1."""
    assert records(ITEMS + section, {"items": [before]}) == [after]


def test_c13_a_value_of_another_type_costs_its_answer():
    """The record, the field, the value and what was expected are named."""
    with pytest.raises(Quarantined) as caught:
        records(ITEMS + 'types.year = "int"', {"items": [{"year": 2000}, {"year": "20x1"}]})
    assert str(caught.value) == "record 2.year is '20x1': expected a whole number"


def test_c12_numbers_keep_their_digits():
    """Whole ones always; others as decimals and as text, wherever the job says so."""
    first = b'"i":123456789012345678901234567890,"d":12345678901234567890.123'
    body = b'{"items":[{' + first + b',"t":1.10,"o":1.10,"n":{"x":1.10}}]}'
    section = ITEMS + 'types = { d = "decimal", t = "text" }'
    assert parsed(section, body).lines == b"{" + first + b',"t":"1.10","o":1.1,"n":{"x":1.1}}\n'
    assert records(section + '\nfields = { d = "n.x", s = "sum([o, o])", b = "o > `1`" }', body) == [
        {"d": 1.1, "s": 2.2, "b": True}
    ]
    assert parsed(ITEMS + 'types.d = "decimal"', '{"items":[{"d":"1.50","e":null}]}').lines == b'{"d":1.50,"e":null}\n'


def test_a_shape_that_changes_nothing_is_plain():
    """Then records are encoded as they come, a thousand at a time."""
    assert Shape(records="a", key=("b",)).is_plain
    assert not Shape(records="a", types=(("b", "int"),)).is_plain
    assert not Shape(fields=(Field("a", 1),)).is_plain


STATIONS = Shape("stations", fields=(Field("id", Within("id")), Field("lat", Within("location.lat"))))
READINGS = Parsing(
    records="items[].rs[]",
    key=("id",),
    tables=(("stations", STATIONS), ("items", Shape("items", key=("t",)))),
)
ANSWER = {"stations": [{"id": "S1", "location": {"lat": 1.5}}], "items": [{"t": 1, "rs": [{"id": 7}]}]}


def test_one_answer_fills_several_tables():
    """Each with its own shape; the main one is where it always was."""
    found = parse(READINGS, as_json(ANSWER), {})
    assert (found.lines, found.records, len(found.record_keys)) == (b'{"id":7}\n', 1, 16)
    assert [side[:3] for side in found.tables] == [
        ("stations", b'{"id":"S1","lat":1.5}\n', 1),
        ("items", b'{"t":1,"rs":[{"id":7}]}\n', 1),
    ]
    assert all(len(side.record_keys) == 16 for side in found.tables)


def test_records_of_side_tables_are_told_apart_by_their_key():
    """By all their fields where none is named, in whatever order; and never taken for a record of another table."""

    def keys(shape: Shape, *found: dict[str, object], table: str = "t") -> list[bytes]:
        digests = parse(Parsing(records="x", tables=((table, shape),)), as_json({"a": found}), {}).tables[0].record_keys
        return [digests[place : place + 16] for place in range(0, len(digests), 16)]

    whole, keyed = Shape("a"), Shape("a", key=("id",))
    one, same = keys(whole, {"id": 1, "b": {"c": 1, "d": 2}}, {"b": {"d": 2, "c": 1}, "id": 1})
    assert one == same
    assert len({one, *keys(whole, {"id": 1, "b": 3}, {"id": 1}), *keys(keyed, {"id": 1, "b": 4})}) == 4
    assert len({*keys(keyed, {"id": 1, "b": 1}, {"id": 1, "b": 2})}) == 1
    assert keys(whole, {"id": 1}) != keys(whole, {"id": 1}, table="u")
    assert keys(keyed, {"id": 1}) != keys(keyed, {"id": 1}, table="u")
    with pytest.raises(Quarantined, match=r"^table 't': record 1 has no 'id', which write\.tables\.t\.key names"):
        keys(keyed, {"id": None})


def test_a_function_has_tables_beside_it_too(tmp_path):
    """Its own records are the main table."""
    (tmp_path / "one.py").write_text("def parse(body, row):\n    yield {'size': len(body)}\n")
    parsing = Parsing(file=str(tmp_path / "one.py"), function="parse", tables=(("stations", Shape("stations")),))
    found = parse(parsing, as_json(ANSWER), {})
    assert msgspec.json.decode(found.lines) == {"size": len(as_json(ANSWER))}
    assert found.tables[0].records == 1
