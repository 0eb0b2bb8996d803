"""What a regular expression cannot do without, so that most texts need not be searched by it. Pure.

A search that ignores case takes a hundred times as long as a look for a word. The parts are in lower case, of ASCII
and without white space: in a text of ASCII, lowered, one of them is there wherever the expression is found.
"""

import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any

SHORTEST = 2
MOST = 50

Parts = tuple[str, ...]


def needed_parts(pattern: str) -> Parts:
    """Texts of which one is in every text that the pattern is found in; none where nothing is known of it."""
    parser = import_module("re._parser")
    parts = _of_sequence(parser.parse(pattern, re.IGNORECASE))
    return parts if 0 < len(parts) <= MOST and all(len(part) >= SHORTEST for part in parts) else ()


def _of_sequence(steps: Iterable[tuple[Any, Any]]) -> Parts:
    """Of what follows each other all is needed: the parts of which the shortest is longest."""
    options: list[Parts] = []
    run = ""
    for kind, told in steps:
        letter = chr(told) if str(kind) == "LITERAL" and told < 128 else ""
        if letter.strip():
            run += letter.lower()
            continue
        options += [(run,)] if run else []
        run = ""
        options.append(_of_step(str(kind), told))
    options += [(run,)] if run else []
    return max(options, key=_worth, default=())


def _of_step(kind: str, told: Any) -> Parts:
    match kind:
        case "SUBPATTERN":
            return _of_sequence(told[-1])
        case "ATOMIC_GROUP":
            return _of_sequence(told)
        case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT" if told[0] > 0:
            return _of_sequence(told[2])
        case "BRANCH":
            branches = [_of_sequence(branch) for branch in told[1]]
            return tuple(dict.fromkeys(part for parts in branches for part in parts)) if all(branches) else ()
    return ()


def _worth(parts: Parts) -> int:
    return min(map(len, parts), default=0)
