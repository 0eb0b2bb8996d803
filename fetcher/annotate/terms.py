"""Words and phrases in a text, many at once.

With the extra `[annotate]` one pass of an Aho-Corasick automaton finds all of them; without it each is looked for by
itself, which is as fast for a few dozen. Both give the same.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import accumulate
from typing import Any, NamedTuple, Protocol, Self

BORDER = "\n"
"""Between texts that are searched as one; in no term, and part of no word."""

ANYWHERE = ""
"""In the place of a term: found also within a word, such as what a pattern cannot do without."""

Owners = Mapping[str, Sequence[tuple[int, str]]]
"""{what is looked for, folded: [(number of whose it is, the term as it was written)]}"""


class Terms(Protocol):
    """Terms of several rules, to be found in texts."""

    def found_among(self, texts: Sequence[str]) -> dict[int, dict[int, str]]:
        """{place of a text: {number of a rule: the first of its terms that is in the text, by where it ends}}; texts
        without any are absent."""


def terms_of(by_rule: Sequence[Sequence[str]], anywhere: Sequence[Sequence[str]] = ()) -> Terms:
    """What finds these terms: an automaton where there are some and the package for it.

    Of `anywhere`, texts in lower case that may stand within words, the first is numbered behind the last rule.
    """
    owners: dict[str, list[tuple[int, str]]] = {}
    for number, terms in enumerate(by_rule):
        for term in terms:
            owners.setdefault(folded(term.removesuffix("*")), []).append((number, term))
    for number, parts in enumerate(anywhere, len(by_rule)):
        for part in parts:
            owners.setdefault(part, []).append((number, ANYWHERE))
    try:
        library = import_module("ahocorasick_rs")
    except ImportError:
        return EachTerm(owners)
    return Automaton(owners, library) if owners else EachTerm(owners)


def folded(text: str) -> str:
    """In lower case, with one blank where there is white space. Lengths may change; so may nothing else."""
    return _one_blank(text.lower())


def _one_blank(text: str) -> str:
    if "  " in text or "\n" in text or "\t" in text or "\r" in text or "\u00a0" in text:
        return " ".join(text.split())
    return text


def stands_alone(text: str, begin: int, end: int, term: str) -> bool:
    """Whether text[begin:end] is a word of its own, or for `deliver*` the beginning of one."""
    if term == ANYWHERE:
        return True
    if begin and _is_inside(text[begin - 1], text[begin]):
        return False
    return term.endswith("*") or end == len(text) or not _is_inside(text[end], text[end - 1])


def _is_inside(outer: str, inner: str) -> bool:
    """Whether two neighbours belong to one word; a term that ends with `+` is not kept from a letter beside it."""
    return is_of_word(outer) and is_of_word(inner)


def is_of_word(character: str) -> bool:
    """Whether words are made of it."""
    return character.isalnum() or character == "_"


class Wanted(NamedTuple):
    """A term of a rule, and whether nothing of a word may stand before and behind it."""

    number: int
    term: str
    begins_word: bool
    ends_word: bool

    @classmethod
    def of(cls, number: int, term: str, text: str) -> Self:
        """A term whose `text` is looked for."""
        is_anywhere = term == ANYWHERE
        ends_word = not is_anywhere and not term.endswith("*") and is_of_word(text[-1])
        return cls(number, term, not is_anywhere and is_of_word(text[0]), ends_word)


class Automaton:
    """All terms in one pass over all texts: half the time of one by one."""

    def __init__(self, owners: Owners, library: Any) -> None:
        self._wanted = [[Wanted.of(number, term, text) for number, term in of] for text, of in owners.items()]
        self._has_phrases = any(" " in term for term in owners)
        self._search = library.AhoCorasick(list(owners)).find_matches_as_indexes

    def found_among(self, texts: Sequence[str]) -> dict[int, dict[int, str]]:
        """See `Terms`."""
        joined = BORDER.join(texts)
        if not joined.isascii():  # lower case may be longer, and half a character is none
            texts = [folded(text).encode("utf-8", "replace").decode() for text in texts]
            joined = BORDER.join(texts)
        elif self._has_phrases:
            texts = [_one_blank(text) for text in texts]
            joined = BORDER.join(texts).lower()
        else:
            joined = joined.lower()
        joined += BORDER  # so that something stands behind the last text, and before the first one
        found: dict[int, dict[int, str]] = {}
        ends = list(accumulate([len(text) + 1 for text in texts]))
        for which, begin, end in self._search(joined, overlapping=True):
            for number, term, begins_word, ends_word in self._wanted[which]:
                if (begins_word and is_of_word(joined[begin - 1])) or (ends_word and is_of_word(joined[end])):
                    continue
                found.setdefault(bisect_right(ends, begin), {}).setdefault(number, term)
        return found


class EachTerm:
    """Each term by itself."""

    def __init__(self, owners: Owners) -> None:
        self._owners = owners

    def found_among(self, texts: Sequence[str]) -> dict[int, dict[int, str]]:
        """See `Terms`."""
        return {place: found for place, text in enumerate(texts) if (found := self._found(folded(text)))}

    def _found(self, text: str) -> dict[int, str]:
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
