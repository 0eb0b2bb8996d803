"""Searches by RE2 find what Python finds."""

import re
import sys

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fetcher.annotate.linear import Untold, linear_search

LONG_S, KELVIN, DOTTED = "\u017f", "\u212a", "\u0130"
CHARACTERS = [
    *"aAbkKsSi_1 -\n\r\t\v\f\x1c\x85\0",
    "é",
    "É",
    "ß",
    "ẞ",
    LONG_S,
    KELVIN,
    DOTTED,
    "٣",
    "\u00a0",
    "\u2019",
    "日",
    "\u0301",
]
ONES = [
    ".",
    r"\w",
    r"\W",
    r"\d",
    r"\D",
    r"\s",
    r"\S",
    "[ab]",
    "[^ab]",
    "[a-k]",
    "[^a-k]",
    r"[\s\d]",
    r"[^\W_]",
    "[à-ÿ]",
    "[k-s]",
]
PLACES = ["^", "$", r"\A", r"\Z", r"\b", r"\B"]
ATOMS = st.one_of(st.sampled_from(CHARACTERS).map(re.escape), st.sampled_from(ONES), st.sampled_from(PLACES))
REPEATS = ["?", "*", "+", "{2}", "{0,2}", "{1,}", "??", "*?", "+?"]
FLAGS = ["", "-i", "a", "s", "m", "im"]
PATTERNS = st.recursive(
    st.lists(ATOMS, min_size=1, max_size=4).map("".join),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("|".join),
        st.tuples(inner, st.sampled_from(REPEATS)).map(lambda told: f"(?:{told[0]}){told[1]}"),
        st.tuples(inner, inner).map("".join),
        inner.map(lambda told: f"({told})"),
        st.tuples(st.sampled_from(FLAGS), inner).map(lambda told: f"(?{told[0]}:{told[1]})"),
    ),
    max_leaves=5,
)
TEXTS = st.lists(st.sampled_from(CHARACTERS), max_size=8).map("".join)


def found(pattern: str, text: str) -> bool | None:
    """By RE2; None where it is not asked."""
    search = linear_search(pattern, re.IGNORECASE)
    if search is None:
        return None
    try:
        return search(text)
    except Untold:
        return None


@settings(max_examples=500)
@given(PATTERNS, TEXTS)
@example("a$", "a\n")
@example("a$", "a\n\n")
@example(r"\s", "\v")
@example(r"\s", "\x1c")
@example("k", KELVIN)
@example("i", DOTTED)
@example(r"\bé\b", "é")
@example("(?m:^a$)", "b\na\n")
@example("(?:a|b??)*$", "ab")
@example("a$\n", "a\n")
@example("(?:a$|\n){2}", "a\n")
@example(r"(?a:\s)", "\x1c")
@example("[\v-\r\x1c- ]|\\sb|a$", "a\x85")
def test_re2_finds_what_python_finds(pattern, text):
    """Whatever is asked of characters, borders, line ends, case and alphabets: labels must not depend on what is
    installed. What it would find otherwise it is not asked."""
    if (is_found := found(pattern, text)) is not None:
        assert is_found == (re.search(pattern, text, re.IGNORECASE) is not None)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(\w+\s*)+!", "déjà vu " * 10_000),
        ("(a+)+$", "a" * 50_000 + "b"),
        (".*a.*a.*a.*b", "a" * 50_000),
        ("(a?){40}a{40}b", "a" * 39),
    ],
)
def test_no_pattern_runs_away(pattern, text):
    """Python would be at one of these for longer than the test; so it is not compared."""
    assert found(pattern, text) is False


@pytest.mark.parametrize(
    "pattern", [r"(a|b)\1", "a(?=b)", "(?<!a)b", "(a)?(?(1)b|c)", "(?:a$)?b", r"(?a:\b)", "(?:a{1000}){1000}"]
)
def test_what_re2_cannot_do_is_told(pattern):
    """It goes to `re`."""
    assert linear_search(pattern, re.IGNORECASE) is None


@pytest.mark.skipif(sys.version_info < (3, 11), reason="newer syntax")
@pytest.mark.parametrize("pattern", ["a++b", "(?>a|ab)c"])
def test_what_takes_nothing_back_is_no_pattern_for_re2(pattern):
    """It finds less than its letters say."""
    assert linear_search(pattern, re.IGNORECASE) is None


def test_most_texts_can_be_told():
    """Letters, accents, quotes, scripts: else this would be of little use."""
    for text in ("déjà vu", "\u201cquoted\u201d \u2013 it\u2019s", "日本語 text", "٣ days", "tab\there", "emoji 🎉"):
        assert found(r"\bnever\s+(came|arrived)\b|\d+ days?", text) is not None


def test_without_the_extra_there_is_none(monkeypatch):
    """Then it is `re` that searches."""
    monkeypatch.setitem(sys.modules, "re2", None)
    assert linear_search("a+b+", re.IGNORECASE) is None
