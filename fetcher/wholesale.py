"""Rows of the ledger, saved by the thousand: SQL over a connection, within its caller's transaction.

One statement takes all rows that are done alike. Row by row, a thread that waits for its turn a hundred thousand times
would hold up the one that reads, and be held up by it; SQLite alone needs no turn, and is three times as fast.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from fetcher.model import DoneRows

INTO = """
INSERT INTO rows (
    key, state, reason, attempts, records, first_record, digest, revision, not_before, settled_at, first_day, last_day,
    position, answers
)
"""
CONFLICT = """
ON CONFLICT (key) DO UPDATE SET state = excluded.state, reason = excluded.reason,
    attempts = rows.attempts + excluded.attempts, records = excluded.records, first_record = excluded.first_record,
    digest = excluded.digest, revision = excluded.revision, not_before = excluded.not_before,
    settled_at = excluded.settled_at, first_day = excluded.first_day, last_day = excluded.last_day,
    position = excluded.position, answers = excluded.answers
"""
ALIKE = """
SELECT {key}, 'done', '', 0, 1, :first_record + each.key, substr(:digests, 1 + 32 * each.key, 32), 1, 0, :settled_at,
    {first_day}, {last_day}, '', 1
FROM json_each(:rows) AS each WHERE true ORDER BY 1
"""  # in order of key: each page of the table is touched once
PLAIN = INTO + ALIKE.format(key="each.value", first_day="0", last_day="0") + CONFLICT
DATED = INTO + ALIKE.format(
    key="json_extract(each.value, '$[0]')",
    first_day="json_extract(each.value, '$[1]')",
    last_day="json_extract(each.value, '$[2]')",
) + CONFLICT  # fmt: skip


@dataclass(slots=True)
class SettledRows:
    """Rows that are done alike, as a commit saves them: their records are numbered from `first_record` on, part after
    part. `settled_at` is in epoch seconds."""

    first_record: int
    settled_at: float
    parts: list[DoneRows] = field(default_factory=list)


def save(writer: sqlite3.Connection, many: SettledRows) -> None:
    """Settle all of them."""
    for query, parts, first_record in _alike(many):
        told: list[object] = []
        for part in parts:
            told += zip(part.keys, *part.days, strict=True) if part.days else part.keys
        values = {
            "first_record": first_record,
            "settled_at": many.settled_at,
            "rows": msgspec.json.encode(told).decode(),
        }
        writer.execute(query, values | {"digests": b"".join(part.digests for part in parts)})


def _alike(many: SettledRows) -> list[tuple[str, Sequence[DoneRows], int]]:
    """The parts that one statement takes, and the number of their first record."""
    found: list[tuple[str, list[DoneRows], int]] = []
    number = many.first_record
    for part in many.parts:
        query = DATED if part.days else PLAIN
        if not found or found[-1][0] is not query:
            found.append((query, [], number))
        found[-1][1].append(part)
        number += len(part.keys)
    return [(query, parts, first) for query, parts, first in found]
