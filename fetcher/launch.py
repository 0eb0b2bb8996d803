"""One run of a job, from its lock to its report. The command line is a thin face of this."""

import asyncio
import contextlib
import gc
import logging
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from filelock import FileLock, Timeout

from fetcher.chunks import is_in_chunks
from fetcher.errors import Busy, Contradiction, DiskFailed, Fault, FetcherError, JobError
from fetcher.fetch.budget import Budget
from fetcher.generation import drop, next_generation, place_of, take_over
from fetcher.job.fingerprints import fetch_fingerprint, parse_fingerprint
from fetcher.job.load import LoadedJob
from fetcher.job.load import load_job as read_job
from fetcher.ledger import PAGE_BYTES, WIDE_PAGE_BYTES, Ledger, LedgerView
from fetcher.listing import requests_seen
from fetcher.model import RowState
from fetcher.pipeline import run_pipeline
from fetcher.redaction import redacted
from fetcher.repros import Repros
from fetcher.selection import PARSED, RunOptions
from fetcher.stations import LOST, Surroundings, lost_in
from fetcher.tally import Tally
from fetcher.write.segments import Layout, published_of, tables_of

logger = logging.getLogger("fetcher")

Watch = Callable[[Tally], Awaitable[None]]
"""Shows a run while it goes on; cancelled at its end."""

SOME_ROWS_FAILED = 3
TO_BE_CONTINUED = 75
EXIT_CODES_BY_RANK = (78, 74, 65, 69, 75, 4, 1)
LONGEST_DRAIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Report:
    """How a run ended. `stopped` is what ended it early, `signal` the signal's number (0 for none). `parent` is that of
    the job whose records are the rows of this one. A reparse is to be continued where a row's answer was not kept."""

    job: str
    folder: Path
    tally: Tally
    elapsed_s: float
    stopped: FetcherError | None = None
    signal: int = 0
    parent: "Report | None" = None
    options: RunOptions = field(default_factory=RunOptions)

    @property
    def exit_code(self) -> int:
        """0 only where every row is accounted for and none failed."""
        if self.signal:
            return 128 + self.signal
        if self.stopped:
            return self.stopped.exit_code
        before = self.parent.exit_code if self.parent else 0
        waits = self.tally.by_state()[RowState.WAITING] or (self.options.reparse and self.tally.not_kept)
        if waits or not self.tally.is_read_whole or before == TO_BE_CONTINUED:
            return TO_BE_CONTINUED
        return SOME_ROWS_FAILED if self.tally.failed else before


def run(job: LoadedJob, options: RunOptions | None = None, watch: Watch | None = None) -> Report:
    """Run a job until every row has an outcome, the time is up, or nothing more can be done.

    Raises `Busy` when another run holds the job's folder, `Contradiction` when its ledger and files disagree, and
    `JobError` when the job's parse part has changed and the options do not say what to do about it: nothing was sent
    then. Whatever ends the run later is in the report. The job whose records are its rows is run before it; where that
    one ends early, this one is not begun.
    """
    options, began = options or RunOptions(), time.monotonic()
    parent = None
    if job.parent and not (options.reparse or options.only_failed):
        parent = run(job.parent, RunOptions(for_s=options.for_s), watch)
        if parent.stopped or parent.signal:
            return Report(job.name, job.write.folder, Tally(), parent.elapsed_s, parent.stopped, parent.signal, parent)
        options = options.after(time.monotonic() - began)
    return replace(run_alone(job, options, watch), parent=parent)


def run_alone(job: LoadedJob, options: RunOptions, watch: Watch | None) -> Report:
    """Run a job over the rows that there are now."""
    layout, tally, began, busy = layout_of(job), Tally(), time.monotonic(), time.process_time()
    check_ledger_is_there(layout)
    page_bytes = WIDE_PAGE_BYTES if is_in_chunks(job) else PAGE_BYTES
    with held(layout), Ledger(layout.state / "ledger.sqlite", page_bytes) as ledger:
        parsed_by = parse_fingerprint(job)
        check_parse_part(job, ledger, options, parsed_by)
        note_request_part(job, ledger)
        around = Surroundings(
            *(layout, ledger, tally, time.time, random.Random(), asyncio.Event(), asyncio.Event()),
            user_state=user_state(layout, os.environ),
            budget=Budget.from_text(ledger.remembered("retry budget")),
        )
        go = _reparse if options.reparse else _ask
        stopped, number = go(job, options, around, watch)
        if stopped:
            stopped.args = (redacted(str(stopped), job.secrets),)
        if not isinstance(stopped, DiskFailed):
            ledger.remember("retry budget", around.budget.as_text())
        if not place_of(layout).exists():  # rows of a generation that goes on have failed in its own ledger
            Repros(layout.state).prune(ledger)
    tally.own_s = time.process_time() - busy
    elapsed_s = time.monotonic() - began
    return Report(job.name, layout.folder, tally, elapsed_s, stopped, number, options=options)


def load_job(path: str | Path, overrides: Sequence[str] = ()) -> LoadedJob:
    """The job in a file, `${NAME}` filled from the environment; `overrides` are `KEY=VALUE`, the value as TOML.

    Raises `JobError` with every fault that can be known without a request.
    """
    return read_job(path, os.environ, overrides)


def own_process() -> None:
    """Tune the interpreter for a process that does nothing but run a job; a library must not, it is global.

    Threads that wait 5 ms for their turn cost a burst of answers a tenth of its time. Garbage is looked for often,
    among few objects: among many the loop stands still for 10 to 30 ms. From 3.14 on Python sees to that itself.
    """
    gc.freeze()
    if sys.version_info < (3, 14):
        gc.set_threshold(100, 2, 2_000)
    gc.enable()
    sys.setswitchinterval(0.0005)


def layout_of(job: LoadedJob) -> Layout:
    """Where a job's files lie."""
    beside = tuple({section.image.folder for section in job.annotate if section.image and section.image.folder})
    return Layout(job.write.folder, job.write.folder / ".fetcher", tables=tuple(job.write.tables), beside=beside)


def user_state(layout: Layout, environ: Mapping[str, str]) -> Path:
    """The folder that all jobs of the user share: `FETCHER_STATE`, or the system's place for such.

    Where that cannot be written, as under a user without a home, it is the job's own: then it shares with none.
    """
    from platformdirs import user_state_path

    told = environ.get("FETCHER_STATE", "")
    folder = Path(told) if told else user_state_path("fetcher")
    try:
        if folder.is_absolute():
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.access(folder, os.W_OK | os.X_OK):
                return folder
    except OSError as error:
        logger.debug("%s: %s", folder, error)
    if told:
        raise DiskFailed(f"FETCHER_STATE = {told}: expected the absolute path of a folder that can be written")
    logger.warning("%s cannot be written: limits are not shared with other jobs; set FETCHER_STATE", folder)
    return layout.state


@contextlib.contextmanager
def held(layout: Layout) -> Iterator[None]:
    """Hold the job's folder against every other run."""
    try:
        make_folder(layout, layout.folder)
        make_folder(layout, layout.state)
        check_one_file_system(layout)
        layout.state.chmod(0o700)
        lock = FileLock(layout.state / "lock", timeout=0, mode=0o600)
        lock.acquire()
    except Timeout as error:
        raise Busy(f"another run holds {layout.folder}; nothing was sent or written") from error
    except OSError as error:
        raise DiskFailed(f"{layout.folder}: {error}") from error
    try:
        yield
    finally:
        lock.release()


def check_ledger_is_there(layout: Layout) -> None:
    """Raise `Contradiction` where records lie without a ledger, before anything is made there."""
    if layout.folder.is_dir() and not (layout.state / "ledger.sqlite").exists():
        tables = tables_of(layout, ())
        found = next((name for name in layout.disk.names(layout.folder) if published_of(name, tables)), None)
        if found:
            raise Contradiction(
                f"{layout.folder / found}: there is no .fetcher/ledger.sqlite that knows of it; put the ledger back, "
                "or move the records away and start anew"
            )


def make_folder(layout: Layout, folder: Path) -> None:
    """A folder of the owner's alone that a power cut does not take away again, nor those above it."""
    if not folder.is_dir():
        make_folder(layout, folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        layout.disk.sync_folder(folder.parent)


def check_one_file_system(layout: Layout) -> None:
    """Raise `DiskFailed` where the state lies elsewhere: nothing could be published, or somebody has planted a link."""
    if layout.state.is_symlink() or layout.state.stat().st_dev != layout.folder.stat().st_dev:
        raise DiskFailed(
            f"{layout.state}: expected a plain folder on the same file system as {layout.folder}; remove it"
        )


def check_parse_part(job: LoadedJob, ledger: Ledger, options: RunOptions, fingerprint: str) -> None:
    """Raise `JobError` where rows were parsed by other rules than the job's present ones, and nobody has said so."""
    before = ledger.remembered("parse")
    if before in (None, fingerprint) or options.reparse or options.as_is:
        return
    counts = ledger.counts()
    rows = sum(count for (state, _), count in counts.items() if state in PARSED) + ledger.halfway()
    if rows:
        asks = "asking only what no annotator has asked yet" if job.asking else "without a request"
        message = (
            f"changed since {rows:,} rows were parsed. --reparse parses their kept answers again, {asks}; "
            "--as-is leaves them as they are and parses new rows by the new rules, with --refresh it asks for all anew"
        )
        raise JobError(str(job.file), [Fault(0, 0, "parse", message)])


def note_request_part(job: LoadedJob, ledger: Ledger) -> None:
    """Keep the fingerprint of the job's request part; where it is a new one, say what follows from it."""
    asked_by, seen = fetch_fingerprint(job), requests_seen(ledger)
    if asked_by not in seen:
        ledger.remember("fetch", " ".join([*seen, asked_by]))
        if seen:
            logger.warning(
                "%s: what is asked for has changed, so every row is a new one; records of the earlier requests stay",
                job.name,
            )


def note_lost(job: LoadedJob, layout: Layout, ledger: Ledger) -> None:
    """Keep in mind what annotators have asked for a generation of records that may be given up now, unanswered."""
    path = place_of(layout)
    if job.asking and path.exists():
        with contextlib.suppress(Contradiction), LedgerView(path) as copy:
            if lost := lost_in(copy):
                ledger.remember(LOST, " ".join(sorted({*lost, *(ledger.remembered(LOST) or "").split()})))


def _ask(
    job: LoadedJob, options: RunOptions, around: Surroundings, watch: Watch | None
) -> tuple[FetcherError | None, int]:
    """Go on with the records that stand."""
    note_lost(job, around.layout, around.ledger)
    drop(around.layout)
    around.ledger.remember("parse", parse_fingerprint(job))
    stopped, number = asyncio.run(_run(job, options, around, watch))
    return stopped, number


def _reparse(
    job: LoadedJob, options: RunOptions, around: Surroundings, watch: Watch | None
) -> tuple[FetcherError | None, int]:
    """Make new records beside those that stand, and put them in their place once every row has been gone over."""
    layout, rules = around.layout, parse_fingerprint(job)
    note_lost(job, layout, around.ledger)
    with next_generation(layout, around.ledger, rules, around.now()) as (ledger, since):
        aside = replace(around, layout=replace(layout, publishes=False), ledger=ledger)
        stopped, number = asyncio.run(_run(job, replace(options, reparsed_since=since), aside, watch))
        is_over = not (stopped or number or around.drain.is_set())
        if is_over:
            if not around.tally.not_kept:
                ledger.remember("parse", rules)
            asyncio.run(take_over(layout, around.ledger, ledger))
    if is_over:
        drop(layout)
    else:
        logger.warning("%s: the records before stand; run --reparse again to go on with the new ones", job.name)
    return stopped, number


async def _run(
    job: LoadedJob, options: RunOptions, around: Surroundings, watch: Watch | None
) -> tuple[FetcherError | None, int]:
    caught = stop_on_signals(around.stop)
    if options.for_s is not None:
        loop = asyncio.get_running_loop()
        loop.call_later(options.for_s, around.drain.set)
        loop.call_later(options.for_s + LONGEST_DRAIN_S, around.stop.set)
    watching = asyncio.ensure_future(watch(around.tally)) if watch else None
    try:
        await run_pipeline(job, options, around)
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


def stop_on_signals(stop: asyncio.Event) -> list[int]:
    """Set `stop` at the first SIGINT or SIGTERM, which the list then holds; end the process at the second.

    Ending at once is safe at any moment: what is committed stays, and the next run cuts what is not.
    """
    caught: list[int] = []

    def on_signal(number: int) -> None:
        if caught:
            os._exit(128 + number)
        caught.append(number)
        stop.set()

    with contextlib.suppress(ValueError, RuntimeError):  # signals can be caught in the main thread only
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, on_signal, number)
    return caught


def gravest(group: BaseExceptionGroup[FetcherError]) -> FetcherError:
    """The one error that the exit code tells of; where several happened at once, the first in the codes' own order."""
    errors = [
        error
        for part in group.exceptions
        for error in ([gravest(part)] if isinstance(part, BaseExceptionGroup) else [part])
    ]
    return min(errors, key=lambda error: EXIT_CODES_BY_RANK.index(error.exit_code))
