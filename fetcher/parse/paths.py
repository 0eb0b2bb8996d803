"""Looking into a JSON answer by path (JMESPath)."""

import codecs
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec

from fetcher.errors import Quarantined


def decode(body: bytes) -> object:
    """The answer in a body. Raises `Quarantined` where it is no JSON."""
    try:
        return msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8))
    # ValueError: msgspec's own errors, and Python's where text is not UTF-8.
    except (ValueError, RecursionError) as error:
        raise Quarantined(f"the answer is not JSON: {error}") from error


def search(key: str, path: str, answer: object) -> object:
    """What lies at a path; `key` names it in the job. Raises `Quarantined` where it cannot be applied."""
    try:
        return _compiled(path)(answer)
    # ValueError: jmespath's own errors, and Python's.
    except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise Quarantined(f"{key} cannot be applied to this answer: {error}") from error


@lru_cache
def _compiled(path: str) -> Callable[[Any], object]:
    import jmespath

    found: Callable[[Any], object] = jmespath.compile(path).search
    return found
