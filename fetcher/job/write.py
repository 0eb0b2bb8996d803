"""`[write]`: where the records go, and `[write.tables.NAME]`: which others go beside them."""

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from fetcher.job.entries import Folder, JsonPath
from fetcher.job.kinds import Kind, whole_number
from fetcher.job.section import Section, written
from fetcher.job.shapes import ShapeSection
from fetcher.job.units import duration_between, size_between

TABLE_NAME = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,63}"
RESERVED = frozenset({"records", "failures", "manifest", "report"})
"""Names of files that every job has, or may have."""


def parse_table_name(value: object) -> str:
    """A name that files can have, and that no other file of the job has."""
    if not isinstance(value, str) or not re.fullmatch(TABLE_NAME, value):
        raise ValueError(
            f"expected a name of letters, digits, '_' and '-', at most 64 of them, such as 'stations', got {value!r}"
        )
    if value.casefold() in RESERVED:
        raise ValueError(f"'{value}' is the name of other files of the job; give the table another one")
    return value


def same_name_fault(names: list[str]) -> str | None:
    """What is wrong with names that some file systems take for the same one."""
    seen: dict[str, str] = {}
    for name in names:
        if (other := seen.setdefault(name.casefold(), name)) != name:
            return f"'{other}' and '{name}' differ in upper and lower case alone, and some file systems do not see it"
    return None


TableName = Annotated[str, Kind(parse_table_name, lambda: {"type": "string", "pattern": f"^{TABLE_NAME}$"})]


class Rotate(Section):
    """When a records file is full and the next one begins: at whichever comes first."""

    bytes: Annotated[int, size_between("1 B", "1 TB")] = written(
        "128 MB", "Size at which a records file is sealed and the next one begins."
    )
    records: Annotated[int, whole_number(1, 10**12)] | None = Field(
        default=None, description="Number of records at which the next file begins. Left out: no such limit."
    )
    every: Annotated[float, duration_between("1 s", "3660 days")] | None = Field(
        default=None, description="Age at which the next file begins, such as '1 day'. Left out: no such limit."
    )


class Table(ShapeSection):
    """A table beside the main one: other records of the same answers, in files of their own."""

    records: JsonPath = Field(description="Path of its records within an answer (JMESPath), such as 'stations[]'.")
    key: tuple[str, ...] = Field(
        default=(),
        description="Names of the fields that tell its records apart, such as ['id']; a repeat, of any row, is dropped "
        "and counted. Left out: all its fields.",
    )


class Write(Section):
    """Where the records go."""

    folder: Folder = Field(description="Folder for the records, relative to the job file.")
    rotate: Rotate = Field(default_factory=Rotate, description="When the next records file begins.")
    compress: Literal["none", "gzip", "zstd"] = Field(
        default="none", description="How records files are packed: 'none', 'gzip' or 'zstd'."
    )
    order: Literal["any", "input"] = Field(
        default="any",
        description="Order of the records: 'any', as answers come, or 'input', that of the rows: a record waits for "
        "those of earlier rows.",
    )
    key: tuple[str, ...] = Field(
        default=(),
        description="Names of the fields that tell records apart, such as ['id']; a repeat is dropped and counted.",
    )
    tables: dict[TableName, Table] = Field(
        default_factory=dict,
        description="Further tables from the same answers, each under its name, which is that of its files.",
    )

    @field_validator("tables")
    @classmethod
    def _check_names(cls, tables: dict[str, Table]) -> dict[str, Table]:
        if fault := same_name_fault(list(tables)):
            raise ValueError(fault)
        return tables
