"""Tables beside the main one, in a model job: what each answer brings for them, and who hands it over.

stations    follows from the records of the answer, so what it must hold follows from what the main table must
units       a few records that many rows bring, told apart by their key: each must be there once
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace

from fetcher.model import Outcome, TableLines
from tests.write.long_rows import Desk, key_of

TABLES = ("stations", "units")
UNITS = [b'{"unit":%d}\n' % number for number in range(4)]


def stations_of(lines: Iterable[bytes]) -> list[bytes]:
    """Of about every second record one station."""
    return [b'{"station":1,%s' % line[1:] for line in lines if hashlib.blake2b(line).digest()[0] < 128]


def units_of(row_key: str) -> list[bytes]:
    """Those that every answer to a row brings, whatever its page or revision."""
    chosen = hashlib.blake2b(row_key.encode()).digest()[0]
    return [unit for number, unit in enumerate(UNITS) if chosen >> number & 1]


def with_tables(outcome: Outcome, tables: Iterable[str]) -> Outcome:
    """The same answer with what it holds for these tables, where it holds anything."""
    lines = outcome.lines.splitlines(keepends=True)
    stations, units = stations_of(lines), units_of(outcome.row_key)
    brought = [
        table_lines("stations", stations, has_key=bool(outcome.record_keys)),
        table_lines("units", units, has_key=True),
    ]
    return replace(outcome, tables=tuple(part for part in brought if part.table in tables and part.records))


def table_lines(table: str, lines: list[bytes], has_key: bool) -> TableLines:
    """As a parser gives them: no key of one table is that of another."""
    keys = b"".join(key_of(table.encode() + line) for line in lines) if has_key else b""
    return TableLines(table, b"".join(lines), len(lines), keys)


@dataclass
class SideDesk:
    """Hands outcomes over with what they hold for other tables."""

    desk: Desk
    tables: tuple[str, ...]

    async def put(self, outcome: Outcome) -> None:
        """As the writer does."""
        await self.desk.put(with_tables(outcome, self.tables) if outcome.is_news else outcome)

    async def put_now(self, outcome: Outcome) -> None:
        """As the writer does."""
        await self.desk.put_now(outcome)
