"""Which rows a run asks for, given where they stand. Pure."""

import enum
from dataclasses import dataclass

from fetcher.model import FAILED, SETTLED, Row, RowState, Standing


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the caller of a run may choose.

    `only_failed` leaves rows alone that were never asked for. After `for_s` seconds the run drains and ends. When the
    parse part of the job has changed, `reparse` parses the kept answers again, without a request, and `as_is` leaves
    old rows as they are.
    """

    only_failed: bool = False
    reparse: bool = False
    as_is: bool = False
    for_s: float | None = None


class Verdict(enum.Enum):
    """What happens to a row in this run."""

    ASK = enum.auto()
    ASK_ANEW = enum.auto()
    REPARSE = enum.auto()
    LEAVE_SETTLED = enum.auto()
    LEAVE_WAITING = enum.auto()


def verdict(row: Row, standing: Standing | None, options: RunOptions, now: float) -> Verdict:
    """Settled rows are left alone, unless their answers may still change; no row is asked for before its time."""
    if standing is None:
        return Verdict.LEAVE_WAITING if options.only_failed or options.reparse else Verdict.ASK
    is_settled = standing.state in SETTLED
    left = Verdict.LEAVE_SETTLED if is_settled else Verdict.LEAVE_WAITING
    if options.reparse:
        return Verdict.REPARSE if standing.digest or standing.state is RowState.QUARANTINED else left
    if standing.not_before > now:
        return Verdict.LEAVE_WAITING
    if options.only_failed:
        return Verdict.ASK if standing.state in FAILED else left
    may_change = row.is_recent or standing.settled_at < row.final_from
    if may_change and standing.state is not RowState.DISCARDED:
        return Verdict.ASK_ANEW
    return left if is_settled else Verdict.ASK
