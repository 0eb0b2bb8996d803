"""Paths that remember what is round a record."""

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import Quarantined
from fetcher.parse.exploding import explode, simply_found

PATHS = [
    "a[].b[]",
    "a[].b[].a[]",
    "[]",
    "a[]",
    "a[].b",
    "a[*].b",
    "a.b[].a",
    "a[?b].b[]",
    "*.b[]",
    "a | [].b",
    "a[1:].b",
    "a[0].b[]",
    "a[].b.a[]",
    "[].[a, b]",
    "[?a].b",
]

leaves = st.none() | st.integers(0, 3)
things = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=20,
)
documents = st.dictionaries(st.sampled_from("ab"), things, min_size=1) | st.lists(things)


@given(documents, st.sampled_from(PATHS))
def test_a_path_finds_what_jmespath_finds(document, path):
    """Whatever the document: the same things, in the same order, and nothing more."""
    expected = jmespath.search(path, document)
    assert [node.value for node in explode("parse.records", path, document)] == (expected or [])


@given(documents, st.sampled_from([*PATHS, "a.b[]", "a[].b.a[].b[]", "a . b [ ]"]))
def test_the_fast_way_finds_the_same_or_leaves_it(document, path):
    """It is for documents of the usual shape; whatever else there is, JMESPath looks."""
    found = simply_found(path, document)
    assert found is None or found == (jmespath.search(path, document) or [])


def test_the_fast_way_is_taken_where_it_can_be():
    """Objects in lists in lists: what most answers are."""
    answer = {"items": [{"readings": [{"v": 1}, {"v": 2}]}, {"readings": []}]}
    assert simply_found("items[].readings[]", answer) == [{"v": 1}, {"v": 2}]
    assert simply_found("[]", [{"v": 1}]) == [{"v": 1}]
    assert simply_found("items[0]", answer) is None


readings = st.lists(st.fixed_dictionaries({"v": st.integers()}))


@given(st.lists(st.fixed_dictionaries({"t": st.integers(), "rs": readings})))
def test_every_record_knows_its_parents_and_its_place(items):
    """A naive nested loop finds the same."""
    answer = {"items": items}
    found = []
    for node in explode("parse.records", "items[].rs[]", answer):
        item = node.above
        assert item
        assert item.above
        found.append((node.value, node.position, item.value, item.position, item.above.value))
    naive = [
        (reading, place, item, number, answer)
        for number, item in enumerate(items)
        for place, reading in enumerate(item["rs"])
    ]
    assert found == naive


@pytest.mark.parametrize(
    ("path", "parents"),
    [
        ("features[].properties", [{"id": 1, "properties": {"m": 2}}, "all"]),
        ("features", ["all"]),
        ("features[0]", ["all"]),
        ("features[?id].properties", [{"id": 1, "properties": {"m": 2}}, "all"]),
        ("{x: features}", ["all"]),
    ],
)
def test_what_is_round_a_record_is_a_list_element_or_everything(path, parents):
    """An object on the way that is in no list is passed over."""
    answer = {"features": [{"id": 1, "properties": {"m": 2}}]}
    (node,) = explode("parse.records", path, answer)
    above, place = [], node.above
    while place:
        above.append("all" if place.value is answer else place.value)
        place = place.above
    assert above == parents


@pytest.mark.parametrize(("path", "reason"), [("a", "finds an int"), ("length(b)", "cannot be applied")])
def test_a_path_that_finds_no_records_says_so(path, reason):
    """The key of the job is named."""
    with pytest.raises(Quarantined, match=rf"^parse\.records {reason}"):
        list(explode("parse.records", path, {"a": 5}))
