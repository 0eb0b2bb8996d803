"""Labels by rules: words and phrases, patterns, and what speaks against them. Pure, and made anew in each worker.

A term is found where it stands as a word of its own, upper and lower case alike; `deliver*` also where it begins one.
Labels come in the order of their priority, then of the rules.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from fetcher.annotate.literals import Parts, needed_parts
from fetcher.annotate.searches import search_of, steps_a_place
from fetcher.annotate.terms import Terms, terms_of

QUICK_STEPS = 200
"""At each place of a text: for 50,000 characters ten millions, about 50 ms."""

NOTHING: Mapping[int, str] = {}


@dataclass(frozen=True, slots=True)
class Rule:
    """One label, and what gives it: any of `terms` and `patterns` (regular expressions), unless any of `unless`."""

    label: str
    terms: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression of a rule, by its number, and the parts of which a text of ASCII needs one to match."""

    rule: int
    told: str
    search: Callable[[str], object]
    parts: Parts

    @classmethod
    def of(cls, rule: int, told: str) -> Self:
        """Made from its text."""
        return cls(rule, told, search_of(told), needed_parts(told))


@dataclass(frozen=True)
class Rules:
    """All rules of one annotator, in the order in which their labels are given."""

    rules: tuple[Rule, ...] = field(default=())

    @classmethod
    def ordered(cls, rules: Iterable[Rule]) -> "Rules":
        """Those rules, the highest priority first; among equals as they were."""
        return cls(tuple(sorted(rules, key=lambda rule: -rule.priority)))

    def matches(self, text: str) -> Mapping[str, str]:
        """{label: what gave it, as the rule has it}; of several rules with one label the first one's."""
        return self.matches_among([text]).get(0, {})

    def matches_among(self, texts: Sequence[str]) -> dict[int, dict[str, str]]:
        """The matches of each text, by its place; texts without any are absent."""
        found = self._terms.found_among(texts)
        matched = {}
        for place in self._places(texts, found):
            if matches := self._matched(texts[place], found.get(place, NOTHING)):
                matched[place] = matches
        return matched

    @cached_property
    def may_take_long(self) -> bool:
        """Whether the patterns may take more than a moment for a text."""
        return sum(steps_a_place(told) for rule in self.rules for told in rule.patterns) > QUICK_STEPS

    def labels(self, text: str) -> list[str]:
        """The labels of a text."""
        return list(self.matches(text))

    def _places(self, texts: Sequence[str], found: Mapping[int, Mapping[int, str]]) -> Iterable[int]:
        """Texts that may have labels."""
        if self._unhinted:
            return range(len(texts))
        if self._patterned:
            return [place for place, text in enumerate(texts) if place in found or not text.isascii()]
        return found

    def _matched(self, text: str, found: Mapping[int, str]) -> dict[str, str]:
        matched: dict[str, str] = {}
        for number in self._candidates(text, found):
            rule = self.rules[number]
            if rule.label in matched:
                continue
            because = found.get(number) or self._pattern(number, text, found)
            if because and not (rule.unless and number in self._unless.found_among([text]).get(0, NOTHING)):
                matched[rule.label] = because
        return matched

    def _candidates(self, text: str, found: Mapping[int, str]) -> list[int]:
        """The rules that may give their label, in order."""
        others = self._unhinted if text.isascii() else self._patterned
        if len(found) == 1 and not others:
            return [self._owner[number] for number in found]
        hinted = map(self._owner.__getitem__, found)
        return sorted({*hinted, *others})

    def _pattern(self, number: int, text: str, found: Mapping[int, str]) -> str:
        is_ascii = text.isascii()
        for place in self._patterned.get(number, ()):
            pattern = self._patterns[place]
            is_hinted = not (pattern.parts and is_ascii) or len(self.rules) + place in found
            if is_hinted and pattern.search(text):
                return pattern.told
        return ""

    @cached_property
    def _terms(self) -> Terms:
        return terms_of([rule.terms for rule in self.rules], [pattern.parts for pattern in self._patterns])

    @cached_property
    def _unless(self) -> Terms:
        return terms_of([rule.unless for rule in self.rules])

    @cached_property
    def _patterns(self) -> Sequence[Pattern]:
        """Those of all rules, one after the other."""
        return [Pattern.of(number, told) for number, rule in enumerate(self.rules) for told in rule.patterns]

    @cached_property
    def _owner(self) -> Sequence[int]:
        """The rule that each number belongs to by which something is found: its own, or that of its pattern."""
        return [*range(len(self.rules)), *(pattern.rule for pattern in self._patterns)]

    @cached_property
    def _patterned(self) -> dict[int, list[int]]:
        """{number of a rule: the places of its patterns among all}."""
        places: dict[int, list[int]] = {}
        for place, pattern in enumerate(self._patterns):
            places.setdefault(pattern.rule, []).append(place)
        return places

    @cached_property
    def _unhinted(self) -> frozenset[int]:
        """Rules with a pattern that every text has to be searched by."""
        return frozenset(pattern.rule for pattern in self._patterns if not pattern.parts)
