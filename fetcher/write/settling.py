"""What the ledger will say of a row: which of its records are new, and which older ones they replace. Pure."""

import hashlib

from fetcher.ledger import Settled
from fetcher.model import Outcome, RowState, Standing


def settled(outcome: Outcome, first_record: int, now: float) -> tuple[Settled, bytes]:
    """How the row is saved, and the lines to be written for it, the first of them record number `first_record`.

    A row that was asked again and answers the same keeps its records, and nothing is written; other records are a new
    revision, and the old range is superseded. A failure keeps what an earlier run has brought home.
    """
    before = outcome.before
    digest = hashlib.sha256(outcome.lines).digest()
    superseded, lines = None, b""
    if outcome.state not in (RowState.DONE, RowState.EMPTY):
        standing = before or Standing(outcome.state)
    elif before and before.digest == digest:
        standing = before
    else:
        lines = outcome.lines
        revision = before.revision + 1 if before and before.digest else 1
        standing = Standing(outcome.state, 0.0, outcome.records, first_record, digest, revision)
        superseded = (before.first_record, before.records) if before and before.records else None
    standing = standing._replace(
        state=outcome.state,
        not_before=outcome.not_before,
        settled_at=now,
        first_day=outcome.first_day,
        last_day=outcome.last_day,
    )
    return Settled(outcome.row_key, standing, outcome.reason, outcome.attempts, superseded), lines
