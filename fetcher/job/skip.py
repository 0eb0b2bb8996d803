"""`[fetch.skip]`: rows that are not asked about."""

from pydantic import Field

from fetcher.job.entries import JsonBody
from fetcher.job.section import Section


class Skip(Section):
    """Which rows are not asked about, and what stands in place of their answer."""

    blank: tuple[str, ...] = Field(
        min_length=1,
        description="Names of values; a row in which one of them is empty, or nothing but blanks, is not asked about.",
    )
    answer: JsonBody | None = Field(
        default=None,
        description="What is taken for the answer to such a row, as JSON and with slots: { message = 'empty' }. "
        "Left out: it has no records.",
    )
