"""Examples beside a job, `air_temperature.test.toml`: answers that an API gave or might give, and what becomes of them.

Read like a job file, with all faults at once; texts in it are no templates, and variables are not filled in.
"""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PlainValidator, ValidationError, ValidationInfo, WithJsonSchema, model_validator

from fetcher.errors import JobError
from fetcher.job.document import read_document
from fetcher.job.faults import Origins, model_faults
from fetcher.job.kinds import whole_number
from fetcher.job.section import Section
from fetcher.model import RowState, Value

State = Literal["done", "empty", "refused", "gave up", "quarantined", "unknown", "discarded", "waiting"]


def _read_value(value: object) -> Value:
    if isinstance(value, str | int | float | bool | date | datetime):
        return value
    raise ValueError(f"expected text, a number, true, false or a date, got {type(value).__name__}")


def _read_file(value: object, info: ValidationInfo) -> bytes:
    if not isinstance(value, str):
        raise ValueError("expected the name of a file beside this one")
    folder = info.context["folder"] if info.context else Path()
    try:
        return Path(folder, value).read_bytes()
    except OSError as error:
        raise ValueError(f"'{value}' cannot be read: {error.strerror}") from error


RowValue = Annotated[Any, PlainValidator(_read_value)]
FileBytes = Annotated[bytes, PlainValidator(_read_file), WithJsonSchema({"type": "string"})]


class Answer(Section):
    """One answer of the API: to the row's first request, or to that of its next page."""

    status: Annotated[int, whole_number(100, 599)] = Field(default=200, description="Status of the answer.")
    headers: dict[str, str] = Field(default_factory=dict, description="Headers of the answer.")
    body: str | None = Field(default=None, description="The body as text.")
    json_: Any = Field(default=None, alias="json", description="The body as a value that is sent as JSON.")
    file: FileBytes | None = Field(default=None, description="A file beside this one that holds the body.")

    @model_validator(mode="after")
    def _check_one(self) -> Self:
        if sum(part is not None for part in (self.body, self.json_, self.file)) > 1:
            raise ValueError("expected one of 'body', 'json' and 'file'")
        return self


class Example(Section):
    """A row, what it is answered, and what has to become of it. What is left out is not looked at."""

    name: str = Field(min_length=1, description="What the example shows, in words.")
    row: dict[str, RowValue] = Field(default_factory=dict, description="The row's values: { date = 2024-01-01 }.")
    answers: tuple[Answer, ...] = Field(description="What the API answers, in the order of the requests.")
    request: str | None = Field(
        default=None, description="The first request: 'GET https://api.example.org/v1?date=2024-01-01', secrets as ***."
    )
    state: State | None = Field(default=None, description="State that the row ends in; 'waiting' where pages follow.")
    reason: str | None = Field(default=None, description="Text that the reason of that state has in it.")
    records: str | tuple[dict[str, Any], ...] | None = Field(
        default=None, description="The records, as a list of tables or as text with one JSON object a line."
    )
    records_file: FileBytes | None = Field(default=None, description="A file beside this one with the records, JSONL.")
    tables: dict[str, str | tuple[dict[str, Any], ...]] = Field(
        default_factory=dict, description="Records of other tables, by the table's name."
    )

    @model_validator(mode="after")
    def _check_shown(self) -> Self:
        if not self.answers:
            raise ValueError("has no answers; an example has one for each request")
        told = (self.request, self.state, self.reason, self.records, self.records_file, self.tables or None)
        if all(part is None for part in told):
            raise ValueError("expects nothing: say 'records', 'state', 'reason' or 'request'")
        if self.records is not None and self.records_file is not None:
            raise ValueError("expected either 'records' or 'records_file', got both")
        return self


class Examples(Section):
    """All examples of a job."""

    example: tuple[Example, ...] = Field(description="The examples, one after the other.")

    @model_validator(mode="after")
    def _check_some(self) -> Self:
        if not self.example:
            raise ValueError("expected at least one [[example]], got none")
        return self


def examples_file(job_file: Path) -> Path:
    """`air_temperature.test.toml`, which lies beside `air_temperature.toml`."""
    return job_file.with_suffix(f".test{job_file.suffix}")


def load_examples(path: Path) -> Examples:
    """The examples in a file. Raises `JobError` with every fault in it."""
    document = read_document(path)
    try:
        return Examples.model_validate(document.tree, context={"folder": path.parent})
    except ValidationError as error:
        origins = Origins(document.places, frozenset())
        faults = model_faults(error, document.tree, set())
        raise JobError(str(path), [origins.fault(where, message) for where, message in faults]) from error


assert set(State.__args__) == {str(state) for state in RowState}  # type: ignore[attr-defined]  # the two name the same
