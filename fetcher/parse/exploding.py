"""A path (JMESPath) that remembers where each thing it finds has stood.

JMESPath itself gives `items[].readings[]` as readings and forgets their items. Here every record is a node that knows
the list element, or the whole answer, round it.
"""

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from fetcher.errors import Quarantined
from fetcher.parse.paths import kind_named

PROJECTIONS = frozenset({"projection", "filter_projection", "value_projection"})
_STEP = re.compile(r"\.?(?:[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)?", re.ASCII)

Tree = Any
"""A parsed JMESPath expression: {"type", "children", "value"}."""


class Node(NamedTuple):
    """Something in an answer: its place in its list (from 0), and what is round it: an element of a list, or all."""

    value: object
    position: int = 0
    above: "Node | None" = None


def explode(key: str, path: str, answer: object) -> Iterator[Node]:
    """Each record at a path, in order; `key` names the path in the job.

    Where the path ends in no `[]` and finds a list, its elements are the records. Raises `Quarantined` where it cannot
    be applied, or finds neither list, object nor nothing.
    """
    tree, root = _tree(path), Node(answer)
    if (simply := _simply_traced(path, root)) is not None:
        yield from simply
        return
    try:
        if _is_many(tree):
            yield from _traced(tree, answer, root)
            return
        found = _value(tree, answer)
    # ValueError: jmespath's own errors, and Python's.
    except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise Quarantined(f"{key} cannot be applied to this answer: {error}") from error
    if isinstance(found, Mapping):
        yield Node(found, 0, root)
    elif isinstance(found, list):
        for position, value in enumerate(found):
            yield Node(value, position, root)
    elif found is not None:
        raise Quarantined(f"{key} finds {kind_named(found)}, expected a list of records")


def simply_found(path: str, answer: object) -> list[object] | None:
    """The objects at a path of names and `[]` alone, which most are, in a tenth of JMESPath's time.

    None where the path is of another kind, or the answer has something else at it, and JMESPath has to look.
    """
    steps = _steps(path)
    if steps is None:
        return None
    here = [answer]
    for names in steps:
        found: list[object] = []
        for value in here:
            for name in names:
                if type(value) is not dict:
                    return None
                value = value.get(name)  # noqa: PLW2901  (one step down)
            if type(value) is not list:
                return None
            found += value
        here = found
        if not all(type(value) is dict for value in here):
            return None
    return here


def _simply_traced(path: str, root: Node) -> list[Node] | None:
    """The same as nodes, as `explode` gives them."""
    steps = _steps(path)
    if steps is None:
        return None
    here = [root]
    for names in steps:
        found: list[Node] = []
        for node in here:
            value = node.value
            for name in names:
                if type(value) is not dict:
                    return None
                value = value.get(name)
            if type(value) is not list or not all(type(inner) is dict for inner in value):
                return None
            found += [Node(inner, position, node) for position, inner in enumerate(value)]
        here = found
    return here


@lru_cache
def _steps(path: str) -> tuple[tuple[str, ...], ...] | None:
    """The names before each `[]`; None where there is anything else."""
    *before, end = path.replace(" ", "").split("[]")
    if end or not before or not all(_STEP.fullmatch(step) for step in before):
        return None
    return tuple(tuple(name for name in step.split(".") if name) for step in before)


@lru_cache
def _tree(path: str) -> Tree:
    import jmespath

    tree: Tree = jmespath.compile(path).parsed
    return tree


def _value(tree: Tree, value: object) -> object:
    from jmespath.parser import ParsedResult

    found: object = ParsedResult("", tree).search(value)
    return found


def _is_many(tree: Tree) -> bool:
    """Whether it is the last part of the path that goes through a list."""
    if tree["type"] in ("pipe", "subexpression"):
        return _is_many(tree["children"][-1])
    return tree["type"] in PROJECTIONS


def _traced(tree: Tree, value: object, element: Node) -> Iterator[Node]:
    """What `tree` finds in `value`, which lies within `element`."""
    if tree["type"] == "identity":
        yield element if value is element.value else Node(value, element.position, element)
    elif not _is_many(tree):
        yield Node(_value(tree, value), element.position, element)
    elif tree["type"] in PROJECTIONS:
        for inner in _elements(tree, value, element):
            for found in _traced(tree["children"][1], inner.value, inner):
                if found.value is not None:  # as in JMESPath
                    yield found
    else:
        *front, last = tree["children"]
        for part in front:
            value = _value(part, value)
        yield from _traced(last, value, element)


def _elements(tree: Tree, value: object, element: Node) -> Iterator[Node]:
    """The elements of the list, or the values of the object, that a projection goes through."""
    left = tree["children"][0]
    if left["type"] == "flatten":
        yield from _flattened(left["children"][0], value, element)
        return
    if tree["type"] == "filter_projection":
        found = _value({**tree, "children": [left, {"type": "identity", "children": []}, tree["children"][2]]}, value)
    else:
        found = _value(left, value)
    if tree["type"] == "value_projection":
        found = list(found.values()) if isinstance(found, dict) else []
    for position, inner in enumerate(found if isinstance(found, list) else ()):
        yield Node(inner, position, element)


def _flattened(tree: Tree, value: object, element: Node) -> Iterator[Node]:
    if _is_many(tree):
        lists = list(_traced(tree, value, element))
    else:
        found = _value(tree, value)
        whole = found if isinstance(found, list) else []
        lists = [Node(inner, position, element) for position, inner in enumerate(whole)]
    for node in lists:
        if not isinstance(node.value, list):
            yield node
            continue
        is_element = not _is_many(tree) or tree["children"][1]["type"] == "identity"
        above = node if is_element else node.above
        for position, inner in enumerate(node.value):
            yield Node(inner, position, above)
