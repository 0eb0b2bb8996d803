"""Values held against a JSON Schema, of which a job may use a part (`fetcher.job.values.SCHEMA_WORDS`). Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "array": (list,),
    "object": (dict,),
}


def fault_in(schema: Mapping[str, Any], value: object, place: str = "") -> str:
    """The first thing that does not fit, as `label is 'good', expected one of ...`; nothing where all does."""
    return next(_faults(schema, value, place), "")


def _faults(schema: Mapping[str, Any], value: object, place: str) -> Iterator[str]:
    what = place or "it"
    kinds = schema.get("type", [])
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if kinds and not any(_is_of(kind, value) for kind in kinds):
        yield f"{what} is {_named(value)}, expected {' or '.join(kinds)}"
    if "enum" in schema and not any(_same(value, choice) for choice in schema["enum"]):
        yield f"{what} is {value!r:.60}, expected one of {schema['enum']!r:.200}"
    if "const" in schema and not _same(value, schema["const"]):
        yield f"{what} is {value!r:.60}, expected {schema['const']!r}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from _outside(what, value, (schema.get("minimum"), schema.get("maximum")))
    elif isinstance(value, str):
        yield from _outside(f"the length of {what}", len(value), (schema.get("minLength"), schema.get("maxLength")))
    elif isinstance(value, list):
        yield from _outside(f"the length of {what}", len(value), (schema.get("minItems"), schema.get("maxItems")))
        for number, item in enumerate(value):
            yield from _faults(schema.get("items", {}), item, f"{place}[{number}]")
    elif isinstance(value, dict):
        yield from _member_faults(schema, value, place)


def _member_faults(schema: Mapping[str, Any], value: Mapping[str, object], place: str) -> Iterator[str]:
    known, within = schema.get("properties", {}), f"{place}." if place else ""
    for name in schema.get("required", ()):
        if name not in value:
            yield f"'{within}{name}' is missing"
    more = schema.get("additionalProperties", True)
    for name, item in value.items():
        if name in known:
            yield from _faults(known[name], item, f"{within}{name}")
        elif more is False:
            yield f"'{within}{name}' is no property of it"


def _outside(what: str, size: float, bounds: tuple[float | None, float | None]) -> Iterator[str]:
    least, most = bounds
    if least is not None and size < least:
        yield f"{what} is {size}, expected {least} at least"
    if most is not None and size > most:
        yield f"{what} is {size}, expected {most} at most"


def _is_of(kind: str, value: object) -> bool:
    """JSON has one kind of number: 1.0 is an integer, and true is none."""
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, TYPES[kind])


def _same(one: object, other: object) -> bool:
    """Python takes True for 1."""
    return isinstance(one, bool) == isinstance(other, bool) and one == other


def _named(value: object) -> str:
    return next((kind for kind in ("boolean", *TYPES) if _is_of(kind, value)), type(value).__name__)
