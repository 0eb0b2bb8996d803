"""`[[annotate]]`: what is added to each record before it is written."""

import csv
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, PlainValidator, StrictBool, ValidationInfo, WithJsonSchema, model_validator

from fetcher.job.entries import Function, JsonPath
from fetcher.job.images import ImageSection
from fetcher.job.model import ModelSection
from fetcher.job.rule_tables import RuleSection, rules_in_file
from fetcher.job.section import Section
from fetcher.job.service import ServiceSection
from fetcher.job.wording import hint, listed, shown


def _read_file(value: object, info: ValidationInfo) -> Path:
    if isinstance(value, Path):
        return value
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"expected a file such as 'stations.csv', got {shown(value)}")
    folder = info.context["folder"] if info.context else Path()
    file: Path = (folder / value).resolve()
    if not file.is_file():
        raise ValueError(f"'{value}' is no file ({file})")
    return file


TableFile = Annotated[
    Path, PlainValidator(_read_file), WithJsonSchema({"type": "string", "examples": ["topics.toml", "stations.csv"]})
]


def header_of(table: Path) -> list[str] | None:
    """The names of a table's columns; None where it has no header that says so."""
    if table.suffix not in (".csv", ".tsv"):
        return None
    try:
        with table.open(encoding="utf-8-sig", newline="") as lines:
            return next(csv.reader(lines, delimiter="\t" if table.suffix == ".tsv" else ","), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"'{table.name}' cannot be read: {error}") from error


class RulesSection(Section):
    """Labels by words, phrases and patterns, from a table or written here."""

    field: str = Field(description="Field of the record whose text is looked at.")
    table: TableFile | None = Field(
        default=None,
        description="File with the rules: TOML with [[rule]] tables, or CSV with a line for each term (label, term).",
    )
    rule: tuple[RuleSection, ...] = Field(default=(), description="Rules written here instead of in a table.")
    first: StrictBool = Field(default=False, description="Give the first label alone, or null, instead of a list.")
    why: str | None = Field(default=None, description="Field for what matched: {label: the term or pattern}.")

    @model_validator(mode="after")
    def _check_rules(self) -> Self:
        if (self.table is None) == (not self.rule):
            raise ValueError("expected either 'table' or 'rule', which hold the rules")
        if self.table:
            rules_in_file(self.table)
        return self

    def rules(self) -> tuple[RuleSection, ...]:
        """The rules, wherever they are written. Raises ValueError where the table changed into something else."""
        return rules_in_file(self.table) if self.table else self.rule


class LookupSection(Section):
    """Fields of a table, found by a key of the record."""

    table: TableFile = Field(description="Table: CSV or TSV with a header, or JSONL.")
    field: str = Field(description="Field of the record that holds the key.")
    column: str | None = Field(default=None, description="Column of the table with that key. Left out: named alike.")
    take: tuple[str, ...] | dict[str, str] = Field(
        min_length=1, description="Columns that are taken over, or {field of the record = column}."
    )

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        columns = header_of(self.table)
        wanted = [self.column or self.field, *(column for _, column in self.pairs())]
        if columns is not None and (missing := next((name for name in wanted if name not in columns), None)):
            raise ValueError(f"'{self.table.name}' has no column '{missing}'{hint(missing, columns)}")
        return self

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(field of the record, column of the table)."""
        return tuple(self.take.items()) if isinstance(self.take, dict) else tuple((name, name) for name in self.take)


KINDS = ("rules", "function", "lookup", "image", "service", "model")


class AnnotateSection(Section):
    """One annotator. They run in the order of the file, so that one sees what the one before has added."""

    rules: RulesSection | None = Field(default=None, description="Labels by rules.")
    function: Function | None = Field(
        default=None,
        description="A function of yours, 'file.py:name': a record (dict) in, a value out, or the fields to add.",
    )
    frames: StrictBool = Field(
        default=False,
        description="Whether the function takes many records at once, as a pandas frame of text, and gives a value for "
        "each: a Series, an array, a list, or a DataFrame of fields.",
    )
    lookup: LookupSection | None = Field(default=None, description="Fields of a table, found by a key.")
    image: ImageSection | None = Field(default=None, description="What is to be told of a picture; a smaller one.")
    service: ServiceSection | None = Field(default=None, description="A service that is asked about each record.")
    model: ModelSection | None = Field(default=None, description="A model (an LLM) that labels each record.")
    into: str | None = Field(
        default=None, min_length=1, description="Field for the result. Left out: the result's own fields are added."
    )
    when: JsonPath | None = Field(
        default=None, description="Condition on the record (JMESPath), such as \"language == 'en'\"; others are left."
    )
    only_empty: StrictBool = Field(default=False, description="Leave records alone whose field has something already.")
    provenance: StrictBool = Field(
        default=False,
        description="Say in each record where its fields are from: _provenance has annotator, version, time of each.",
    )

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        given = [name for name in KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"expected one of {listed(KINDS, 'and')}, got {len(given)} of them")
        if self.frames and not self.function:
            raise ValueError("frames = true is for a function, which takes many records at once")
        if self.rules and not self.into:
            raise ValueError("rules need 'into', the field that the labels go into")
        if self.model and self.model.labels and not self.into:
            raise ValueError("labels need 'into', the field that the label goes into")
        if self.only_empty and not self.into:
            raise ValueError("only_empty needs 'into': which field?")
        return self

    @property
    def name(self) -> str:
        """What it is, by its kind and its file: `rules topics.toml`, `model small-model`."""
        if self.function:
            return f"function {self.function.file.name}:{self.function.name}"
        if self.model:
            return f"model {self.model.model}"
        kind = next(name for name, value in self if isinstance(value, Section))
        table = getattr(getattr(self, kind), "table", None)
        return f"{kind} {table.name}" if table else kind

    def named(self, number: int) -> str:
        """What messages call it, the so-manieth of its job: `annotate[0].service 'place'`."""
        kind = next(kind for kind in KINDS if getattr(self, kind) is not None)
        return f"annotate[{number}].{kind}" + (f" '{self.into}'" if self.into else "")

    @property
    def asks(self) -> ServiceSection | None:
        """Whom it asks, and how; None for an annotator that asks nobody."""
        return self.model.composed if self.model else self.service
