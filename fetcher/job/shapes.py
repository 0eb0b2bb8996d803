"""Which part of an answer is a table's records, and what becomes of their fields. The same keys wherever a table is
described."""

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, model_validator

from fetcher.job.entries import JsonPath
from fetcher.job.fields import (
    Column,
    FieldPath,
    FieldSource,
    KeyNames,
    Names,
    NamesOrAll,
    NullValues,
    Pattern,
    TypeName,
)
from fetcher.job.kinds import whole_number
from fetcher.job.section import Section


class FillSection(Section):
    """Points that an API leaves out because nothing changed, made records again."""

    by: Column = Field(description="Field that numbers the points of a list, such as 'position'.")
    first: Annotated[int, whole_number(0, 10**9)] = Field(default=1, description="Number of a list's first point.")
    last: FieldPath | None = Field(
        default=None, description="Path of the number of a list's last point, such as '^.count'. Left out: as it comes."
    )
    start: FieldPath | None = Field(
        default=None, description="Path of the time of the first point, such as '^.timeInterval.start'."
    )
    end: FieldPath | None = Field(
        default=None, description="Path of the time at which the list ends, such as '^.timeInterval.end'."
    )
    step: FieldPath | None = Field(
        default=None, description="Path of the time between two points (ISO 8601), such as '^.resolution'."
    )
    time: Column | None = Field(default=None, description="Field that gets the time of each point.")

    @model_validator(mode="after")
    def _check_times(self) -> Self:
        if (self.end or self.time) and not (self.start and self.step):
            raise ValueError("end and time need start and step, from which times are counted")
        if self.last and self.end:
            raise ValueError("expected either last or end, got both")
        return self


class ShapeSection(Section):
    """Where the records of a table are in an answer, and what their fields become."""

    records: JsonPath | None = Field(
        default=None, description="Path of the records within an answer (JMESPath), such as 'items[].readings[]'."
    )
    columns: StrictBool = Field(
        default=False, description="Whether 'records' finds lists side by side, one a field: {time: [..], value: [..]}."
    )
    names: Names | None = Field(
        default=None,
        description="Names of the values where each record is a list of values: ['date', 'open'], or the path of them.",
    )
    key_into: KeyNames | None = Field(
        default=None,
        description="Field that gets the key where records are the values of an object: 'date', or one name a depth.",
    )
    value_into: Column = Field(
        default="value", description="Field that gets the value where a key leads to a value by itself."
    )
    fill: FillSection | None = Field(default=None, description="Points that are left out as long as nothing changes.")
    fields: dict[Column, FieldSource] = Field(
        default_factory=dict,
        description="Fields of a record: a path within it (JMESPath), '^.path' within what is round it, '{name}' from "
        "the row, or a constant: a number, true, false, or \"'text'\".",
    )
    others: Literal["drop", "keep"] = Field(
        default="drop", description="What becomes of fields that 'fields' does not name: 'drop' or 'keep'."
    )
    trim: NamesOrAll = Field(default=False, description="Fields whose text loses its blank ends; true for all of them.")
    unescape: NamesOrAll = Field(
        default=False, description="Fields whose HTML entities, such as '&amp;', become characters; true for all."
    )
    extract: dict[Column, Pattern] = Field(
        default_factory=dict,
        description="Regular expressions by field: the text becomes what their first group matches, or null.",
    )
    null: NullValues = Field(
        default=(), description="Values that mean 'missing' and become null: [-999, ''], or such a list for each field."
    )
    replace: dict[Column, dict[str, str]] = Field(
        default_factory=dict, description="Texts that become others, by field: { country = { UK = 'GB' } }."
    )
    types: dict[Column, TypeName] = Field(
        default_factory=dict,
        description="Types by field: int, float, decimal, text, bool, date, time, epoch_s, epoch_ms, to_epoch_s, "
        "to_epoch_ms; 'date %d.%m.%Y' and 'time ...' read another format.",
    )

    @model_validator(mode="after")
    def _check_layout(self) -> Self:
        given = [key for key in ("columns", "names", "key_into") if getattr(self, key)]
        if len(given) > 1:
            raise ValueError(f"expected one of 'columns', 'names' and 'key_into', got '{given[0]}' and '{given[1]}'")
        if self.others == "keep" and not self.fields:
            raise ValueError("others = 'keep' needs fields: without any, every field is kept as it is")
        return self
