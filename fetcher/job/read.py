"""`[read]`: where the rows of a job come from."""

from typing import Literal, Self

from pydantic import Field, model_validator

from fetcher.job.days import DayText, StepText, TimezoneText, order_fault
from fetcher.job.files import Files
from fetcher.job.records import Records
from fetcher.job.section import Section, written
from fetcher.job.steps import EveryText
from fetcher.job.tables import Table, Values
from fetcher.job.wording import listed

SOURCES = ("dates", "table", "values", "records", "files")
ITEMS = ("table", "records", "files")
"""Sources of which a job has one at most."""


class Dates(Section):
    """One row a day, or a window of days, from a first to a last day."""

    from_: DayText = Field(
        alias="from",
        description="First day: a date such as '2024-01-01', 'today', 'yesterday', or '-100 days'.",
    )
    to: DayText = written("yesterday", "Last day, included: a date, 'today', 'yesterday', or '-100 days'.")
    every: EveryText = written(
        "1 day",
        "Length of a step: '1 day' fills {date}, and like '7 days', '1 month', '1 year' or '6 h' {start} and {end}, "
        "both included. {until} is what comes after, for APIs that leave the end out.",
    )
    timezone: TimezoneText = written("UTC", "Time zone in which days begin, such as 'Asia/Singapore'.")

    lookback: StepText | None = Field(
        default=None,
        description="Ask again, at each run, for the days less than this long ago: '3 days'. For feeds that correct.",
    )
    order: Literal["oldest", "newest"] = Field(
        default="oldest", description="Which rows are asked for first, 'oldest' or 'newest'."
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if fault := order_fault(self.from_, self.to):
            raise ValueError(fault)
        return self


class Read(Section):
    """Where the rows come from: what to ask about. Several sources are crossed."""

    dates: Dates | None = Field(
        default=None, description="A range of days: one request for each day, or for each window of days."
    )
    table: Table | None = Field(default=None, description="A table: one request for each line of it.")
    values: Values | None = Field(
        default=None,
        description="Lists of values, { station = ['S01', 'S02'] }: one request for each combination. Or "
        "[[read.values]], with the values of one request each.",
    )
    records: Records | None = Field(
        default=None, description="Another job: one request for each record that it has brought home."
    )
    files: Files | None = Field(default=None, description="Files: one request, or record, for each of them.")
    key: tuple[str, ...] = Field(
        default=(),
        description="Columns of the table, or fields of the records, that tell them apart, such as ['id']. Left out: "
        "all of them do, and equal lines are two rows.",
    )

    @model_validator(mode="after")
    def _check_sources(self) -> Self:
        if fault := sources_fault([name for name in SOURCES if getattr(self, name) is not None], bool(self.key)):
            raise ValueError(fault)
        return self

    @property
    def has_items(self) -> bool:
        """Whether rows lie in files, rather than in the job: what is read may be slow, and is no range of days."""
        return any(getattr(self, name) for name in ITEMS)


def sources_fault(sources: list[str], has_key: bool) -> str | None:
    """What is wrong between the sources of a job."""
    if not sources:
        return "expected 'dates', 'table', 'values', 'records' or 'files': where do the rows come from?"
    given = [name for name in ITEMS if name in sources]
    if len(given) > 1:
        return f"expected one of 'table', 'records' and 'files', got {listed(given)}"
    if has_key and not {"table", "records"} & set(sources):
        return "'key' names columns of a table or fields of records, and there is neither 'table' nor 'records'"
    return None
