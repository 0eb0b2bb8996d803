"""`[fetch.pages]`: how an answer that comes in pages is asked for, page by page."""

from typing import Annotated, Literal, Self

from pydantic import Field, StrictBool, model_validator

from fetcher.job.entries import HeaderName, JsonPath, ParameterName
from fetcher.job.kinds import whole_number
from fetcher.job.section import Section, written
from fetcher.job.units import duration_between

NUMBERED = ("page", "offset")
NEEDS_NEXT = {"cursor": ("next", "next_header"), "next_url": ("next",)}


class Pages(Section):
    """How the next page is asked for, and when there is none."""

    kind: Literal["page", "offset", "cursor", "next_url", "link", "split"] = Field(
        description="What leads to the next page: a 'page' number, an 'offset' of records, a 'cursor' from the answer, "
        "a 'next_url' in the body, or a 'link' header with rel=next. 'split' halves the row's window while it holds "
        "more than the API gives: {start}, {end} and {until} are then those of the part that is asked for."
    )
    parameter: ParameterName | None = Field(
        default=None,
        description="Parameter that takes the page, offset or cursor, in a body also 'paging.after'. Left out: the "
        "kind's name.",
    )
    into: Literal["query", "json"] = Field(
        default="query", description="Where the parameters go: into the 'query' of the URL or the 'json' body."
    )
    least: Annotated[float, duration_between("1 s", "3660 days")] = written(
        "1 s", "Shortest part that 'split' makes of a window; parts begin whole such steps after it, '1 day' for days."
    )
    first: str | Annotated[int, whole_number(0, 10**9)] | None = Field(
        default=None,
        description="What the first page is asked with: the page (1 unless said), the offset (0), or a cursor's start, "
        "such as '*'; a cursor is left out unless said.",
    )
    size: Annotated[int, whole_number(1, 10**6)] | None = Field(
        default=None, description="Records a full page has. Left out: the server decides."
    )
    size_parameter: ParameterName | None = Field(
        default=None, description="Query parameter that asks for pages of 'size', such as 'limit'."
    )
    next: JsonPath | None = Field(
        default=None,
        description="Path of the next cursor or URL in the answer (JMESPath), such as 'meta.next'. Null, '', false, 0 "
        "or nothing there: there is no next page.",
    )
    next_header: HeaderName | None = Field(
        default=None, description="Header of the answer that holds the next cursor, such as 'X-Next-Cursor'."
    )
    more: JsonPath | None = Field(default=None, description="Path of a flag that says whether a next page exists.")
    total: JsonPath | None = Field(
        default=None, description="Path of the number of items in all pages. Fewer at the end is a failure of the row."
    )
    pages: JsonPath | None = Field(default=None, description="Path of the number of pages.")
    items: JsonPath | None = Field(
        default=None,
        description="Path of the list whose items 'total' and offsets count. Left out: the records that were parsed.",
    )
    short_is_last: StrictBool = Field(
        default=False, description="Whether a page with fewer than 'size' items is taken for the last."
    )
    most: Annotated[int, whole_number(1, 10**7)] = Field(
        default=10_000, description="More pages than this are a failure of the row, never a silent end."
    )
    resume: Literal["page", "start"] = Field(
        default="page",
        description="After a restart: 'page' goes on at the next page, 'start' asks from the first one and drops what "
        "is there already by write.key (for cursors that a server forgets).",
    )

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        if fault := parts_fault(self):
            raise ValueError(fault)
        return self


def parts_fault(pages: Pages) -> str | None:
    """What is wrong between the keys of this section."""
    needed = NEEDS_NEXT.get(pages.kind, ())
    if needed and not any(getattr(pages, name) for name in needed):
        return f"kind = '{pages.kind}' needs {' or '.join(needed)}, which says where the answer has it"
    if pages.size is None and pages.size_parameter:
        return "size_parameter needs size, the number that is asked for"
    if pages.size is None and pages.short_is_last:
        return "short_is_last needs size: shorter than what?"
    if pages.kind in NUMBERED and isinstance(pages.first, str):
        return f"kind = '{pages.kind}' counts: first is a whole number, such as 0 or 1"
    if pages.into == "json" and pages.kind not in (*NUMBERED, "cursor"):
        return f"kind = '{pages.kind}' has no parameter that could go into the json body"
    return None
