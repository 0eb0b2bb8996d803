"""What a job file may say of how its API tells waits and allowances, where that cannot be known without being told."""

import re
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, StrictBool, model_validator

from fetcher.job.addresses import parse_header_name
from fetcher.job.kinds import Kind, whole_number
from fetcher.job.section import Section, written
from fetcher.job.units import ElapsedRateText, duration_between
from fetcher.job.values import parse_jmespath, parse_pattern

ResetKind: TypeAlias = Literal["auto", "seconds", "milliseconds", "epoch", "epoch milliseconds", "duration", "date"]
"""How a moment is written: as what is left until then, as an epoch time, as `1m4.2s`, as an HTTP or ISO date."""

_TEXT_WAIT = "try again in (?P<wait>[0-9hms.]+)"
_HeaderName = Annotated[str, Kind(parse_header_name, lambda: {"type": "string", "examples": ["X-Backoff"]})]
_Path = Annotated[
    str,
    Kind(
        lambda value: parse_jmespath(value, "the path of a wait, such as 'error.retry_after'"),
        lambda: {"type": "string", "examples": ["error.retry_after", "backoff"]},
    ),
]
_Pattern = Annotated[re.Pattern[str], Kind(parse_pattern, lambda: {"type": "string", "examples": [_TEXT_WAIT]})]
_KIND = "How it is written: 'auto', 'seconds', 'milliseconds', 'epoch', 'epoch milliseconds', 'duration' or 'date'."


class WaitRule(Section):
    """One place where an answer says how long to wait: a header, a field of its body, or its text."""

    header: _HeaderName | None = Field(default=None, description="Header that holds the wait.")
    body: _Path | None = Field(default=None, description="Path of the wait within a JSON answer (JMESPath).")
    text: _Pattern | None = Field(
        default=None,
        description="Regular expression found in the text of a refusal; its group 'wait' is the wait, also in English.",
    )
    kind: ResetKind = Field(default="auto", description=_KIND)
    status: tuple[Annotated[int, whole_number(100, 599)], ...] = Field(
        default=(), description="Statuses at which to look. Left out: all for header and body, all but 2xx for text."
    )
    least: Annotated[float, duration_between("1 s", "1 day")] = written(
        "60 s", "Wait where the text is found and says no time; it doubles while that goes on."
    )

    @model_validator(mode="after")
    def _check_place(self) -> Self:
        places = [place for place in (self.header, self.body, self.text) if place is not None]
        if len(places) != 1:
            raise ValueError(f"expected one of 'header', 'body' and 'text', got {len(places)} of them")
        return self


class WindowRule(Section):
    """Headers of the API's own that together say what is left of one limit."""

    remaining: _HeaderName | None = Field(default=None, description="Header with what is left.")
    filling: _HeaderName | None = Field(default=None, description="Header with how full a bucket is, as 'n/40'.")
    refill: ElapsedRateText | None = Field(default=None, description="How fast that bucket runs out, such as '2/s'.")
    reset: _HeaderName | None = Field(default=None, description="Header with when there is more again.")
    limit: _HeaderName | None = Field(default=None, description="Header with what is allowed in one window.")
    interval: _HeaderName | None = Field(default=None, description="Header with the length of that window.")
    kind: ResetKind = Field(default="auto", description=f"{_KIND} Of the header 'reset'.")
    unit: str = Field(
        default="requests", description="What is counted: 'requests', 'tokens', 'content-bytes', or a name of yours."
    )

    @model_validator(mode="after")
    def _check_headers(self) -> Self:
        counts = [place for place in (self.remaining, self.filling) if place is not None]
        if len(counts) > 1 or not (counts or (self.limit and self.interval)):
            raise ValueError("expected 'remaining' or 'filling', or 'limit' with 'interval'")
        return self


class HintsSection(Section):
    """How the API says when to come back, where it does so in ways of its own. The usual ways need no words here."""

    reset: ResetKind | Literal["ignored"] = Field(
        default="auto", description=f"{_KIND} Of X-RateLimit-Reset and its like; 'ignored' where those headers lie."
    )
    should_retry: StrictBool = Field(
        default=False, description="Believe x-should-retry and stripe-should-retry rather than the status."
    )
    concurrency: _HeaderName = Field(
        default="X-Concurrency-Limit", description="Header with how many requests may be under way at once."
    )
    waits: tuple[WaitRule, ...] = Field(default=(), description="Places where this API says how long to wait.")
    windows: tuple[WindowRule, ...] = Field(default=(), description="Headers where this API says what is left.")
