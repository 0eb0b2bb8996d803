"""A response body becomes JSONL lines. Pure, and picklable by name: it runs in a worker process.

Imports nothing heavy: a worker's start waits for it.
"""

import hashlib
import importlib.util
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from fetcher.engines.worker import described
from fetcher.errors import Fault, JobError, Quarantined
from fetcher.model import PageFacts, Value
from fetcher.parse.pages import PagePaths, page_facts
from fetcher.parse.paths import decode, search

CHUNK_RECORDS = 1000

ParseFunction = Callable[[bytes, dict[str, Value]], Iterable[Mapping[str, object]]]
"""A job's own function: the body and the row's values in, records out."""


@dataclass(frozen=True, slots=True)
class Parsing:
    """How to parse: a function in a Python file, or the path of the records in a JSON answer (JMESPath).

    `key` names the fields that tell records apart; `pages` is None where answers do not come in pages.
    """

    file: str = ""
    function: str = ""
    records: str = ""
    key: tuple[str, ...] = ()
    pages: PagePaths | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    """JSONL: every line ends with its newline. The order is the parser's.

    `record_keys` are 16 bytes a record, where the job has a key; `facts` are what the answer says about its pages.
    """

    lines: bytes
    records: int
    record_keys: bytes = b""
    facts: PageFacts | None = None


def parse(parsing: Parsing, body: bytes, values: Mapping[str, Value]) -> Parsed:
    """The records of one answer.

    Raises `Quarantined` when one cannot be written down, `JobError` when the job's own function cannot be loaded, and
    whatever that function raises.
    """
    answer = None if parsing.function and not parsing.pages else decode(body)
    found = _function(parsing)(body, dict(values)) if parsing.function else _at_path(parsing.records, answer)
    if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
        raise Quarantined(f"the parser gave {_kind(found)}, expected an iterable of records (dicts)")
    encoder = msgspec.json.Encoder()
    lines, keys = bytearray(), bytearray()
    records = 0
    left = iter(found)
    while chunk := list(islice(left, CHUNK_RECORDS)):
        lines += _chunk_lines(encoder, chunk, records)
        if parsing.key:
            keys += b"".join(_key(parsing.key, record, number) for number, record in enumerate(chunk, records + 1))
        records += len(chunk)
    facts = page_facts(parsing.pages, answer, records) if parsing.pages else None
    return Parsed(bytes(lines), records, bytes(keys), facts)


def load(parsing: Parsing) -> None:
    """Import the job's own function. Raises `JobError` where its file cannot be run."""
    if parsing.function:
        _function(parsing)


def parse_item(parsing: Parsing, item: tuple[bytes, Mapping[str, Value]]) -> Parsed:
    """`parse` for an engine, which hands over one item."""
    return parse(parsing, *item)


def _chunk_lines(encoder: msgspec.json.Encoder, chunk: list[object], before: int) -> bytes:
    """The lines of a chunk at once (half the time of one by one), unless a look at each is needed."""
    if all(isinstance(record, dict) for record in chunk):
        with suppress(TypeError, ValueError, msgspec.MsgspecError, RecursionError):
            lines = encoder.encode_lines(chunk)
            if b"null" not in lines:
                return lines
    return b"".join(_line(encoder, record, number) for number, record in enumerate(chunk, before + 1))


def _line(encoder: msgspec.json.Encoder, record: object, number: int) -> bytes:
    if not isinstance(record, Mapping):
        raise Quarantined(f"record {number} is {_kind(record)}, expected a dict")
    try:
        line = encoder.encode(record if isinstance(record, dict) else dict(record))
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise Quarantined(f"record {number} cannot be written as JSON: {error}") from error
    if b"null" in line:  # msgspec writes NaN as null; only a look at the record tells them apart
        try:
            _refuse_nan(msgspec.to_builtins(record), f"record {number}")
        except RecursionError as error:
            raise Quarantined(f"record {number} is nested too deeply to be checked for NaN") from error
    return line + b"\n"


def _key(names: tuple[str, ...], record: Any, number: int) -> bytes:
    """What tells a record from others: 16 bytes of a hash over its key's values."""
    missing = [name for name in names if record.get(name) is None]
    if missing:
        raise Quarantined(f"record {number} has no '{missing[0]}', which write.key names")
    values = msgspec.json.encode([record[name] for name in names])
    return hashlib.blake2b(values, digest_size=16).digest()


def _refuse_nan(value: object, place: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise Quarantined(f"{place} is {value}, which JSON cannot hold; give None where there is no value")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _refuse_nan(inner, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _refuse_nan(inner, f"{place}[{index}]")


def _at_path(path: str, answer: object) -> object:
    found = search("parse.records", path, answer)
    return [] if found is None else [found] if isinstance(found, Mapping) else found


@lru_cache
def _function(parsing: Parsing) -> ParseFunction:
    # A name of its own: a job's `json.py` must not become everybody's `json`.
    name = f"_parse_{Path(parsing.file).stem}"
    spec = importlib.util.spec_from_file_location(name, parsing.file)
    if spec is None or spec.loader is None:
        raise JobError(parsing.file, [Fault(0, 0, "", "not a Python file")])
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # where dataclasses look for their module
    try:
        spec.loader.exec_module(module)
        function: ParseFunction = getattr(module, parsing.function)
    except (Exception, SystemExit) as error:
        raise JobError(parsing.file, [Fault(0, 0, "", f"cannot be loaded: {described(error)}")]) from error
    return function


def _kind(value: object) -> str:
    if value is None:
        return "None"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
