from decimal import Decimal

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.fetch.structured import LONGEST, dictionary, list_items

KEYS = st.from_regex(r"[a-z*][a-z0-9_.*-]{0,5}", fullmatch=True)
VALUES = st.one_of(
    st.integers(-(10**15) + 1, 10**15 - 1),
    st.decimals(-(10**11), 10**11, places=3),
    st.booleans(),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8),
    st.binary(max_size=8),
)
ITEMS = st.tuples(VALUES, st.dictionaries(KEYS, VALUES, max_size=3))
LISTS = st.lists(ITEMS, min_size=1, max_size=4)


@pytest.mark.parametrize(
    ("field", "items"),
    [
        ("", []),
        ('"burst"', [("burst", {})]),
        ('"burst";r=50;t=30, "daily";r=999', [("burst", {"r": 50, "t": 30}), ("daily", {"r": 999})]),
        ('"burst" \t,\t "daily"', [("burst", {}), ("daily", {})]),
        ('"a";  r=1', [("a", {"r": 1})]),
        (r'"say \"hi\" \\"', [('say "hi" \\', {})]),
        ('"a";pk=:dHJpYWw=:', [("a", {"pk": b"trial"})]),
        ('"a";r=-7;s=1.5;yes;no=?0', [("a", {"r": -7, "s": Decimal("1.5"), "yes": True, "no": False})]),
        ('"a";r=1;r=2', [("a", {"r": 2})]),
        ("100;w=60", [(100, {"w": 60})]),
        ('("a" "b");r=1', [([("a", {}), ("b", {})], {"r": 1})]),
    ],
)
def test_a_list_is_read(field, items):
    """RFC 9651 section 4.2.1: each kind of item, with its parameters; of a repeated parameter the last."""
    assert list_items([field]) == items


@pytest.mark.parametrize(
    "field",
    [
        '"unclosed',
        '"a',
        '"a"b',
        '"a" "b"',
        '"a",',
        ',"a"',
        '"a";',
        '"a";;r=1',
        '"a" ;r=1',
        '"a";R=1',
        '"a";r=',
        '"a";r=1.2345',
        '"a";r=1.',
        '"a";r=1000000000000000',
        '"a";r=--1',
        '"a";r=+1',
        '"a";pk=:d=:',
        '"a";pk=:YQ',
        '"a";b=?2',
        '("a" "b"',
        '"tab\there"',
        '"back\\slash"',
        '"umläut"',
        '"a"\x00',
        '"good", "unclosed',
    ],
)
def test_one_fault_discards_the_whole_field(field):
    """RFC 9651 section 4.2: nothing is saved of what was good before it."""
    assert list_items([field]) is None


@given(LISTS, st.data())
def test_what_was_written_is_read_again(items, data):
    """Split over lines wherever a comma stands between items, too (section 4.2)."""
    lines = [http_sf.ser([item]) for item in items]
    assert list_items(lines) == items
    cut = data.draw(st.integers(0, len(lines)))
    assert list_items([part for half in (lines[:cut], lines[cut:]) if (part := ", ".join(half))]) == items


@given(st.lists(st.text(), max_size=3))
def test_no_text_breaks_it(lines):
    """None, or a list."""
    assert list_items(lines) is None or isinstance(list_items(lines), list)
    assert dictionary(lines) is None or isinstance(dictionary(lines), dict)


def test_a_field_that_is_too_long_is_none():
    """Whatever it says, it says it to keep us busy."""
    item = '"a";r=1'
    most = (LONGEST + 2) // (len(item) + 2)
    assert list_items([item] * most) is not None
    assert list_items([item] * (most + 1)) is None


def test_a_dictionary_is_read():
    """Members with their parameters; it is no list."""
    assert dictionary(["limit=100, remaining=50;x=1"]) == {"limit": (100, {}), "remaining": (50, {"x": 1})}
    assert dictionary(['"a"']) is None
    assert list_items(["limit=100"]) is None
