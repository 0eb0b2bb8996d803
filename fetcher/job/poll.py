"""`[fetch.poll]`: requests that begin a job at the server, which is asked about until its results are there."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from fetcher.job.addresses import parse_path
from fetcher.job.entries import HeaderName, JsonPath
from fetcher.job.kinds import Kind, text_schema
from fetcher.job.section import Section, written
from fetcher.job.units import duration_between
from fetcher.template import Template

_Path = Annotated[Template, Kind(parse_path, text_schema(r"/.*", "/jobs/{job}"))]
_CONDITION = "Condition on the status (JMESPath), such as \"state == 'done'\""


class Poll(Section):
    """The row's request submits a job. Where its status lies is told by the answer: an address, or the job's id."""

    address: JsonPath | None = Field(
        default=None, description="Path of the status's address in the answer (JMESPath), such as 'links.status'."
    )
    address_header: HeaderName | None = Field(
        default=None, description="Header of the answer with that address, such as 'Location'."
    )
    id: JsonPath | None = Field(default=None, description="Path of the job's id in the answer; it fills {job}.")
    path: _Path | None = Field(default=None, description="Path of the status where there is an id: '/jobs/{job}'.")
    done: JsonPath | None = Field(
        default=None, description=f"{_CONDITION}; without one, a status that is answered with 200 is the result."
    )
    failed: JsonPath | None = Field(default=None, description=f"{_CONDITION}: the job has failed, and the row with it.")
    result: JsonPath | None = Field(
        default=None, description="Path of the results' address in the status. Left out: the status holds the results."
    )
    result_path: _Path | None = Field(
        default=None, description="Path of the results where there is an id: '/jobs/{job}/result'."
    )
    every: Annotated[float, duration_between("10 ms", "1 day")] = written(
        "5 s", "Time between two looks at the status, where the server says nothing (Retry-After)."
    )
    longest: Annotated[float, duration_between("1 s", "366 days")] = written(
        "1 day", "Longest time that a job may take; then its row fails, and begins anew with a job of its own."
    )

    @model_validator(mode="after")
    def _check_status(self) -> Self:
        ways = [self.address is not None, self.address_header is not None, self.path is not None]
        if sum(ways) != 1:
            raise ValueError("expected one of 'address', 'address_header' and 'path', which lead to the status")
        if (self.path or self.result_path) and self.id is None:
            raise ValueError("'path' and 'result_path' need 'id', which says where the answer has the job's id")
        if self.result and self.result_path:
            raise ValueError("expected either 'result' or 'result_path', got both")
        return self
