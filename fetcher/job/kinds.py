"""A kind of value in a job file: how it is read, and what an editor is told about it.

The bridge between plain reading functions and pydantic, which is imported only when a model asks for the schema.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fetcher.job.wording import shown

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import CoreSchema


@dataclass(frozen=True, slots=True)
class Kind:
    """Metadata for `Annotated`: `read` returns the value or raises ValueError saying what was expected and came."""

    read: Callable[[object], object]
    schema: Callable[[], dict[str, object]]

    def __get_pydantic_core_schema__(self, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.no_info_plain_validator_function(self.read)

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return self.schema()


def text_schema(pattern: str, *examples: str) -> Callable[[], dict[str, object]]:
    """JSON Schema of text that matches `pattern` whole, or that an environment variable completes."""
    return lambda: {"type": "string", "pattern": rf"^(?:{pattern})$|\$\{{", "examples": list(examples)}


def whole_number(least: int, most: int) -> Kind:
    """Whole numbers from `least` to `most`, both included; true and false are not numbers."""

    def read(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise ValueError(f"expected a whole number from {least} to {most}, got {shown(value)}")

    return Kind(read, lambda: {"type": "integer", "minimum": least, "maximum": most})


def number(least: float, most: float) -> Kind:
    """Numbers from `least` to `most`, both included."""

    def read(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most:
            return float(value)
        raise ValueError(f"expected a number from {least:g} to {most:g}, got {shown(value)}")

    return Kind(read, lambda: {"type": "number", "minimum": least, "maximum": most})
