"""Bugs in what is kept of pages, of record keys and of paid requests, each a function that plants one."""

import sqlite3
from typing import Any

from fetcher import pieces
from fetcher.ledger import LedgerView
from fetcher.model import MAIN, Outcome
from fetcher.pieces import Part
from fetcher.write import settling, writer
from tests.write.planting import Plant


def sent_before_it_is_on_record(plant: Plant) -> None:
    """What is about to be sent is handed over, and nobody waits for the commit."""

    def make(_: Any) -> Any:
        async def put_now(self: Any, outcome: Outcome) -> None:
            plant.ran()
            await self.put(outcome)

        return put_now

    plant.method(writer.Writer, "put_now", make)


def page_not_noted(plant: Plant) -> None:
    """The records are written and the position moves on; which records are the page's is forgotten."""

    def save(*_: Any) -> None:
        plant.ran()

    plant.of(pieces, "save", save)


def unfinished_pass_kept(plant: Plant) -> None:
    """A pass that begins anew leaves what the one before brought home."""

    def drop(*_: Any) -> None:
        plant.ran()

    plant.of(pieces, "drop", drop)


def old_revision_kept(plant: Plant) -> None:
    """The last page has come, and the revision before stands as well."""
    real = pieces._supersede

    def supersede(db: sqlite3.Connection, part: Part, revision: int, by_revision: int, *, by_record: int) -> None:
        if revision > by_revision:
            real(db, part, revision, by_revision, by_record=by_record)
        else:
            plant.ran()

    plant.of(pieces, "_supersede", supersede)


def unfinished_revision_shown(plant: Plant) -> None:
    """Readers see the pages of a revision that has not come whole."""

    def make(_: Any) -> Any:
        def superseded(self: Any, before: int, table: str = MAIN) -> Any:
            plant.ran()
            query = "SELECT first_record, records FROM superseded WHERE table_name = ? ORDER BY 1"
            return self._reader.execute(query, (table,)).fetchall()

        return superseded

    plant.method(LedgerView, "superseded", make)


def reused_range_superseded(plant: Plant) -> None:
    """A page that answers as before is superseded with its old revision."""
    real = pieces._supersede

    def supersede(db: sqlite3.Connection, part: Part, revision: int, by_revision: int, *, by_record: int) -> None:
        plant.ran()
        real(db, part, revision, -1, by_record=by_record)

    plant.of(pieces, "_supersede", supersede)


def repeats_written(plant: Plant) -> None:
    """Nobody looks whether a record is there already."""
    real = settling.unique

    def unique(outcome: Outcome, revision: int, holders: Any) -> Any:
        if any(holders.values()):
            plant.ran()
        return real(outcome, revision, {})

    plant.of(settling, "unique", unique)


def keys_of_the_old_revision_count(plant: Plant) -> None:
    """A record that the row's older revision holds is taken for a repeat, and lost with it."""
    real = settling.unique

    def unique(outcome: Outcome, revision: int, holders: Any) -> Any:
        plant.ran()
        return real(outcome, revision, {key: [held[0]._replace(revision=revision)] for key, held in holders.items()})

    plant.of(settling, "unique", unique)


def position_moves_too_far(plant: Plant) -> None:
    """One page is left out after a restart."""
    real = settling.moved

    def moved(standing: Any, outcome: Outcome, now: float) -> Any:
        row = real(standing, outcome, now)
        if not outcome.position or outcome.page == 0:
            return row
        plant.ran()
        return row._replace(position=str(int(row.position) + 1))

    plant.of(settling, "moved", moved)


PAGE_BUGS = [
    sent_before_it_is_on_record,
    page_not_noted,
    unfinished_pass_kept,
    old_revision_kept,
    unfinished_revision_shown,
    reused_range_superseded,
    repeats_written,
    keys_of_the_old_revision_count,
    position_moves_too_far,
]
