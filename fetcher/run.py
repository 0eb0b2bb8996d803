"""One run of a job, from its lock to its report. The command line is a thin face of this."""

import asyncio
import contextlib
import random
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from fetcher.errors import Busy, DiskFailed, FetcherError
from fetcher.job.fingerprints import fetch_fingerprint, parse_fingerprint
from fetcher.job.load import LoadedJob
from fetcher.ledger import Ledger
from fetcher.model import RowState
from fetcher.pipeline import Surroundings, run_pipeline
from fetcher.tally import Tally
from fetcher.write.segments import Layout

Watch = Callable[[Tally], Awaitable[None]]
"""Shows a run while it goes on; cancelled at its end."""

SOME_ROWS_FAILED = 3
TO_BE_CONTINUED = 75
EXIT_CODES_BY_RANK = (78, 74, 65, 69, 4, 1)


@dataclass(frozen=True, slots=True)
class Report:
    """How a run ended. `stopped` is what ended it early, `signal` the signal's number (0 for none)."""

    job: str
    folder: Path
    tally: Tally
    elapsed_s: float
    stopped: FetcherError | None = None
    signal: int = 0

    @property
    def exit_code(self) -> int:
        """0 only where every row is accounted for and none failed."""
        if self.signal:
            return 128 + self.signal
        if self.stopped:
            return self.stopped.exit_code
        if self.tally.by_state()[RowState.WAITING]:
            return TO_BE_CONTINUED
        return SOME_ROWS_FAILED if self.tally.failed else 0


def run(job: LoadedJob, watch: Watch | None = None) -> Report:
    """Run a job until every row has an outcome, or nothing more can be done.

    Raises `Busy` when another run holds the job's folder and `Contradiction` when its ledger and files disagree:
    nothing was sent or written then. Whatever ends the run later is in the report.
    """
    layout = Layout(job.write.folder, job.write.folder / ".fetcher")
    with held(layout) as began, Ledger(layout.state / "ledger.sqlite") as ledger:
        ledger.remember({"fetch": fetch_fingerprint(job), "parse": parse_fingerprint(job)})
        around = Surroundings(layout, ledger, Tally(), time.time, random.Random())
        stopped, number = asyncio.run(_run(job, around, watch))
    return Report(job.name, layout.folder, around.tally, time.monotonic() - began, stopped, number)


@contextlib.contextmanager
def held(layout: Layout) -> Iterator[float]:
    """Hold the job's folder against every other run; yields the moment (monotonic) from which it was held."""
    try:
        layout.folder.mkdir(parents=True, exist_ok=True)
        layout.state.mkdir(mode=0o700, exist_ok=True)
        layout.state.chmod(0o700)
        lock = FileLock(layout.state / "lock", timeout=0, mode=0o600)
        with lock:
            yield time.monotonic()
    except Timeout as error:
        raise Busy(f"another run holds {layout.folder}; nothing was sent or written") from error
    except OSError as error:
        raise DiskFailed(f"{layout.folder}: {error}") from error


async def _run(job: LoadedJob, around: Surroundings, watch: Watch | None) -> tuple[FetcherError | None, int]:
    stop = asyncio.Event()
    caught: list[int] = []
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        caught.append(number)
        stop.set()

    with contextlib.suppress(ValueError, RuntimeError):  # signals can be caught in the main thread only
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal, number)
    watching = asyncio.ensure_future(watch(around.tally)) if watch else None
    try:
        await run_pipeline(job, around, stop)
    except BaseExceptionGroup as group:
        known, unknown = group.split(FetcherError)
        if known is None or unknown is not None:
            raise
        return gravest(known), 0
    except FetcherError as error:
        return error, 0
    finally:
        if watching:
            watching.cancel()
            await asyncio.wait({watching})
    return None, caught[0] if caught else 0


def gravest(group: BaseExceptionGroup[FetcherError]) -> FetcherError:
    """The one error that the exit code tells of; where several happened at once, the first in the codes' own order."""
    errors = [
        error
        for part in group.exceptions
        for error in ([gravest(part)] if isinstance(part, BaseExceptionGroup) else [part])
    ]
    return min(errors, key=lambda error: EXIT_CODES_BY_RANK.index(error.exit_code))
