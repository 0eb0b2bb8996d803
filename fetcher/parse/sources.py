"""Where a field of a record comes from: the record, what is round it, the row, or the job itself."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fetcher.errors import Quarantined
from fetcher.model import Scalar, Value
from fetcher.parse.exploding import Node
from fetcher.parse.paths import search
from fetcher.template import Template


@dataclass(frozen=True, slots=True)
class Within:
    """A path (JMESPath) within a record, or within what is `up` steps round it; without one, the place in the list."""

    path: str
    up: int = 0


@dataclass(frozen=True, slots=True)
class Field:
    """A field and its source: a path, a template that the row fills, or a constant."""

    name: str
    source: Within | Template | Scalar


def found_by(within: Within, node: Node, key: str) -> object:
    """What a path finds from a record; None where there is nothing."""
    place: Node | None = node
    for _ in range(within.up):
        place = place.above if place else None
    if place is None:
        raise Quarantined(f"{key} goes {within.up} steps up, and there is nothing above the whole answer")
    return search(key, within.path, place.value) if within.path else place.position


Reader = Callable[[Node, Mapping[str, Value]], object]
"""What a field of a record is, from the record and its row."""


def reader_of(field: Field) -> Reader:
    """How a field is read; made once for many records."""
    source = field.source
    if isinstance(source, Template):
        return lambda _, row: source.fill(row)
    if not isinstance(source, Within):
        return lambda _, row: source
    key = f"parse.fields.{field.name}"
    return lambda node, _: found_by(source, node, key)
