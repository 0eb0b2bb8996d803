"""What patterns cannot do without."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fetcher.annotate.literals import needed_parts
from fetcher.annotate.rules import Rule, Rules

ATOMS = st.sampled_from(
    ["late", "sky", "La", "a", ".", r"\w", "[lL]ate", "\u00e9", "\u00df", " ", r"\s", r"\b", "^", "K", "x{2}"]
)
PATTERNS = st.recursive(
    st.lists(ATOMS, min_size=1, max_size=4).map("".join),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("|".join),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "{2}", "+?"])).map(lambda told: f"(?:{told[0]}){told[1]}"),
        st.tuples(inner, inner).map("".join),
        inner.map(lambda told: f"({told})"),
        inner.map(lambda told: f"(?-i:{told})"),
        inner.map(lambda told: f"(?={told})"),
    ),
    max_leaves=5,
)
LONG_S, KELVIN = "\u017f", "\u212a"
WORDS = [
    "late",
    "LATE",
    "lat",
    f"{LONG_S}ky",
    f"s{KELVIN}y",
    "Sky",
    "a",
    "x",
    "xx",
    "\u00e9",
    "\u00c9",
    "\u00df",
    "k",
    "la",
]
TEXTS = st.lists(st.sampled_from([*WORDS, LONG_S, KELVIN, " ", "  ", "\n", "."])).map("".join)


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("refund(ed)?", ("refund",)),
        (r"\bnever\s+(came|arrived)\b", ("never",)),
        ("(late|slow) delivery|lost", ("delivery", "lost")),
        ("RETURN(S|ED)", ("return",)),
        ("(?:abc)+", ("abc",)),
        ("(?:abc)*", ()),
        (r"\d+ days?", ("day",)),
        ("x|delivery", ()),
        (r"\w+", ()),
        ("é", ()),
        ("(?:late|.)z", ()),
    ],
)
def test_a_pattern_tells_what_it_needs(pattern, parts):
    """The longest text that is in each of its ways, in lower case; none where one way has none, or too short a one."""
    assert needed_parts(pattern) == parts


@given(PATTERNS, TEXTS)
@example("sky", f"{LONG_S}KY")
@example("sky", f"{LONG_S}ky and a clear sky")
def test_rules_find_what_the_pattern_finds(pattern, text):
    """A text is left out only where the pattern is not in it."""
    expected = re.search(pattern, text, re.IGNORECASE) is not None
    rules = Rules.ordered([Rule("other", ("x",)), Rule("found", patterns=(pattern,))])
    assert ("found" in rules.labels(text)) == expected
