"""What a request carries in its body. One kind a job: JSON, a form, parts, text, or a GraphQL query."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from fetcher.job.addresses import parse_header_value, parse_query_value
from fetcher.job.entries import JsonBody
from fetcher.job.kinds import Kind
from fetcher.job.section import Section, written
from fetcher.job.values import parse_json_body
from fetcher.template import Template, read_template

BODIES = ("json", "form", "multipart", "text", "graphql")

Text = Annotated[Template, Kind(read_template, lambda: {"type": "string"})]
_Value = Annotated[
    Template | int | float | bool, Kind(parse_query_value, lambda: {"type": ["string", "number", "boolean"]})
]
_MediaType = Annotated[Template, Kind(parse_header_value, lambda: {"type": "string", "examples": ["text/csv"]})]
_Variables = Annotated[dict[str, Any], Kind(parse_json_body, lambda: {"type": "object"})]


class Part(Section):
    """One part of a multipart body, as a form in a browser uploads a file."""

    content: Text = Field(description="What the file holds; slots are filled from the row.")
    filename: Text | None = Field(default=None, description="Name that the file is said to have, such as 'rows.csv'.")
    content_type: _MediaType = written("text/plain", "Media type of the part, such as 'text/csv'.")


class GraphQL(Section):
    """A GraphQL request. The query is sent as it stands; only its variables have slots."""

    query: str = Field(min_length=1, description="The query; braces are its own, so it has no slots.")
    variables: _Variables = Field(default_factory=dict, description="Values of its variables; text may have slots.")
    operation: str | None = Field(default=None, description="Name of the operation, where the query has several.")


class Bodies(Section):
    """The keys of `[fetch]` that say how it asks and what a request carries."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = Field(
        default="GET", description="HTTP method of the request."
    )
    json_: JsonBody | None = Field(
        default=None, alias="json", description="Body of the request, sent as JSON; text in it may have slots."
    )
    form: dict[str, _Value] | None = Field(
        default=None, description="Fields of a body that is sent as a form does (application/x-www-form-urlencoded)."
    )
    multipart: dict[str, Part | _Value] | None = Field(
        default=None, description="Parts of a body (multipart/form-data): values, or files with 'content'."
    )
    text: Text | None = Field(default=None, description="Body as text; slots are filled from the row.")
    content_type: _MediaType = written("text/plain; charset=utf-8", "Media type of a body that is 'text'.")
    graphql: GraphQL | None = Field(default=None, description="A GraphQL query and its variables, sent as JSON.")

    @field_validator("json_", "form", "multipart", "text", "graphql")
    @classmethod
    def _check_method(cls, body: object, info: ValidationInfo) -> object:
        if body is not None and info.data.get("method") == "GET":
            raise ValueError('a GET has no body: say method = "POST", or put the values into fetch.query')
        return body

    @model_validator(mode="after")
    def _check_one(self) -> "Bodies":
        given = [name for name in BODIES if getattr(self, "json_" if name == "json" else name) is not None]
        if len(given) > 1:
            raise ValueError(f"expected one body, got {' and '.join(given)}")
        return self
