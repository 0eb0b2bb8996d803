"""Labels by words, phrases and patterns."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.annotate.rules import Rule, Rules
from fetcher.annotate.terms import EachTerm, folded, terms_of

WORDS = ["late", "lat", "ate", "delivery", "deliver*", "late delivery", "c++", "not", "a", "été", "de"]
TEXTS = st.lists(
    st.sampled_from([*WORDS, "Late", "DELIVERY", "delivered", "plate", "late-delivery", "\n", "_", "x", ".", "C++"])
).flatmap(lambda words: st.sampled_from([" ", "", "  ", ", "]).map(lambda joint: joint.join(words)))


def each_of(by_rule):
    """What runs without the extra."""
    owners: dict[str, list[tuple[int, str]]] = {}
    for number, terms in enumerate(by_rule):
        for term in terms:
            owners.setdefault(folded(term.removesuffix("*")), []).append((number, term))
    return EachTerm(owners)


def naive(text: str, term: str) -> bool:
    """A term in a text, as the documentation says it: a word of its own."""
    inside = r"[^\W]"
    word = folded(term.removesuffix("*"))
    before = rf"(?<!{inside})" if re.match(inside, word) else ""
    after = rf"(?!{inside})" if re.search(rf"{inside}$", word) and not term.endswith("*") else ""
    return re.search(before + re.escape(word) + after, folded(text)) is not None


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=4), max_size=5), st.lists(TEXTS, max_size=4))
def test_terms_are_found_the_same_with_and_without_the_automaton(by_rule, texts):
    """Labels must not depend on what is installed."""
    assert terms_of(by_rule).found_among(texts) == each_of(by_rule).found_among(texts)


@given(st.sampled_from(WORDS), TEXTS)
def test_a_term_is_found_where_it_is_a_word_of_its_own(term, text):
    """Against a regular expression with borders."""
    assert bool(terms_of([[term]]).found_among([text])) == naive(text, term)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("The delivery came late", ["logistics"]),
        ("DELIVERY: late!", ["logistics"]),
        ("a plate of cold food", []),
        ("delivered in time", ["logistics"]),
        ("did not\n arrive", ["logistics"]),
        ("Great quality, poor service", ["quality", "service"]),
        ("no complaints about quality", []),
        ("refunded at once", ["service"]),
        ("", []),
    ],
)
def test_labels_are_what_the_rules_say(text, labels):
    """Words, beginnings of words, phrases over line ends, patterns, and what speaks against."""
    rules = Rules.ordered(
        [
            Rule("service", ("service",), (r"refund(ed)?\b",)),
            Rule("quality", ("quality",), unless=("no complaints",), priority=1),
            Rule("logistics", ("late", "deliver*", "did not arrive")),
        ]
    )
    assert rules.labels(text) == labels
    assert list(rules.matches(text)) == labels


def test_labels_come_by_priority_then_in_the_order_of_the_rules():
    """The first one is the label where only one is wanted."""
    rules = Rules.ordered([Rule("a", ("x",)), Rule("b", ("x",), priority=5), Rule("c", ("x",)), Rule("a", ("y",))])
    assert rules.labels("x y") == ["b", "a", "c"]


def test_what_matched_is_told_as_the_rule_has_it():
    """So that whoever reads a label can see why."""
    rules = Rules.ordered([Rule("late", ("delay*", "too late"), ("overdue",))])
    assert rules.matches("it was Delayed") == {"late": "delay*"}
    assert rules.matches("way TOO  late") == {"late": "too late"}
    assert rules.matches("Overdue") == {"late": "overdue"}
