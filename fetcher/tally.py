"""What a run has counted so far. One object, changed in the loop's thread only; doors read it whenever they like."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from fetcher.model import FAILED, MAIN, DoneRows, Outcome, RowState
from fetcher.reasons import OTHER_REASONS, REASONS_KEPT, Reasons


@dataclass(slots=True)
class Tally:
    """Rows by the state they are in now, and what it took.

    `rows_read` is what the job lists, once `is_read_whole`; `skipped` are lines of a table that are no rows,
    `changed` tables that somebody wrote to meanwhile, so that they are not read whole.
    `settled_before` are rows that an earlier run had finished. `settled_before` and `settled_now` together account for
    every row; what is in neither is waiting. `reasons` counts why rows of this run are not done; `drift` is what
    records had otherwise than expected. `records` and `repeats` are the main table's, `side_records` and
    `side_repeats` those of the others, by table. `worker_s` is the processor time of all `workers`, `own_s` that of
    this process.
    """

    rows_read: int = 0
    skipped: int = 0
    changed: list[str] = field(default_factory=list)
    is_read_whole: bool = False
    settled_before: Counter[RowState] = field(default_factory=Counter)
    settled_now: Counter[RowState] = field(default_factory=Counter)
    reasons: Reasons = field(default_factory=Reasons)
    requests: int = 0
    retries: int = 0
    cost: int = 0
    cache_hits: int = 0
    not_kept: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    records: int = 0
    repeats: int = 0
    drift: Counter[str] = field(default_factory=Counter)
    side_records: Counter[str] = field(default_factory=Counter)
    side_repeats: Counter[str] = field(default_factory=Counter)
    bytes_received: int = 0
    commits: int = 0
    commit_s: float = 0.0
    not_before: float = 0.0
    workers: int = 0
    worker_s: float = 0.0
    own_s: float = 0.0

    def settle(self, outcome: Outcome | DoneRows) -> None:
        """Count how a row ended in this run, or many did; a page before the last is no end."""
        if isinstance(outcome, DoneRows):
            self.settled_now[RowState.DONE] += len(outcome.keys)
            return
        if not outcome.is_end:
            return
        self.settled_now[outcome.state] += 1
        self.not_before = max(self.not_before, outcome.not_before)
        if outcome.reason:
            self.reasons.add(outcome.state, outcome.reason)

    def add_drift(self, drift: Mapping[str, int]) -> None:
        """Count what records of an answer have otherwise than expected."""
        for said, records in drift.items():
            is_kept = said in self.drift or len(self.drift) < REASONS_KEPT
            self.drift[said if is_kept else OTHER_REASONS] += records

    def write(self, records: Mapping[str, int], repeats: Mapping[str, int]) -> None:
        """Count what was written, and what was not because it is there already, by table."""
        self.records += records.get(MAIN, 0)
        self.repeats += repeats.get(MAIN, 0)
        self.side_records.update({table: count for table, count in records.items() if table != MAIN})
        self.side_repeats.update({table: count for table, count in repeats.items() if table != MAIN})

    def worked(self, workers: int, seconds: float) -> None:
        """Count what workers did, by the processor's clock."""
        self.workers, self.worker_s = workers, seconds

    def by_state(self) -> dict[RowState, int]:
        """Rows by state; the numbers add up to the rows read."""
        counts = {state: self.settled_before[state] + self.settled_now[state] for state in RowState}
        counts[RowState.WAITING] = self.rows_read - sum(
            count for state, count in counts.items() if state is not RowState.WAITING
        )
        return counts

    @property
    def failed(self) -> int:
        """Rows that an exit code of 3 stands for."""
        return sum(count for state, count in self.by_state().items() if state in FAILED)
