"""Words and phrases in a text, many at once.

With the extra `[annotate]` one pass of an Aho-Corasick automaton finds all of them; without it each is looked for by
itself, which is as fast for a few dozen. Both give the same.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any, Protocol


class Terms(Protocol):
    """Terms of several rules, to be found in a text."""

    def found(self, text: str) -> dict[int, str]:
        """{number of a rule: the first of its terms that is in the text, by where it ends}."""


def terms_of(by_rule: Sequence[Sequence[str]]) -> Terms:
    """What finds these terms: an automaton where there are some and the package for it."""
    owners: dict[str, list[tuple[int, str]]] = {}
    for number, terms in enumerate(by_rule):
        for term in terms:
            owners.setdefault(folded(term.removesuffix("*")), []).append((number, term))
    try:
        library = import_module("ahocorasick")
    except ImportError:
        return EachTerm(owners)
    return Automaton(owners, library) if owners else EachTerm(owners)


def folded(text: str) -> str:
    """In lower case, with one blank where there is white space. Lengths may change; so may nothing else."""
    lower = text.lower()
    return lower if lower.isalnum() else _one_blank(lower)


def _one_blank(text: str) -> str:
    if "  " in text or "\n" in text or "\t" in text or "\r" in text or "\u00a0" in text:
        return " ".join(text.split())
    return text


def stands_alone(text: str, begin: int, end: int, term: str) -> bool:
    """Whether text[begin:end] is a word of its own, or for `deliver*` the beginning of one."""
    if begin and _is_inside(text[begin - 1], text[begin]):
        return False
    return term.endswith("*") or end == len(text) or not _is_inside(text[end], text[end - 1])


def _is_inside(outer: str, inner: str) -> bool:
    """Whether two neighbours belong to one word; a term that ends with `+` is not kept from a letter beside it."""
    return (outer.isalnum() or outer == "_") and (inner.isalnum() or inner == "_")


class Automaton:
    """All terms in one pass."""

    def __init__(self, owners: dict[str, list[tuple[int, str]]], library: Any) -> None:
        self._automaton = library.Automaton()
        for term, rules in owners.items():
            self._automaton.add_word(term, (len(term), rules))
        self._automaton.make_automaton()

    def found(self, text: str) -> dict[int, str]:
        """See `Terms`."""
        text = folded(text)
        found: dict[int, str] = {}
        for last, (length, rules) in self._automaton.iter(text):
            for number, term in rules:
                if number not in found and stands_alone(text, last + 1 - length, last + 1, term):
                    found[number] = term
        return found


class EachTerm:
    """Each term by itself."""

    def __init__(self, owners: dict[str, list[tuple[int, str]]]) -> None:
        self._owners = owners

    def found(self, text: str) -> dict[int, str]:
        """See `Terms`."""
        text = folded(text)
        ends: dict[int, tuple[int, int, str]] = {}
        for word, rules in self._owners.items():
            if word in text:
                for number, term in rules:
                    end = self._first_end(text, word, term)
                    # The automaton tells of the longest of those that end together first.
                    if end and (number not in ends or (end, -len(word)) < ends[number][:2]):
                        ends[number] = (end, -len(word), term)
        return {number: term for number, (_, _, term) in ends.items()}

    @staticmethod
    def _first_end(text: str, word: str, term: str) -> int:
        begin = text.find(word)
        while begin >= 0:
            if stands_alone(text, begin, begin + len(word), term):
                return begin + len(word)
            begin = text.find(word, begin + 1)
        return 0
