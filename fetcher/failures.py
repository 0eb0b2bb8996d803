"""What a person decides about failed rows. Both hold the job's folder, so no run goes on meanwhile."""

from collections.abc import Sequence

from fetcher.job.load import LoadedJob
from fetcher.launch import held, layout_of
from fetcher.ledger import Ledger
from fetcher.model import RowState
from fetcher.status import view


def retry(job: LoadedJob, keys: Sequence[str]) -> int:
    """Have the next run ask for failed rows again, all of them where no keys are given; returns how many."""
    return restated(job, RowState.GAVE_UP, keys or None)


def discard(job: LoadedJob, keys: Sequence[str]) -> int:
    """Settle failed rows for good: they are not asked for again and no run fails for them; returns how many."""
    return restated(job, RowState.DISCARDED, keys)


def restated(job: LoadedJob, state: RowState, keys: Sequence[str] | None) -> int:
    """Move failed rows to a state. Raises `Contradiction` where the job has no ledger, `Busy` where it is running."""
    with view(job):  # a job that never ran gets no ledger from this
        pass
    layout = layout_of(job)
    with held(layout), Ledger(layout.state / "ledger.sqlite") as ledger:
        return ledger.restate(state, keys)
