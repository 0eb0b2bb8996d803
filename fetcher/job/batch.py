"""`[fetch.batch]`: several rows in one request."""

from typing import Annotated

from pydantic import Field, StrictBool

from fetcher.job.entries import JsonPath
from fetcher.job.kinds import Kind, whole_number
from fetcher.job.section import Section
from fetcher.template import Template, read_template


class Match(Section):
    """How an answer is known to be a row's, where the order does not tell."""

    answer: JsonPath = Field(description="Path of the key within one answer (JMESPath), such as 'query'.")
    row: Annotated[Template, Kind(read_template, lambda: {"type": "string", "examples": ["{ip}"]})] = Field(
        description="The key as the row has it, such as '{ip}'."
    )


class Batch(Section):
    """How rows are asked about together, and how the answers are told apart."""

    size: Annotated[int, whole_number(1, 10_000)] = Field(description="Rows in one request, at most.")
    each: tuple[str, ...] = Field(
        min_length=1,
        description="Names of what differs between the rows of a request, such as ['ip']; rows that differ in another "
        "slot go into another request. In the query they are joined; in a body, the list that holds them has an item "
        "for each row.",
    )
    separator: str = Field(default=",", description="What the values are joined with in a query, a path or a form.")
    answers: JsonPath = Field(
        default="@", description="Path of the list of answers (JMESPath). Left out: the answer is that list."
    )
    match: Match | None = Field(
        default=None, description="How answers find their rows. Left out: they are in the order of the rows."
    )
    counts_rows: StrictBool = Field(
        default=False, description="Whether a request counts in the rates once for each of its rows."
    )
