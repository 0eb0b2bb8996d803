"""`[[fetch.expect]]`: what an answer means where its status does not say so."""

import re
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from fetcher.job.addresses import parse_header_name
from fetcher.job.entries import JsonPath
from fetcher.job.kinds import Kind, whole_number
from fetcher.job.section import Section, written
from fetcher.job.units import duration_between
from fetcher.job.values import parse_pattern

Action: TypeAlias = Literal["accept", "empty", "retry", "cooldown", "refuse", "refresh_auth", "stop", "split"]

_HeaderName = Annotated[str, Kind(parse_header_name, lambda: {"type": "string", "examples": ["Content-Type"]})]
_Pattern = Annotated[re.Pattern[str], Kind(parse_pattern, lambda: {"type": "string", "examples": ["try again in"]})]


class Expect(Section):
    """One rule. All conditions that it names must hold; the first rule that matches decides, before the status does."""

    status: tuple[Annotated[int, whole_number(100, 599)], ...] = Field(
        default=(), description="Statuses that it is about, such as [200, 404]. Left out: any."
    )
    header: dict[_HeaderName, _Pattern] = Field(
        default_factory=dict, description="Headers and the regular expressions that are found in them."
    )
    body: JsonPath | None = Field(
        default=None,
        description="A condition on a JSON answer (JMESPath), such as \"status != 'ok'\"; found where it is "
        "anything but nothing, false or empty.",
    )
    text: _Pattern | None = Field(
        default=None,
        description="Regular expression found in the first 4,000 bytes of the body; its group 'wait' says how long.",
    )
    action: Action = Field(
        description="'accept' takes it for an answer, 'empty' for one without records, 'retry' asks again, 'cooldown' "
        "leaves the API alone for a while first, 'refuse' ends the row, 'refresh_auth' gets a new token, 'stop' ends "
        "the run, 'split' halves the row's window."
    )
    wait: Annotated[float, duration_between("1 s", "31 days")] = written(
        "60 s", "How long 'cooldown' waits where the answer does not say; it doubles while that goes on."
    )
    reason: JsonPath | None = Field(
        default=None, description="Path of what the answer says is wrong, for messages. Left out: its first words."
    )

    @model_validator(mode="after")
    def _check_condition(self) -> Self:
        if not (self.status or self.header or self.body or self.text):
            raise ValueError("expected at least one of 'status', 'header', 'body' and 'text', got none: it fits all")
        return self
