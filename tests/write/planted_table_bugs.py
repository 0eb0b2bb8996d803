"""Bugs in what is done for tables beside the main one, each a function that plants one."""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fetcher import pieces
from fetcher.ledger import LedgerView
from fetcher.model import MAIN, Outcome, SegmentState
from fetcher.pieces import Holder, Part
from fetcher.write import batch, settling
from fetcher.write.batch import Batch
from fetcher.write.segments import Layout, publish
from fetcher.write.series import Series
from fetcher.write.writer import Writer
from tests.write.histories import ModelLedger
from tests.write.planting import Plant


def is_side(path: Path) -> bool:
    """Whether that is the open segment of a side table."""
    return "-" in path.name


def side_not_synced(plant: Plant) -> None:
    """The main table's bytes are synced, those of the others are vouched for all the same."""

    async def sync(file: Any) -> None:
        if is_side(file.path):
            plant.ran()
        else:
            await file.sync()

    plant.durable(sync)


def side_not_noted_as_touched(plant: Plant) -> None:
    """Lines are appended to a segment that counts as synced already."""

    def make(real: Any) -> Any:
        async def append(self: Any, lines: bytes, records: int, now: float) -> Any:
            sealed = await real(self, lines, records, now)
            if self._table != MAIN and lines:
                plant.ran()
                self._is_durable = True
            return sealed

        return append

    plant.method(Series, "append", make)


def side_length_not_committed(plant: Plant) -> None:
    """The rows and the main table's bytes are committed without the open segments of the other tables."""

    def make(real: Any) -> Any:
        def commit(self: Any, rows: Any, held: Iterable[Any]) -> None:
            held = list(held)
            kept = [s for s in held if s.table == MAIN or s.state is not SegmentState.OPEN]
            if len(kept) < len(held):
                plant.ran()
            real(self, rows, kept)

        return commit

    plant.method(ModelLedger, "commit", make)


def tables_committed_one_by_one(plant: Plant) -> None:
    """One transaction for the main table, another one for the others."""

    def make(real: Any) -> Any:
        def commit(self: Any, rows: Iterable[Any], held: Iterable[Any]) -> None:
            rows, held = list(rows), list(held)
            others = [r for r in rows if r.table != MAIN], [s for s in held if s.table != MAIN]
            if any(others):
                plant.ran()
            real(self, [r for r in rows if r.table == MAIN], [s for s in held if s.table == MAIN])
            if any(others):
                real(self, *others)

        return commit

    plant.method(ModelLedger, "commit", make)


def side_published_before_commit(plant: Plant) -> None:
    """A full segment of a side table gets its name before the ledger has sealed it."""

    def make(real: Any) -> Any:
        async def write(self: Any, *arguments: Any) -> Any:
            vouched = await real(self, *arguments)
            for segment in vouched:
                if segment.table != MAIN and segment.state is SegmentState.SEALED:
                    plant.ran()
                    publish(self._layout, segment)
            return vouched

        return write

    plant.method(Writer, "_write", make)


def side_not_carried_on(plant: Plant) -> None:
    """The open segment of a side table is left where it is, and another one begun."""

    def make(real: Any) -> Any:
        async def carry_on(self: Any) -> None:
            if self._table == MAIN:
                await real(self)
            else:
                plant.ran()

        return carry_on

    plant.method(Series, "carry_on", make)


def side_tail_not_cut(plant: Plant) -> None:
    """Recovery cuts the main table's open segment alone."""

    def otherwise(layout: Layout) -> dict[str, Any]:
        def truncate(path: Path, length: int) -> None:
            if is_side(path):
                plant.ran()
            else:
                layout.disk.truncate(path, length)

        return {"truncate": truncate}

    plant.step("recover", otherwise)


def records_numbered_over_all_tables(plant: Plant) -> None:
    """A side table's records have numbers of the main one."""

    def make(real: Any) -> Any:
        def settle(self: Any, outcome: Outcome, tables: Any, now: float) -> None:
            for table in tables:
                plant.ran()
                self.next_records[table] = max(self.next_records[table], self.next_records[MAIN])
            real(self, outcome, tables, now)

        return settle

    plant.method(Batch, "settle", make)


def side_standing_forgotten(plant: Plant) -> None:
    """Each answer of a row is taken for its first one in a side table."""

    def make(_: Any) -> Any:
        def sides(*_: Any) -> Any:
            plant.ran()
            return {}

        return sides

    plant.method(LedgerView, "sides", make)


def silence_leaves_a_table_as_it_was(plant: Plant) -> None:
    """An answer that holds nothing for a table does not replace what an earlier one held."""
    real = settling.parts_of

    def parts_of(outcome: Outcome, tables: Any, sides: Any) -> Iterator[Any]:
        brought = {part.table for part in outcome.tables}
        for table, part in real(outcome, tables, sides):
            if table in brought:
                yield table, part
            else:
                plant.ran()

    plant.of(batch, "parts_of", parts_of)


def keys_released_in_all_tables(plant: Plant) -> None:
    """A new revision in one table gives up the keys that the row holds in the others."""

    def release(db: sqlite3.Connection, part: Part, revision: int) -> None:
        plant.ran()
        db.execute("DELETE FROM record_keys WHERE row_key = ? AND revision = ?", (part.row_key, revision))

    plant.of(pieces, "release", release)


def keys_dropped_in_all_tables(plant: Plant) -> None:
    """The same within a batch, before the ledger knows of it."""

    def make(settle: Any) -> Any:
        def add(self: Any, outcome: Outcome, table: str, now: float) -> None:
            settle(self, outcome, table, now)
            for holder in list(self._dropped):
                plant.ran()
                self._dropped |= {Holder(holder.row_key, holder.revision, name) for name in self.next_records}

        return add

    plant.method(Batch, "_add", make)


def superseded_ranges_of_the_main_table(plant: Plant) -> None:
    """Whoever reads a side table leaves out what was replaced in the main one."""

    def make(real: Any) -> Any:
        def superseded(self: Any, before: int, table: str = MAIN) -> Any:
            if table != MAIN:
                plant.ran()
            return real(self, before)

        return superseded

    plant.method(LedgerView, "superseded", make)


def side_revision_not_kept(plant: Plant) -> None:
    """Whatever revision it is, a row counts as never whole in a side table: the next one supersedes nothing of it."""
    real = pieces.save_side

    def save_side(db: sqlite3.Connection, part: Part, standing: Any) -> None:
        plant.ran()
        real(db, part, standing._replace(revision=1, digest=b""))

    plant.of(pieces, "save_side", save_side)


TABLE_BUGS = [
    side_not_synced,
    side_not_noted_as_touched,
    side_length_not_committed,
    tables_committed_one_by_one,
    side_published_before_commit,
    side_not_carried_on,
    side_tail_not_cut,
    records_numbered_over_all_tables,
    side_standing_forgotten,
    silence_leaves_a_table_as_it_was,
    keys_released_in_all_tables,
    keys_dropped_in_all_tables,
    superseded_ranges_of_the_main_table,
    side_revision_not_kept,
]
