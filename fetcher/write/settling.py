"""What the ledger will say of a row: which of its records are new, and which older ones they replace. Pure.

whole rows     the same answer writes nothing; another one is a new revision, and supersedes the range before
pages          the same, page by page; the revision stands once its last page has come (`fetcher.pieces`)
record keys    a record whose key another row holds, or this revision of its row, is a repeat and not written
other tables   what a row has in one of them is settled like a row by itself: revisions, pages, keys
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fetcher.ledger import Settled
from fetcher.model import CAME, MAIN, Outcome, Standing, TableLines
from fetcher.pieces import Holder, Piece
from fetcher.provenance import lasting

KEY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Known:
    """What there is already in `table`: the number of the next record, what is known of this page, who holds which
    record keys. Records with a number below `least_record` are written anew, to be behind those of earlier rows."""

    next_record: int
    pieces: Sequence[Piece] = ()
    holders: Mapping[bytes, Sequence[Holder]] = field(default_factory=dict)
    table: str = MAIN
    least_record: int = 0


@dataclass(frozen=True, slots=True)
class Fresh:
    """The records that are written: their lines, their number, their keys; and how many repeats are not."""

    lines: bytes = b""
    records: int = 0
    keys: Sequence[bytes] = ()
    repeats: int = 0


def settled(outcome: Outcome, known: Known, now: float) -> tuple[Settled, Fresh]:
    """How the row is saved, and what is written for it. A failure keeps what an earlier run has brought home."""
    if outcome.page:
        return settled_page(outcome, known, now)
    before, superseded, revision = outcome.before, None, revision_of(outcome)
    fresh = unique(outcome, revision, known.holders)
    # Of what is kept: what another row held may be this one's now.
    digest = hashlib.sha256(lasting(fresh.lines)).digest()
    is_in_place = before is not None and (not before.records or before.first_record >= known.least_record)
    if not outcome.is_news or (before and before.digest == digest and is_in_place):
        standing, fresh = before or Standing(outcome.state), Fresh()
    else:
        answers = before.answers if before else 0
        standing = Standing(outcome.state, 0.0, fresh.records, known.next_record, digest, revision, answers=answers)
        superseded = (before.first_record, before.records) if before and before.records else None
    row = Settled(
        outcome.row_key, moved(standing, outcome, now), outcome.reason, outcome.attempts, superseded,
        record_keys=fresh.keys, table=known.table,
    )  # fmt: skip
    return row, fresh


def settled_page(outcome: Outcome, known: Known, now: float) -> tuple[Settled, Fresh]:
    """One page of a row. Until the last one has come, a row that was done before goes on standing as it did."""
    before, revision = outcome.before, revision_of(outcome)
    fresh = unique(outcome, revision, known.holders)
    # Of what is kept, not of what came: a page whose repeats were left out is not the same once they are none.
    digest = hashlib.sha256(lasting(fresh.lines)).digest()
    before_it = (piece for piece in known.pieces if piece.revision == revision - 1 and piece.records)
    same = next((piece for piece in before_it if is_same(piece, digest, known.least_record)), None)
    if same:
        piece, fresh = same._replace(revision=revision), replace(fresh, lines=b"", records=0)
    else:
        piece = Piece(revision, outcome.page, known.next_record, fresh.records, digest)
    standing = moved(before or Standing(outcome.state), outcome, now)
    if not outcome.is_end and before and before.digest and before.state in CAME:
        standing = standing._replace(state=before.state)
    row = Settled(
        outcome.row_key, standing, outcome.reason, outcome.attempts, piece=piece, begins_anew=outcome.begins_anew,
        is_whole=outcome.is_end, record_keys=fresh.keys, table=known.table,
    )  # fmt: skip
    return row, Fresh(repeats=fresh.repeats) if same else fresh


def is_same(piece: Piece, digest: bytes, least_record: int) -> bool:
    """Whether a page has the same records again, and has them where they may stay."""
    return piece.digest == digest and piece.first_record >= least_record


def parts_of(outcome: Outcome, tables: Sequence[str], sides: Mapping[str, Standing]) -> Iterator[tuple[str, Outcome]]:
    """For each table beside the main one, what an answer brings for it, as if it were an answer by itself.

    A table that it says nothing of gets an answer without records. `sides` are where the row stands in them. Raises
    ValueError for records of a table that is none of these.
    """
    brought = {part.table: part for part in outcome.tables}
    if unknown := brought.keys() - set(tables):
        raise ValueError(f"{outcome.row_key}: records of {sorted(unknown)}, which are no tables of the job")
    for table in tables:
        part = brought.get(table) or TableLines(table, b"", 0)
        yield (
            table,
            replace(
                outcome,
                lines=part.lines,
                records=part.records,
                record_keys=part.record_keys,
                tables=(),
                before=sides.get(table),
            ),
        )


def revision_of(outcome: Outcome) -> int:
    """Which revision of the row these records belong to, if they are news."""
    return outcome.before.revision + 1 if outcome.before and outcome.before.digest else 1


def moved(standing: Standing, outcome: Outcome, now: float) -> Standing:
    """The same records, and all else as the outcome has it."""
    return standing._replace(
        state=outcome.state,
        not_before=outcome.not_before,
        settled_at=now,
        first_day=outcome.first_day,
        last_day=outcome.last_day,
        position=outcome.position,
        answers=standing.answers + outcome.is_answered,
    )


def keys_of(outcome: Outcome) -> list[bytes]:
    """The keys of its records, in their order; none where the job has no key."""
    return [outcome.record_keys[at : at + KEY_BYTES] for at in range(0, len(outcome.record_keys), KEY_BYTES)]


def unique(outcome: Outcome, revision: int, holders: Mapping[bytes, Sequence[Holder]]) -> Fresh:
    """The outcome's records without repeats: of another row's, of this revision's, of each other."""
    if not outcome.record_keys:
        return Fresh(outcome.lines, outcome.records)
    taken: dict[bytes, bytes] = {}
    for key, line in zip(keys_of(outcome), outcome.lines.splitlines(keepends=True), strict=True):
        is_repeat = any(
            holder.row_key != outcome.row_key or holder.revision == revision for holder in holders.get(key, ())
        )
        if not is_repeat:
            taken.setdefault(key, line)
    return Fresh(b"".join(taken.values()), len(taken), list(taken), outcome.records - len(taken))
