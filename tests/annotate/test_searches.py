"""Which library a pattern is searched by."""

import math
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.annotate import searches
from fetcher.annotate.rules import Rule, Rules
from fetcher.annotate.searches import longest_text, search_of, steps_a_place
from tests.annotate.test_linear import PATTERNS, TEXTS


@pytest.mark.parametrize(
    ("pattern", "longest"),
    [
        ("refund(ed)?", math.inf),
        (r"\bno (answer|reply)\b", math.inf),
        (r"(\d{1,3}){2}", math.inf),
        ("a{1000}", math.inf),
        (".{0,999}a", math.inf),
        (".{0,9999}a", 100),
        (r"never\s+came", 1000),
        (r"never\s+(came|arrived)", 707),
        (r"\w+ \w+", 100),
        ("(?:a+b){3}", 32),
        ("(a+)+$", 0),
        ("(ab|b)*c", 0),
        ("(a?){30}a{30}", 0),
        (r"(?=\w+ \w+)a", 100),
        (r"(a)?(?(1)b+|c)", 500),
        ("(?>a+)b++", 100),
    ],
)
def test_how_long_a_text_may_be_for_python(pattern, longest):
    """A million steps: one way for each number of times, at each place. Where ways grow with their own number, none."""
    assert longest_text(pattern) == pytest.approx(longest, rel=0.02)


@pytest.mark.parametrize(
    ("pattern", "steps"),
    [
        ("fell apart|came loose", 20),
        ("refund(ed|s)", 16),
        (r"\w{2000}!", 2001),
        (r"(?:\w\w?){9}!", 512 * 19),
        (r"never\s+came", math.inf),
        (r"a(?=\w{2000}!)", math.inf),
        (r"(?<!un)done", math.inf),
    ],
)
def test_how_many_steps_python_takes_at_a_place(pattern, steps):
    """Each way, as long as it may be. What looks around has no length that is told."""
    assert steps_a_place(pattern) == steps


@given(st.lists(PATTERNS, min_size=1, max_size=3), st.lists(TEXTS, max_size=3))
def test_labels_are_the_same_with_and_without_the_extra(patterns, texts):
    """Whatever the patterns ask."""
    rules = tuple(Rule(f"{place}", patterns=(pattern,)) for place, pattern in enumerate(patterns))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searches, "longest_text", lambda pattern: 0)
        found = Rules(rules).matches_among(texts)
        patch.setitem(sys.modules, "re2", None)
        assert found == Rules(rules).matches_among(texts)


@pytest.mark.parametrize("pattern", ["(a+)+$", r"(\w+\s?)*!", ".*a.*a.*a.*a.*b"])
@pytest.mark.parametrize("letter", ["", "\u00e9"])
def test_rules_do_not_run_away(pattern, letter):
    """Nor where the text has other letters than those of ASCII."""
    assert not search_of(pattern)(letter + "a" * 20_000 + "-")
    assert search_of("(a+)+b")(letter + "a" * 20_000 + "b")
