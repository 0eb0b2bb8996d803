"""How what an answer holds becomes the records of one table: where they are, their fields, and what values become."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

from fetcher.errors import Quarantined, Refused
from fetcher.model import Scalar, Value
from fetcher.parse.conversions import converter
from fetcher.parse.exact import Exact
from fetcher.parse.exploding import Node, explode
from fetcher.parse.filling import Fill, filled
from fetcher.parse.layouts import from_columns, from_keyed, from_rows
from fetcher.parse.paths import kind_named
from fetcher.parse.sources import Field, Within, reader_of

Of = bool | tuple[str, ...]
"""Which fields: all, none, or those named."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One table of an answer. Every field but `records` and `key` is left alone where an answer needs no shaping.

    `null` and `null_of` are what stands for a missing value, in any field and in those named; `extracted` are {field:
    regular expression}, `replaced` {field: {text: text}}, `types` {field: type}, as pairs.
    """

    records: str = ""
    key: tuple[str, ...] = ()
    columns: bool = False
    names: tuple[str, ...] | Within = ()
    key_into: tuple[str, ...] = ()
    value_into: str = "value"
    fill: Fill | None = None
    fields: tuple[Field, ...] = ()
    keeps_others: bool = False
    trim: Of = False
    unescape: Of = False
    extracted: tuple[tuple[str, str], ...] = ()
    null: tuple[Scalar, ...] = ()
    null_of: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()
    replaced: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()
    types: tuple[tuple[str, str], ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether what is at `records` is the records, as they are."""
        layout = self.columns or self.names or self.key_into or self.fill or self.fields
        values = self.trim or self.unescape or self.extracted or self.null or self.null_of
        return not (layout or values or self.replaced or self.types)

    @property
    def is_exact(self) -> bool:
        """Whether the digits of numbers matter, as they were written."""
        return any(kind in ("decimal", "text") for _, kind in self.types)


def shaped(shape: Shape, answer: object, row: Mapping[str, Value]) -> Iterator[dict[str, object]]:
    """The records of a decoded answer. Raises `Quarantined` where it has another shape than the job says."""
    nodes: Iterable[Node] = explode("parse.records", shape.records or "@", answer)
    if shape.columns:
        nodes = (inner for node in nodes for inner in from_columns(node))
    elif shape.names:
        nodes = (from_rows(node, shape.names) for node in nodes)
    elif shape.key_into:
        nodes = (inner for node in nodes for inner in from_keyed(node, shape.key_into, shape.value_into))
    if shape.fill:
        nodes = filled(shape.fill, nodes)
    build, cleaning = _builder(shape), _cleaning(shape)
    for number, node in enumerate(nodes, 1):
        record = build(node, row, number)
        for clean in cleaning:
            clean(record, number)
        yield record


Build = Callable[[Node, Mapping[str, Value], int], dict[str, object]]
"""Makes a record from its node and its row; the number is for messages."""


@lru_cache
def _builder(shape: Shape) -> Build:
    readers = [(field.name, reader_of(field)) for field in shape.fields]
    keeps, moved = shape.keeps_others or not shape.fields, _moved(shape)

    def build(node: Node, row: Mapping[str, Value], number: int) -> dict[str, object]:
        record: dict[str, object] = {}
        if keeps:
            if not isinstance(node.value, Mapping):
                raise Quarantined(f"record {number} is {kind_named(node.value)}, expected a dict")
            record = {name: value for name, value in node.value.items() if name not in moved}
        try:
            for name, read in readers:
                record[name] = read(node, row)
        except Refused as error:
            raise Quarantined(f"parse.fields: {error}") from error
        return record

    return build


def _moved(shape: Shape) -> frozenset[str]:
    """Fields that go on under another name."""
    named = {field.source.path for field in shape.fields if isinstance(field.source, Within) and not field.source.up}
    return frozenset(named - {field.name for field in shape.fields})


Clean = Callable[[dict[str, object], int], None]
"""Changes the values of a record in place; the number is for messages."""


@lru_cache
def _cleaning(shape: Shape) -> tuple[Clean, ...]:
    """What is done to each record, in this order. A missing value is looked for before types are, and after."""
    steps: list[Clean] = []
    if shape.unescape:
        import html  # a worker's start waits for what is imported above

        steps.append(_on_text(shape.unescape, html.unescape))
    if shape.trim:
        steps.append(_on_text(shape.trim, str.strip))
    steps += [_on_text((name,), partial(_extracted, re.compile(pattern))) for name, pattern in shape.extracted]
    if shape.null or shape.null_of:
        steps.append(_nulled(shape))
    if shape.replaced:
        steps.append(_replaced(shape))
    if shape.types:
        steps.append(_typed(shape))
        steps += [_nulled(shape)] if shape.null or shape.null_of else []
    return tuple(steps)


def _extracted(pattern: re.Pattern[str], text: str) -> str | None:
    found = pattern.search(text)
    return found[1 if pattern.groups else 0] if found else None


def _on_text(of: Of, change: Callable[[str], str | None]) -> Clean:
    def clean(record: dict[str, object], _number: int) -> None:
        for name in record if of is True else of or ():
            value = record.get(name)
            if isinstance(value, str):
                record[name] = change(value)

    return clean


def _nulled(shape: Shape) -> Clean:
    everywhere = frozenset(map(_told_apart, shape.null))
    of = {name: everywhere | frozenset(map(_told_apart, values)) for name, values in shape.null_of}

    def clean(record: dict[str, object], _number: int) -> None:
        for name, value in record.items():
            if isinstance(value, str | int | float) and _told_apart(value) in of.get(name, everywhere):
                record[name] = None

    return clean


def _told_apart(value: Scalar) -> tuple[bool, Scalar]:
    """Python takes True for 1."""
    return isinstance(value, bool), value


def _replaced(shape: Shape) -> Clean:
    tables = {name: dict(pairs) for name, pairs in shape.replaced}

    def clean(record: dict[str, object], _number: int) -> None:
        for name, table in tables.items():
            value = record.get(name)
            if isinstance(value, str | int):
                record[name] = table.get(str(value).lower() if isinstance(value, bool) else str(value), value)

    return clean


def _typed(shape: Shape) -> Clean:
    converters = [(name, kind, converter(kind)) for name, kind in shape.types]

    def clean(record: dict[str, object], number: int) -> None:
        for name, kind, convert in converters:
            value = record.get(name)
            if value is None:
                continue
            if isinstance(value, str) and not value.strip() and kind != "text":
                record[name] = None
                continue
            try:
                record[name] = convert(value)
            except (ValueError, ArithmeticError) as error:
                shown = value.text if isinstance(value, Exact) else value
                raise Quarantined(f"record {number}.{name} is {shown!r:.100}: {error}") from error

    return clean
