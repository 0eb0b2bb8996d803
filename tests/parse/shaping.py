"""From a section `[parse]` and an answer to records, for tests."""

import json
import tomllib
from collections.abc import Mapping
from typing import Any

from fetcher.job.parse import Parse
from fetcher.model import Value
from fetcher.parse.from_job import parsing_of
from fetcher.parse.records import Parsed, Parsing, parse


def parsing(section: str) -> Parsing:
    """What a worker is told of a section `[parse]`."""
    return parsing_of(Parse.model_validate(tomllib.loads(section)), (), None)


def parsed(section: str, answer: object, row: Mapping[str, Value] | None = None, content_type: str = "") -> Parsed:
    """What becomes of an answer: bytes as they are, text in UTF-8, anything else as JSON."""
    body = answer if isinstance(answer, bytes) else answer.encode() if isinstance(answer, str) else as_json(answer)
    return parse(parsing(section), body, row or {}, content_type)


def records(section: str, answer: object, row: Mapping[str, Value] | None = None, content_type: str = "") -> list[Any]:
    """Its records, as Python's own JSON reads them."""
    return [json.loads(line) for line in parsed(section, answer, row, content_type).lines.splitlines()]


def as_json(answer: object) -> bytes:
    """JSON as Python writes it."""
    return json.dumps(answer).encode()
