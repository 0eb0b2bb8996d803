"""Looking into an answer by path (JMESPath)."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from fetcher.errors import Quarantined

_NAMES = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)


def search(key: str, path: str, answer: object) -> object:
    """What lies at a path; `key` names it in the job. Raises `Quarantined` where it cannot be applied."""
    names = _names(path)
    if names:  # most paths are a name or two, and JMESPath takes ten times as long for them
        for name in names:
            answer = answer.get(name) if isinstance(answer, dict) else None
        return answer
    try:
        return _compiled(path)(answer)
    # ValueError: jmespath's own errors, and Python's.
    except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise Quarantined(f"{key} cannot be applied to this answer: {error}") from error


@lru_cache
def _names(path: str) -> tuple[str, ...]:
    """The names of a path that has nothing but names; else nothing."""
    return tuple(path.split(".")) if _NAMES.fullmatch(path) else ()


@lru_cache
def _compiled(path: str) -> Callable[[Any], object]:
    import jmespath

    found: Callable[[Any], object] = jmespath.compile(path).search
    return found


def kind_named(value: object) -> str:
    """What a value is, for messages: `a list`, `an int`, `None`."""
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
