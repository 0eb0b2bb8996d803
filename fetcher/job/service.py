"""`[annotate.service]`: a service that is asked about each record, and what is taken of its answers."""

import re
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from fetcher.job.kinds import Kind
from fetcher.job.sections import Fetch
from fetcher.job.values import parse_json_path
from fetcher.job.wording import shown

NOT_TAKEN = ("pages", "poll")
"""Keys of `[fetch]` that are for answers in several parts. A question has one."""

_NAMES = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
Pairs = tuple[tuple[str, str], ...]
"""(field of the record, path in the answer)"""


def parse_take(value: object) -> Pairs:
    """`["city", "place.country"]`, each under its last name, or {field = path}."""
    if isinstance(value, dict) and value:
        return tuple((str(name), parse_json_path(path)) for name, path in value.items())
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"expected ['city', 'place.country'] or {{ field = 'path' }}, got {shown(value)}")
    pairs = []
    for path in value:
        if not isinstance(path, str) or not _NAMES.fullmatch(path):
            raise ValueError(
                f"expected names such as 'place.country', got {shown(path)}; of others say {{ field = 'path' }}"
            )
        pairs.append((path.rpartition(".")[2], path))
    if len(dict(pairs)) < len(pairs):
        raise ValueError("two of these end in the same name: say { field = 'path' }")
    return tuple(pairs)


def _take_schema() -> dict[str, object]:
    names = {"type": "array", "items": {"type": "string"}, "examples": [["city", "place.country"]]}
    return {"anyOf": [names, {"type": "object", "additionalProperties": {"type": "string"}}]}


def _without_parts(schema: dict[str, Any]) -> None:
    for name in NOT_TAKEN:
        schema["properties"].pop(name, None)


class ServiceSection(Fetch):
    """A service that is asked about each record. It has all that `[fetch]` has; slots are filled from the record."""

    model_config = ConfigDict(json_schema_extra=_without_parts)

    take: Annotated[Pairs, Kind(parse_take, _take_schema)] | None = Field(
        default=None,
        description="What is taken of the JSON answer: ['city', 'place.country'], each under its last name, or "
        "{ field = 'path' } (JMESPath); null where it is not there. Left out: the answer as it is.",
    )

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        if strange := [name for name in NOT_TAKEN if getattr(self, name) is not None]:
            raise ValueError(f"an annotator does not take '{strange[0]}': a question has one answer, in one piece")
        return self
