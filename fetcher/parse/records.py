"""A response body becomes JSONL lines. Pure, and picklable by name: it runs in a worker process.

Imports nothing heavy: a worker's start waits for it.
"""

import importlib.util
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from fetcher.errors import Quarantined
from fetcher.model import Value

ParseFunction = Callable[[bytes, dict[str, Value]], Iterable[Mapping[str, object]]]
"""A job's own function: the body and the row's values in, records out."""


@dataclass(frozen=True, slots=True)
class Parsing:
    """How to parse: a function in a Python file, or the path of the records in a JSON answer (JMESPath)."""

    file: str = ""
    function: str = ""
    records: str = ""


@dataclass(frozen=True, slots=True)
class Parsed:
    """JSONL: every line ends with its newline. The order is the parser's."""

    lines: bytes
    records: int


def parse(parsing: Parsing, body: bytes, values: Mapping[str, Value]) -> Parsed:
    """The records of one answer. Raises `Quarantined` when it holds none that can be written down."""
    found = _function(parsing)(body, dict(values)) if parsing.function else _at_path(parsing.records, body)
    if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
        raise Quarantined(f"the parser gave {_kind(found)}, expected an iterable of records (dicts)")
    encoder = msgspec.json.Encoder()
    lines = bytearray()
    number = 0
    for number, record in enumerate(found, 1):
        lines += _line(encoder, record, number)
    return Parsed(bytes(lines), number)


def _line(encoder: msgspec.json.Encoder, record: object, number: int) -> bytes:
    if not isinstance(record, Mapping):
        raise Quarantined(f"record {number} is {_kind(record)}, expected a dict")
    try:
        line = encoder.encode(record)
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise Quarantined(f"record {number} cannot be written as JSON: {error}") from error
    if b"null" in line:  # msgspec writes NaN as null; only a look at the record tells them apart
        _refuse_nan(record, f"record {number}")
    return line + b"\n"


def _refuse_nan(value: object, place: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise Quarantined(f"{place} is {value}, which JSON cannot hold; give None where there is no value")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _refuse_nan(inner, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _refuse_nan(inner, f"{place}[{index}]")


def _at_path(path: str, body: bytes) -> object:
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Quarantined(f"the answer is not JSON: {error}") from error
    found = _compiled(path)(answer)
    return [] if found is None else [found] if isinstance(found, Mapping) else found


@lru_cache
def _compiled(path: str) -> Callable[[Any], object]:
    import jmespath

    search: Callable[[Any], object] = jmespath.compile(path).search
    return search


@lru_cache
def _function(parsing: Parsing) -> ParseFunction:
    spec = importlib.util.spec_from_file_location(Path(parsing.file).stem, parsing.file)
    if spec is None or spec.loader is None:
        raise Quarantined(f"{parsing.file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function: ParseFunction = getattr(module, parsing.function)
    return function


def _kind(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
