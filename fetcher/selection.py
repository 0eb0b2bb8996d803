"""Which rows a run asks for, given where they stand. Pure."""

import enum
from dataclasses import dataclass, replace

from fetcher.model import CAME, FAILED, SETTLED, Row, RowState, Standing


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the caller of a run may choose.

    `only_failed` leaves rows alone that were never asked for. After `for_s` seconds the run drains and ends. When the
    parse part of the job has changed, `reparse` parses the kept answers again, without a request, and `as_is` leaves
    old rows as they are; rows that were settled `reparsed_since` (epoch seconds) have been parsed again already.
    `offline` sends nothing: rows without a kept answer wait. `refresh` asks for every row again, whatever is kept.
    """

    only_failed: bool = False
    reparse: bool = False
    as_is: bool = False
    offline: bool = False
    refresh: bool = False
    for_s: float | None = None
    reparsed_since: float = float("inf")

    def after(self, elapsed_s: float) -> "RunOptions":
        """The same for what is left of the time."""
        return self if self.for_s is None else replace(self, for_s=max(0.0, self.for_s - elapsed_s))


PARSED = frozenset({RowState.DONE, RowState.EMPTY, RowState.QUARANTINED})
"""States that a parser has brought about, and another may change."""


HALFWAY = frozenset({RowState.WAITING, RowState.GAVE_UP})
"""States of rows of which some pages came, and more are to be asked for."""


class Verdict(enum.Enum):
    """What happens to a row in this run. `LOOK` means: see whether its answer was kept, and send nothing."""

    ASK = enum.auto()
    ASK_ANEW = enum.auto()
    REPARSE = enum.auto()
    LOOK = enum.auto()
    LEAVE_SETTLED = enum.auto()
    LEAVE_WAITING = enum.auto()


def verdict(row: Row, standing: Standing | None, options: RunOptions, now: float) -> Verdict:
    """Settled rows are left alone, unless their answers may still change; no row is asked for before its time."""
    if standing is None:
        return first_asked(options)
    left = Verdict.LEAVE_WAITING if standing.state is RowState.WAITING else Verdict.LEAVE_SETTLED
    if options.reparse:
        is_begun = bool(standing.position)
        is_due = is_begun or standing.settled_at < options.reparsed_since
        is_parsed = standing.state in PARSED or (is_begun and standing.state in HALFWAY)
        return Verdict.REPARSE if is_parsed and is_due else left
    is_sane = standing.settled_at <= now  # else the wait was written by a clock that was ahead, and means nothing
    if standing.not_before > now and is_sane:
        return Verdict.LEAVE_WAITING
    if standing.state is RowState.UNKNOWN:
        return Verdict.LOOK
    if options.only_failed:
        return Verdict.ASK if standing.state in FAILED else left
    return asked_in_full(row, standing, options)


def first_asked(options: RunOptions) -> Verdict:
    """What a run does with a row that no run has settled."""
    if options.only_failed or options.reparse:
        return Verdict.LEAVE_WAITING
    return Verdict.ASK_ANEW if options.refresh else Verdict.ASK


def asked_in_full(row: Row, standing: Standing, options: RunOptions) -> Verdict:
    """What a run that asks for everything does with a row whose time has come."""
    is_line = row.first_day < 0
    has_grown = not is_line and (row.first_day < standing.first_day or row.last_day > standing.last_day)
    has_changed = is_line and row.last_day != standing.last_day
    if (row.is_recent or has_grown or options.refresh) and standing.state is not RowState.DISCARDED:
        return Verdict.ASK_ANEW
    if has_changed and standing.state is not RowState.DISCARDED:
        return Verdict.ASK  # what its line asks now may have been asked before
    is_halfway = standing.position != "" and standing.state in CAME
    return Verdict.LEAVE_SETTLED if standing.state in SETTLED and not is_halfway else Verdict.ASK
