"""Entries about the fields of records: where a field comes from, what it becomes."""

import math
import re
from dataclasses import dataclass
from typing import Annotated

from fetcher.job.kinds import Kind
from fetcher.job.values import parse_jmespath
from fetcher.job.wording import hint, shown
from fetcher.template import Template

TYPES = (
    *("int", "float", "decimal", "text", "bool", "date", "time"),
    *("epoch_s", "epoch_ms", "to_epoch_s", "to_epoch_ms"),
)
_UP = re.compile(r"\s*(\^+)\s*\.?(.*)", re.DOTALL)
_SLOT = re.compile(r"\{\w(?:[\w .-]*\w)?(?::(?:%[^{}]*|epoch|epoch_ms|iso_utc))?\}")
_A_PATH = "a path such as 'readings[0].value' or '^.timestamp'"


@dataclass(frozen=True, slots=True)
class Way:
    """A path (JMESPath) from a record, `up` so many steps; without a path it is the place in the list."""

    path: str
    up: int = 0


def parse_way(value: object) -> Way:
    """`value`, `^.timestamp` of what is round the record, `#` for its place in the list, `^#` for the parent's."""
    if isinstance(value, Way):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"expected {_A_PATH}, got {shown(value)}")
    steps = _UP.fullmatch(value)
    up, path = (len(steps[1]), steps[2].strip()) if steps else (0, value.strip())
    if path == "#":
        return Way("", up)
    return Way(parse_jmespath(path or "@", _A_PATH), up)


def parse_source(value: object) -> Way | Template | int | float | bool:
    """Where a field comes from. A text with a slot is filled from the row; JMESPath has nothing that looks like one."""
    match value:
        case Template() | bool() | int():
            return value
        case float() if math.isfinite(value):
            return value
        case str() if has_slot(value):
            return Template.parse(value)
    return parse_way(value)


def has_slot(value: object) -> bool:
    """Whether it is a text with a slot such as `{name}` or `{date:%Y}`."""
    return isinstance(value, str) and _SLOT.search(value) is not None


def parse_column(value: object) -> str:
    """The name of a field."""
    if isinstance(value, str) and value:
        return value
    raise ValueError(f"expected the name of a field, got {shown(value)}")


def parse_names(value: object) -> tuple[str, ...] | Way:
    """Names of fields, or the path of such a list in the answer."""
    if isinstance(value, list | tuple):
        names = tuple(parse_column(name) for name in value)
        if names and len(set(names)) == len(names):
            return names
        raise ValueError("expected names that are all different, and one at least")
    return parse_way(value)


def parse_names_or_all(value: object) -> bool | tuple[str, ...]:
    """true, a name, or a list of names."""
    if isinstance(value, bool):
        return value
    if isinstance(value, list | tuple):
        return tuple(parse_column(name) for name in value)
    return (parse_column(value),)


def _key_names(value: object) -> tuple[str, ...]:
    names = parse_names([value] if isinstance(value, str) else value)
    assert not isinstance(names, Way)
    return names


def parse_null(value: object) -> tuple[object, ...] | dict[str, tuple[object, ...]]:
    """Values, or values by field."""
    if isinstance(value, dict):
        return {name: _scalars(values) for name, values in value.items()}
    return _scalars(value)


def _scalars(value: object) -> tuple[object, ...]:
    values = tuple(value) if isinstance(value, list | tuple) else (value,)
    for one in values:
        if not isinstance(one, str | int | float) or (isinstance(one, float) and not math.isfinite(one)):
            raise ValueError(f"expected texts, numbers or flags, got {shown(one)}")
    return values


def parse_type(value: object) -> str:
    """The name of a type, with a format behind it for dates and times."""
    if not isinstance(value, str):
        raise ValueError(f"expected a type such as 'int', got {shown(value)}")
    name, _, form = value.strip().partition(" ")
    if form and name not in ("date", "time"):
        raise ValueError(f"expected a type such as 'int', got {shown(value)}; only date and time take a format")
    if form and "%" not in form:
        raise ValueError(f"expected a format such as '{name} %d.%m.%Y', got {shown(value)}")
    if name not in TYPES:
        raise ValueError(f"expected a type such as 'int', got {shown(value)}{hint(name, TYPES)}")
    return f"{name} {form.strip()}" if form else name


def parse_regex(value: object) -> str:
    """A regular expression, returned as it is written once it is known to compile."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected a regular expression such as '^date', got {shown(value)}")
    try:
        re.compile(value, re.MULTILINE)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"expected a regular expression such as '^date', got {shown(value)}: {error}") from error
    return value


def _text_or_list() -> dict[str, object]:
    return {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


def _flag_or_names() -> dict[str, object]:
    return {"anyOf": [{"type": "boolean"}, {"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


def _null_schema() -> dict[str, object]:
    return {"anyOf": [*_ONE_OR_MORE, {"type": "object", "additionalProperties": {"anyOf": _ONE_OR_MORE}}]}


_SCALAR: dict[str, object] = {"type": ["string", "number", "boolean"]}
_ONE_OR_MORE: list[dict[str, object]] = [_SCALAR, {"type": "array", "items": _SCALAR}]

Column = Annotated[str, Kind(parse_column, lambda: {"type": "string"})]
FieldPath = Annotated[Way, Kind(parse_way, lambda: {"type": "string", "examples": ["value", "^.timestamp"]})]
FieldSource = Annotated[Way | Template | int | float | bool, Kind(parse_source, lambda: _SCALAR)]
Names = Annotated[tuple[str, ...] | Way, Kind(parse_names, _text_or_list)]
NamesOrAll = Annotated[bool | tuple[str, ...], Kind(parse_names_or_all, _flag_or_names)]
KeyNames = Annotated[tuple[str, ...], Kind(_key_names, _text_or_list)]
NullValues = Annotated[
    tuple[str | int | float, ...] | dict[str, tuple[str | int | float, ...]], Kind(parse_null, _null_schema)
]
Pattern = Annotated[str, Kind(parse_regex, lambda: {"type": "string"})]
TypeName = Annotated[str, Kind(parse_type, lambda: {"type": "string", "examples": list(TYPES)})]
