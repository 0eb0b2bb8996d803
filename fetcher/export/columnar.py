"""Parquet: each column with the type that all its values have, and JSON text where they have none in common.

Nothing is lost on the way: whole numbers that share a column with fractions, or exceed 64 bits, fractions with more
digits than a double has, and objects whose names differ are such JSON text.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import IO, Any

import msgspec

ROWS_A_GROUP = 50_000
BYTES_A_GROUP = 32 << 20
ROWS_A_BATCH = 1000
BYTES_A_BATCH = 4 << 20
MOST_EXACT = 1 << 53
"""Up to here a double holds every whole number."""
DIGITS_KEPT = 15
"""So many digits of a fraction come back out of a double, whichever they are."""
NAMES_OF_OBJECTS = 200


@dataclass(frozen=True, slots=True)
class Kind:
    """What values have in common: `name`, of a list the kind of its items, of an object the kinds of its values."""

    name: str
    items: "Kind | None" = None
    fields: tuple[tuple[str, "Kind"], ...] = ()


NOTHING, TEXT, TRUTH, JSON = Kind("nothing"), Kind("text"), Kind("truth"), Kind("JSON text")
WHOLE, LONG, FRACTION = Kind("whole number"), Kind("long whole number"), Kind("fraction")
"""Whole numbers that a double holds, those of 64 bits, and doubles."""
SCALARS = {type(None): NOTHING, str: TEXT, bool: TRUTH, float: FRACTION}
WIDER = {frozenset((WHOLE, LONG)): LONG, frozenset((WHOLE, FRACTION)): FRACTION}


def fraction(text: str) -> float | Decimal:
    """A number of JSON as a double, or as it is where that would change it."""
    number = float(text)
    is_short = len(text) <= DIGITS_KEPT + 1 and "e" not in text.lower()
    return number if is_short or Decimal(text) == Decimal(repr(number)) else Decimal(text)


def kind_of(value: object) -> Kind:
    """The kind of one value of JSON."""
    match value:
        case int() if not isinstance(value, bool):
            return WHOLE if abs(value) <= MOST_EXACT else LONG if -(2**63) <= value < 2**63 else JSON
        case list():
            return whole(Kind("list", items=kind_of_all(value)))
        case dict() if 0 < len(value) <= NAMES_OF_OBJECTS:
            return whole(Kind("object", fields=tuple((name, kind_of(item)) for name, item in value.items())))
    return SCALARS.get(type(value), JSON)


def kind_of_all(values: Iterable[object]) -> Kind:
    """What values of a list have in common."""
    found = NOTHING
    for value in values:
        found = merged(found, kind_of(value))
    return found


def merged(one: Kind, other: Kind) -> Kind:
    """What two kinds have in common."""
    if other in {one, NOTHING}:
        return one
    if one == NOTHING:
        return other
    if one.items and other.items:
        return whole(Kind("list", items=merged(one.items, other.items)))
    if one.fields and other.fields:
        fields = dict(other.fields)
        if dict(one.fields).keys() == fields.keys():
            return whole(Kind("object", fields=tuple((name, merged(kind, fields[name])) for name, kind in one.fields)))
    return WIDER.get(frozenset((one, other)), JSON)


def whole(kind: Kind) -> Kind:
    """The kind, if all within it is of one."""
    within = [kind.items, *(field for _, field in kind.fields)]
    return JSON if JSON in within else kind


def kinds_in(lines: Iterable[bytes], first: Sequence[str] = ()) -> dict[str, Kind]:
    """{name of a column: what its values have in common}: `first` those of that list, then others as they come up."""
    kinds = dict.fromkeys(first, NOTHING)
    decode = msgspec.json.Decoder(dict[str, object], float_hook=fraction).decode
    for line in lines:
        for name, value in decode(line).items():
            kind = kinds.get(name, NOTHING)
            if kind is not JSON and not (kind is TEXT and type(value) is str):  # the way of most cells, kept short
                kinds[name] = merged(kind, kind_of(value))
    return kinds


def write_parquet(lines: Iterable[bytes], kinds: Mapping[str, Kind], file: IO[bytes]) -> None:
    """Write the records with these columns. Raises OSError."""
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema([(name, _arrow_type(kind)) for name, kind in kinds.items()])
    with pyarrow.parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _groups(pyarrow.record_batch(_arrays(some, kinds), schema) for some in _batches(lines)):
            writer.write_table(pyarrow.Table.from_batches(group, schema))


def _groups(batches: Iterable[Any]) -> Iterator[list[Any]]:
    group: list[Any] = []
    for batch in batches:
        group.append(batch)
        if sum(one.num_rows for one in group) >= ROWS_A_GROUP or sum(one.nbytes for one in group) >= BYTES_A_GROUP:
            yield group
            group = []
    if group:
        yield group


def _batches(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    held = 0
    for line in lines:
        batch.append(line)
        held += len(line)
        if len(batch) >= ROWS_A_BATCH or held >= BYTES_A_BATCH:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _arrays(lines: Sequence[bytes], kinds: Mapping[str, Kind]) -> list[Any]:
    import pyarrow

    records = [_values(line) for line in lines]
    as_written = [_raw_values(line) for line in lines] if JSON in kinds.values() else []
    return [
        pyarrow.array([_json_text(record.get(name)) for record in as_written], pyarrow.string())
        if kind == JSON
        else pyarrow.array([record.get(name) for record in records], _arrow_type(kind))
        for name, kind in kinds.items()
    ]


_values = msgspec.json.Decoder(dict[str, object], float_hook=float).decode
_raw_values = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def _json_text(value: msgspec.Raw | None) -> str | None:
    text = "null" if value is None else bytes(value).decode()
    return None if text == "null" else text


def _arrow_type(kind: Kind) -> Any:
    import pyarrow

    if kind.items:
        return pyarrow.list_(_arrow_type(kind.items))
    if kind.fields:
        return pyarrow.struct([(name, _arrow_type(field)) for name, field in kind.fields])
    return {TRUTH: pyarrow.bool_(), WHOLE: pyarrow.int64(), LONG: pyarrow.int64(), FRACTION: pyarrow.float64()}.get(
        kind, pyarrow.string()
    )
