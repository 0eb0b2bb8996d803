"""Text with slots: `/v1/{station}?day={date:%Y-%m-%d}`. A slot is a name, and for dates a format; never code.

A name is what a column of a table may be called: `{Review Text}`. A point in it is a point, and asks for no attribute.

A job file may be written by a stranger, so nothing here looks up attributes, indexes or calls, and `str.format` is
never used. pydantic is imported only when a model asks for this type's schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from fetcher.errors import Refused
from fetcher.model import Value

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema

# What Python documents for every platform; the others differ between C libraries.
_DIRECTIVES = frozenset("aAbBcdfGHIjmMpSuUVwWxXyYzZ%")
INSTANTS = ("epoch", "epoch_ms", "iso_utc")
"""Formats of the moment at which a day begins in its time zone."""
_BRACE = re.compile(r"[{}]")
_NAME = re.compile(r"\w(?:[\w .-]*\w)?")


@dataclass(frozen=True, slots=True)
class Slot:
    """One `{name}`, `{name:%Y}` or `{name:epoch}`; `date_format` is empty where none was given.

    A day begins, for formats of moments, in the time zone `zone`.
    """

    name: str
    date_format: str = ""
    zone: str = "UTC"

    def __str__(self) -> str:
        return f"{{{self.name}:{self.date_format}}}" if self.date_format else f"{{{self.name}}}"


@dataclass(frozen=True, slots=True, repr=False)
class Template:
    """A parsed template. `text` may hold a secret; `source`, which messages show, is as the job file has it."""

    text: str
    parts: tuple[str | Slot, ...]
    source: str = field(compare=False)

    @classmethod
    def parse(cls, text: str, source: str | None = None) -> Template:
        """Read `text`. Raises ValueError with what is wrong and at which column; `source` is shown in its place."""
        return cls(text, tuple(_parts(text)), text if source is None else source)

    @property
    def slots(self) -> tuple[str, ...]:
        """The names to be filled, each once, in the order of the text."""
        return tuple(dict.fromkeys(part.name for part in self.parts if isinstance(part, Slot)))

    @property
    def identity(self) -> str:
        """The text, and the time zones that decide what it is filled with."""
        return "@".join([self.text, *(slot.zone for slot in self._moments)])

    @property
    def tells_moments(self) -> bool:
        """Whether what it is filled with depends on a time zone."""
        return bool(self._moments)

    @property
    def _moments(self) -> list[Slot]:
        return [part for part in self.parts if isinstance(part, Slot) and part.date_format in INSTANTS]

    def in_zone(self, zone: str) -> Template:
        """The same, days beginning at the midnights of a time zone."""
        return replace(self, parts=tuple(replace(p, zone=zone) if isinstance(p, Slot) else p for p in self.parts))

    def fill(self, values: Mapping[str, Value]) -> Value:
        """The value of the only slot, with its type, where there is nothing else; text otherwise.

        Raises Refused where a slot has no value; None is a value only for a slot that is the whole template.
        """
        if len(self.parts) == 1:
            only = self.parts[0]
            if isinstance(only, Slot) and not only.date_format:
                return self._value(only, values)
            if isinstance(only, Slot) and only.date_format.startswith("epoch"):
                return int(self.fill_text(values))
        return self.fill_text(values)

    def fill_text(self, values: Mapping[str, Value], encode: Callable[[str], str] | None = None) -> str:
        """Text in any case; `encode` is applied to the filled values and not to the template's own text."""
        filled = []
        for part in self.parts:
            if isinstance(part, Slot):
                text = self._slot_text(part, self._value(part, values))
                filled.append(encode(text) if encode else text)
            else:
                filled.append(part)
        return "".join(filled)

    def _value(self, slot: Slot, values: Mapping[str, Value]) -> Value:
        if slot.name not in values:
            raise Refused(f"{slot} in '{self.source}' has no value: the row has no '{slot.name}'")
        return values[slot.name]

    def _slot_text(self, slot: Slot, value: Value) -> str:
        if value is None:
            raise Refused(f"{slot} in '{self.source}' has no value: '{slot.name}' of this row is empty")
        if not slot.date_format:
            return text_of(value)
        if not isinstance(value, date):
            raise Refused(f"{slot} in '{self.source}' needs a date, but '{slot.name}' is {type(value).__name__}")
        return instant_text(value, slot) if slot.date_format in INSTANTS else value.strftime(slot.date_format)

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"Template({self.source!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(
            read_template, serialization=core_schema.to_string_ser_schema()
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string"}


def read_template(value: object) -> Template:
    """A Template from a job file's value. Raises ValueError for anything but text with well-formed slots."""
    if isinstance(value, Template):
        return value
    if not isinstance(value, str):
        raise ValueError(f"expected text in quotes, got {type(value).__name__}")
    return Template.parse(value)


def text_of(value: Value) -> str:
    """How a value reads inside text: dates in ISO 8601, booleans as true and false, nothing as nothing."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case date():
            return value.isoformat()
        case list() | dict():
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        case _:
            return str(value)


def instant_text(value: date, slot: Slot) -> str:
    """When a day begins, or a moment itself, as the slot wants it; a midnight that the clocks skip or repeat is the
    first that there is (PEP 495)."""
    day = value if isinstance(value, datetime) else datetime.combine(value, time.min)
    moment = day if day.tzinfo else day.replace(tzinfo=ZoneInfo(slot.zone))
    if slot.date_format == "iso_utc":
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(int(moment.timestamp() * (1000 if slot.date_format == "epoch_ms" else 1)))


def listed_instants() -> str:
    """`{date:epoch}, {date:epoch_ms}, ...`"""
    return ", ".join(f"{{date:{name}}}" for name in INSTANTS)


def can_be_slot(name: str) -> bool:
    """Whether a template can ask for a value of this name."""
    return _NAME.fullmatch(name) is not None


def escape_braces(text: str) -> str:
    """`text` written so that a template yields it unchanged."""
    return text.replace("{", "{{").replace("}", "}}")


def _parts(text: str) -> Iterator[str | Slot]:
    literal = ""
    position = 0
    while brace := _BRACE.search(text, position):
        start = brace.start()
        literal += text[position:start]
        if text[start : start + 2] in ("{{", "}}"):
            literal += text[start]
            position = start + 2
            continue
        if text[start] == "}":
            raise ValueError(f"column {start + 1}: '}}' closes nothing; write '}}}}' for a brace")
        end = text.find("}", start)
        if end < 0:
            raise ValueError(f"column {start + 1}: '{{' is never closed; write '{{{{' for a brace")
        if literal:
            yield literal
        yield _slot(text[start + 1 : end], start + 1)
        literal = ""
        position = end + 1
    literal += text[position:]
    if literal:
        yield literal


def _slot(inside: str, column: int) -> Slot:
    name, colon, date_format = inside.partition(":")
    where = f"column {column}: '{{{inside}}}'"
    if not inside:
        raise ValueError(f"{where} names nothing; a slot is a name, such as {{date}}")
    if "!" in name:
        raise ValueError(f"{where} has a conversion; a slot is a name, such as {{date}}")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{where} is not a slot: only a name goes there, of letters, digits, '_', '-', '.' and blanks inside"
        )
    if date_format in INSTANTS:
        return Slot(name, date_format)
    if colon and not date_format.startswith("%"):
        raise ValueError(
            f"{where} has a format that is not a date's; such as {{date:%Y-%m-%d}} and {listed_instants()} are known"
        )
    for directive in re.findall(r"%(.?)", date_format, re.DOTALL):
        if directive not in _DIRECTIVES or not directive:
            raise ValueError(f"{where} has the unknown date format '%{directive}'; %Y, %m, %d, %H, %M and %S are known")
    return Slot(name, date_format)
