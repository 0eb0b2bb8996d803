"""Records become JSONL lines and the hashes of their keys."""

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

import msgspec

from fetcher.errors import Quarantined
from fetcher.parse.exact import plain
from fetcher.parse.paths import kind_named

CHUNK_RECORDS = 1000


class Lines:
    """The lines of one table's records of one answer, as they come.

    A record of the main table, which has no name, has a key where the job names one. In any other table each has one:
    what all its fields say, where none are named.
    """

    def __init__(self, key: tuple[str, ...], table: str = "", hook: Callable[[object], object] = plain) -> None:
        self._key = key
        self._table = table
        self._hook = hook
        self._encoder = msgspec.json.Encoder(enc_hook=hook)
        self.lines, self.keys, self.records = bytearray(), bytearray(), 0

    def add(self, found: object) -> None:
        """Take records. Raises `Quarantined` for what is none, and for what JSON cannot hold."""
        left: Iterator[object] = iter(checked(found))
        while chunk := list(islice(left, CHUNK_RECORDS)):
            self.lines += _chunk_lines(self._encoder, chunk, self.records)
            if self._key or self._table:
                numbered = enumerate(chunk, self.records + 1)
                self.keys += b"".join(self._digest(record, number) for number, record in numbered)
            self.records += len(chunk)

    def _digest(self, record: Any, number: int) -> bytes:
        """What tells a record from others: 16 bytes of a hash over its key's values, and its table."""
        names = self._key
        missing = [name for name in names if record.get(name) is None]
        if missing:
            key = f"write.tables.{self._table}.key" if self._table else "write.key"
            raise Quarantined(f"record {number} has no '{missing[0]}', which {key} names")
        values: list[object] = [self._table] if self._table else []
        values += [record[name] for name in names] if names else [record]
        encoded = msgspec.json.encode(values, enc_hook=self._hook, order="sorted" if self._table else None)
        return hashlib.blake2b(encoded, digest_size=16).digest()


def checked(found: object) -> Iterable[Mapping[str, object]]:
    """What a parser gave, if it can be gone through. Raises `Quarantined` where it cannot."""
    if isinstance(found, str | bytes | Mapping) or not isinstance(found, Iterable):
        raise Quarantined(f"the parser gave {kind_named(found)}, expected an iterable of records (dicts)")
    return found


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
        raise Quarantined(f"record {number} is {kind_named(record)}, expected a dict")
    try:
        line = encoder.encode(record if isinstance(record, dict) else dict(record))
    except (TypeError, ValueError, msgspec.MsgspecError, RecursionError) as error:
        raise Quarantined(f"record {number} cannot be written as JSON: {error}") from error
    if b"null" in line:  # msgspec writes NaN as null; only a look at the record tells them apart
        try:
            _refuse_nan(msgspec.to_builtins(record, enc_hook=plain), f"record {number}")
        except RecursionError as error:
            raise Quarantined(f"record {number} is nested too deeply to be checked for NaN") from error
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
