"""Who has added which field of a record, and when: the key `_provenance`, the last one of its record.

    {"topics": [], "_provenance": {"topics": {"annotator": "rules a.toml", "version": "1a2b3c4d", "at": "2024..."}}}

When, and at what cost, says nothing of the record itself: one that differs in that alone is the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

PROVENANCE = "_provenance"
_MARK = f',"{PROVENANCE}":{{'.encode()
_told_of = msgspec.json.Decoder(dict[str, dict[str, object]]).decode


@dataclass(frozen=True, slots=True)
class Origin:
    """An annotator, by its kind and file; the `version` of its rules or code (8 hex); `at`, when the run began that it
    adds in (ISO 8601, UTC)."""

    annotator: str
    version: str
    at: str


def note(record: dict[str, object], fields: Iterable[str], origin: Origin, cost: float | None = None) -> None:
    """Say of fields that were added to a record where they are from; `cost` is what they took, where that is told."""
    told: dict[str, object] = {"annotator": origin.annotator, "version": origin.version, "at": origin.at}
    if cost is not None:
        told["cost"] = cost
    before = record.pop(PROVENANCE, None)  # put back at the end, where `lasting` looks for it
    record[PROVENANCE] = {**(before if isinstance(before, Mapping) else {}), **dict.fromkeys(fields, told)}


def add(
    record: dict[str, object], added: Mapping[str, object], origin: Origin | None, cost: float | None = None
) -> None:
    """Add fields to a record; what it says of where its fields are from stays its last one."""
    record.update(added)
    if origin:
        note(record, added, origin, cost)
    elif PROVENANCE in record:
        record[PROVENANCE] = record.pop(PROVENANCE)


def lasting(lines: bytes) -> bytes:
    """Records as lines, without what their provenance says of time and cost: what tells them from others."""
    if _MARK not in lines:
        return lines
    return b"".join(_lasting(line) for line in lines.splitlines(keepends=True))


def _lasting(line: bytes) -> bytes:
    record, mark, told = line.rpartition(_MARK)
    try:
        told_of = _told_of(b"{" + told.rstrip()[:-1])
    except msgspec.DecodeError:  # something follows: it is a field of somebody else's
        return line
    for origin in told_of.values():
        origin.pop("at", None)
        origin.pop("cost", None)
    return record + mark[:-1] + msgspec.json.encode(told_of) + b"}\n"
