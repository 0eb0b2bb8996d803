"""Fields of a table, joined to records by a key."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec

from fetcher.errors import Fault, JobError


@dataclass(frozen=True)
class Lookup:
    """A table (CSV or JSONL) whose rows are found by `column`, and {field of the record: column of the table}."""

    file: Path
    field: str
    column: str
    take: tuple[tuple[str, str], ...]

    def found(self, record: Mapping[str, object]) -> dict[str, object]:
        """The fields for a record; null where its key is in no row. Of rows with one key the first counts."""
        key = record.get(self.field)
        row = self._rows.get(str(key)) if key is not None else None
        return {name: row.get(column) if row else None for name, column in self.take}

    @cached_property
    def _rows(self) -> Mapping[str, Mapping[str, object]]:
        rows: dict[str, Mapping[str, object]] = {}
        columns = [column for _, column in self.take]
        try:
            for row in rows_of(self.file):
                rows.setdefault(str(row.get(self.column)), {column: row.get(column) for column in columns})
        except (OSError, UnicodeDecodeError, csv.Error, msgspec.MsgspecError) as error:
            raise JobError(str(self.file), [Fault(0, 0, "", f"cannot be read as a table: {error}")]) from error
        return rows


def rows_of(file: Path) -> list[Mapping[str, object]]:
    """All rows of a table. Raises OSError, UnicodeDecodeError, csv.Error, or msgspec's errors."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        if file.suffix == ".jsonl":
            return [msgspec.json.decode(line, type=dict[str, object]) for line in lines if line.strip()]
        return list(csv.DictReader(lines, delimiter="\t" if file.suffix == ".tsv" else ","))
