"""Whether a pattern is in a text, and by which library that is found out.

`re` goes all ways that a pattern offers, which can be more than there is time for. Where there are few, in a text so
long, it has the word. Else it is RE2's, where it is there and the pattern means the same to it; where not, it is the
limit on a record's time that ends the search.
"""

import math
import re
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from fetcher.annotate.linear import Untold, linear_search

MOST_STEPS = 1_000_000
"""About ten milliseconds."""

FEW_WAYS = 1000
"""At each place of a text, however long."""


def search_of(pattern: str) -> Callable[[str], object]:
    """What finds whether a pattern is in a text, upper and lower case alike: something true, or not."""
    search = re.compile(pattern, re.IGNORECASE).search
    longest = longest_text(pattern)
    linear = linear_search(pattern, re.IGNORECASE) if longest < math.inf else None
    if linear is None:
        return search

    def found(text: str) -> object:
        if len(text) <= longest:
            return search(text)
        try:
            return linear(text)
        except Untold:
            return search(text)

    return found


def longest_text(pattern: str) -> float:
    """How many characters `re` searches in a million steps, whatever they are; infinite where steps only grow with the
    text."""
    ways, degree = _of_sequence(import_module("re._parser").parse(pattern, re.IGNORECASE))
    if degree == 0 and ways <= FEW_WAYS:
        return math.inf
    return (MOST_STEPS / ways) ** (1 / (degree + 1)) if degree < math.inf else 0


def steps_a_place(pattern: str) -> float:
    """How many steps `re` takes at most at each place of a text; infinite where the text decides, and for what looks
    around."""
    if re.search(r"\(\?<?[=!]", pattern):  # they have no width, and take steps all the same
        return math.inf
    steps = import_module("re._parser").parse(pattern, re.IGNORECASE)
    ways, degree = _of_sequence(steps)
    return ways * max(1, steps.getwidth()[1]) if degree == 0 else math.inf


Ways = tuple[float, float]
"""How many ways there are through a part of a pattern, from one place of a text with n characters: the first number
times n to the power of the second."""


def _of_sequence(steps: Iterable[tuple[Any, Any]]) -> Ways:
    found = [_of_step(str(kind), told) for kind, told in steps]
    return math.prod(ways for ways, _ in found), sum(degree for _, degree in found)


def _of_step(kind: str, told: Any) -> Ways:
    match kind:
        case "SUBPATTERN" | "ASSERT" | "ASSERT_NOT":
            return _of_sequence(told[-1])
        case "ATOMIC_GROUP":
            return _of_sequence(told)
        case "BRANCH":
            return _of_one_of(told[1])
        case "GROUPREF_EXISTS":
            return _of_one_of([part for part in told[1:] if part is not None])
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
            return _of_repeat(told[0], told[1], _of_sequence(told[2]))
    return 1, 0


def _of_one_of(parts: Iterable[Any]) -> Ways:
    found = [_of_sequence(part) for part in parts]
    return sum(ways for ways, _ in found), max(degree for _, degree in found)


def _of_repeat(least: int, most: int, inner: Ways) -> Ways:
    """One way for each number of times, and for each time all ways of what is repeated."""
    ways, degree = inner
    if most > MOST_STEPS:
        return (1, 1) if ways == 1 and degree == 0 else (1, math.inf)
    if ways > 1 and most * math.log2(ways) > math.log2(MOST_STEPS):
        return 1, math.inf
    return (most - least + 1) * ways**most, degree * most
