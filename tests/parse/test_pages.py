"""What an answer says about its pages, and what tells its records apart."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import Quarantined
from fetcher.model import PageFacts
from fetcher.parse.pages import PagePaths, page_facts
from fetcher.parse.records import Parsed, Parsing, parse

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text()
FACTS = ("next", "more", "total", "pages")


def parsed(answer: object, **keys: Any) -> Parsed:
    return parse(Parsing(records="items", **keys), json.dumps(answer).encode(), {})


@given(st.fixed_dictionaries(dict.fromkeys(FACTS, SCALARS)), st.integers(0, 5))
def test_facts_are_handed_on_as_the_answer_has_them(told, records):
    """Text, numbers, flags, null: what they mean is decided elsewhere. Items are the records unless a path says."""
    paths = PagePaths(**{name: f"meta.{name}" for name in FACTS})
    assert page_facts(paths, {"meta": told}, records) == PageFacts(items=records, records=records, **told)


def test_what_the_job_does_not_look_for_is_nothing():
    """An answer may hold all of it: without a path it says nothing."""
    answer = {"next": "x", "more": True, "total": 3, "pages": 1, "items": [1, 2]}
    assert page_facts(PagePaths(), answer, 2) == PageFacts(items=2, records=2)
    assert page_facts(PagePaths("a.b", "a.b", "a.b", "a.b", "a.b"), answer, 2) == PageFacts(items=0, records=2)


@pytest.mark.parametrize(("items", "count"), [([], 0), ([1, None, {}], 3), ({}, 0), ({"a": 1, "b": 2}, 2), (None, 0)])
def test_items_count_what_the_server_counts(items, count):
    """A parser may make more records of an item, or fewer."""
    assert page_facts(PagePaths(items="data"), {"data": items}, 99).items == count


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        (PagePaths(items="data"), r"fetch\.pages\.items is str, expected a list"),
        (PagePaths(next="list"), r"fetch\.pages\.next finds a list, expected a text, a number or a flag"),
        (PagePaths(more="table"), r"fetch\.pages\.more finds a dict"),
        (PagePaths(total="table"), r"fetch\.pages\.total finds a dict"),
        (PagePaths(pages="list"), r"fetch\.pages\.pages finds a list"),
        (PagePaths(total="length(data.x)"), r"fetch\.pages\.total cannot be applied to this answer"),
    ],
)
def test_what_cannot_be_a_fact_is_set_aside_and_named(paths, message):
    """A path that is wrong must not look like an end."""
    with pytest.raises(Quarantined, match=message):
        page_facts(paths, {"data": "text", "list": [1], "table": {"a": 1}}, 1)


def test_facts_come_with_the_records_only_where_the_job_has_pages():
    """And beside a function of the job's own, which sees the same body."""
    answer = {"items": [{"id": 1}], "next": "c"}
    assert parsed(answer).facts is None
    assert parsed(answer, pages=PagePaths(next="next")).facts == PageFacts(next="c", items=1, records=1)


def test_facts_are_found_beside_a_function(tmp_path):
    """It yields what it likes; its records are counted, the paths are the job's."""
    (tmp_path / "two.py").write_text("def parse(body, row):\n    return [{'n': 1}, {'n': 2}]\n")
    parsing = Parsing(file=str(tmp_path / "two.py"), function="parse", pages=PagePaths(more="more"))
    assert parse(parsing, b'{"more": true}', {}).facts == PageFacts(more=True, items=2, records=2)
    with pytest.raises(Quarantined, match="not JSON"):
        parse(parsing, b"<html>", {})


@given(st.lists(st.fixed_dictionaries({"id": st.integers(0, 5), "part": st.sampled_from("ab"), "x": st.integers()})))
def test_records_have_equal_keys_where_the_fields_named_are_equal(records):
    """16 bytes a record, in order, whatever else a record holds."""
    keys = parsed({"items": records}, key=("id", "part")).record_keys
    each = [keys[at : at + 16] for at in range(0, len(keys), 16)]
    assert len(each) == len(records)
    for one, key in zip(records, each, strict=True):
        for other, another in zip(records, each, strict=True):
            assert (key == another) == ((one["id"], one["part"]) == (other["id"], other["part"]))


def test_keys_tell_types_and_fields_apart():
    """The number 1, the text "1" and true are three ids; neighbours do not run into each other."""
    pairs = [(1, ""), ("1", ""), (True, ""), (1.5, ""), ("a", "b"), ("ab", ""), ('a","b', ""), ([1], {"a": 1})]
    keys = parsed({"items": [{"a": a, "b": b} for a, b in pairs]}, key=("a", "b")).record_keys
    assert len({keys[at : at + 16] for at in range(0, len(keys), 16)}) == len(pairs)


@pytest.mark.parametrize("broken", [{"id": 3}, {"id": 3, "part": None}, {}])
@pytest.mark.parametrize("before", [0, 2, 1500])
def test_a_record_without_its_key_is_named(broken, before):
    """The record by its number, the field by its name; null is no key either."""
    records = [{"id": number, "part": "a"} for number in range(before)]
    missing = "part" if broken else "id"
    with pytest.raises(Quarantined, match=rf"record {before + 1} has no '{missing}', which write\.key names"):
        parsed({"items": [*records, broken]}, key=("id", "part"))


def test_a_job_without_a_key_makes_none():
    """Nothing is hashed for nobody."""
    assert parsed({"items": [{"id": 1}]}).record_keys == b""
