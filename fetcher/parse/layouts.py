"""Records that are not lists of objects: lists side by side, lists without names, objects keyed by a date."""

from collections.abc import Iterator, Mapping

from fetcher.errors import Quarantined
from fetcher.parse.exploding import Node
from fetcher.parse.paths import kind_named
from fetcher.parse.sources import Within, found_by


def from_columns(node: Node) -> Iterator[Node]:
    """`{"time": [1, 2], "t": [8, 9]}` is two records. Raises `Quarantined` where the lists differ in length.

    A list that is too short would shift its values onto other records; so it costs the whole answer.
    """
    columns = node.value
    if not isinstance(columns, Mapping):
        raise Quarantined(f"parse.columns: expected an object of lists, got {kind_named(columns)}")
    for name, cells in columns.items():
        if not isinstance(cells, list):
            raise Quarantined(f"parse.columns: '{name}' is {kind_named(cells)}, expected a list")
    lengths = {name: len(cells) for name, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"'{name}' has {length}" for name, length in list(lengths.items())[:8])
        raise Quarantined(f"parse.columns: the lists differ in length: {told}")
    for position, cells in enumerate(zip(*columns.values(), strict=True)):
        yield Node(dict(zip(columns, cells, strict=True)), position, node.above)


def from_rows(node: Node, names: tuple[str, ...] | Within) -> Node:
    """`["2024-01-01", 3]` with the names `date` and `n` is one record."""
    cells = node.value
    known = _names(node, names) if isinstance(names, Within) else names
    if not isinstance(cells, list):
        raise Quarantined(f"parse.names: expected a list of values, got {kind_named(cells)}")
    if len(cells) != len(known):
        raise Quarantined(f"parse.names: a record has {len(cells)} values, and there are {len(known)} names")
    return node._replace(value=dict(zip(known, cells, strict=True)))


def _names(node: Node, names: Within) -> tuple[str, ...]:
    found = found_by(names, node, "parse.names")
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise Quarantined("parse.names finds no list of names")
    if len(set(found)) < len(found):
        raise Quarantined("parse.names finds the same name twice")
    return tuple(found)


def from_keyed(node: Node, key_into: tuple[str, ...], value_into: str) -> Iterator[Node]:
    """`{"2024-01-01": {"n": 3}}` with `key_into` "date" is `{"date": "2024-01-01", "n": 3}`.

    Each further name is one object deeper. What a key leads to is a record, a list of records, or a value by itself.
    """
    if not isinstance(node.value, Mapping):
        raise Quarantined(f"parse.key_into: expected an object, got {kind_named(node.value)}")
    for position, (keys, value) in enumerate(_keyed(node.value, len(key_into))):
        told = dict(zip(key_into, keys, strict=True))
        for one in value if isinstance(value, list) else [value]:
            record = one if isinstance(one, Mapping) else {value_into: one}
            if taken := told.keys() & record.keys():
                raise Quarantined(f"parse.key_into: the records have a field '{min(taken)}' of their own")
            yield Node({**told, **record}, position, node.above)


def _keyed(value: Mapping[str, object], depth: int) -> Iterator[tuple[tuple[str, ...], object]]:
    for key, inner in value.items():
        if depth == 1:
            yield (key,), inner
        elif isinstance(inner, Mapping):
            for keys, innermost in _keyed(inner, depth - 1):
                yield (key, *keys), innermost
        else:
            raise Quarantined(f"parse.key_into: '{key}' leads to {kind_named(inner)}, expected an object")
