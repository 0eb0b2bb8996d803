"""Labels by rules: words and phrases, patterns, and what speaks against them. Pure, and made anew in each worker.

A term is found where it stands as a word of its own, upper and lower case alike; `deliver*` also where it begins one.
Labels come in the order of their priority, then of the rules.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from fetcher.annotate.terms import Terms, terms_of


@dataclass(frozen=True, slots=True)
class Rule:
    """One label, and what gives it: any of `terms` and `patterns` (regular expressions), unless any of `unless`."""

    label: str
    terms: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    unless: tuple[str, ...] = ()
    priority: int = 0


@dataclass(frozen=True)
class Rules:
    """All rules of one annotator, in the order in which their labels are given."""

    rules: tuple[Rule, ...] = field(default=())

    @classmethod
    def ordered(cls, rules: Iterable[Rule]) -> "Rules":
        """Those rules, the highest priority first; among equals as they were."""
        return cls(tuple(sorted(rules, key=lambda rule: -rule.priority)))

    def matches(self, text: str) -> dict[str, str]:
        """{label: what gave it, as the rule has it}; of several rules with one label the first one's."""
        found = self._terms.found(text)
        matched: dict[str, str] = {}
        for number, rule in enumerate(self.rules):
            if rule.label in matched:
                continue
            because = found.get(number) or self._pattern(number, text)
            if because and not (rule.unless and self._unless.found(text).get(number)):
                matched[rule.label] = because
        return matched

    def labels(self, text: str) -> list[str]:
        """The labels of a text."""
        if self._is_plain:
            return self._plain_labels(self._terms.found(text))
        return list(self.matches(text))

    def _plain_labels(self, found: Mapping[int, str]) -> list[str]:
        """The way of most: terms alone decide."""
        if not found:
            return []
        return list(dict.fromkeys(self.rules[number].label for number in sorted(found)))

    def _pattern(self, number: int, text: str) -> str:
        for pattern in self._patterns[number]:
            if pattern.search(text):
                return pattern.pattern
        return ""

    @cached_property
    def _is_plain(self) -> bool:
        return not any(rule.patterns or rule.unless for rule in self.rules)

    @cached_property
    def _terms(self) -> Terms:
        return terms_of([rule.terms for rule in self.rules])

    @cached_property
    def _unless(self) -> Terms:
        return terms_of([rule.unless for rule in self.rules])

    @cached_property
    def _patterns(self) -> Sequence[Sequence[re.Pattern[str]]]:
        return [[re.compile(pattern, re.IGNORECASE) for pattern in rule.patterns] for rule in self.rules]
