"""A job's folder as runs leave it, made without an API: rows are settled by hand, through the real writer."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from fetcher.job.load import LoadedJob, load_job
from fetcher.launch import layout_of
from fetcher.ledger import Ledger
from fetcher.model import Outcome, RowState, TableLines
from fetcher.tally import Tally
from fetcher.write.writer import Writer

JOB = """\
name = "air"
read.dates = { from = "2024-01-01", to = "2024-01-10" }
parse.records = "[]"
write.folder = "data"
write.rotate.records = 3
[fetch]
base_url = "http://127.0.0.1:1"
url = "/v1"
query = { date = "{date}" }
"""
STATIONS = 'write.tables.stations.records="stations[]"'
"""An override: the job gets a table beside its main one."""

NOW = 1_704_900_000.0
"""In January 2024, after the last day of the job."""


def job_in(folder: Path, *overrides: str) -> LoadedJob:
    """Ten days; `KEY=VALUE` override keys."""
    file = folder / "job.toml"
    file.write_text(JOB)
    return load_job(file, {}, overrides)


def done(day: int, records: int = 1, text: str = "") -> Outcome:
    """A day of January that answered with so many records, or with none."""
    key = f"2024-01-{day:02}"
    lines = b"".join(b'{"day":%d,"n":%d,"text":"%s"}\n' % (day, n, text.encode()) for n in range(records))
    state = RowState.DONE if records else RowState.EMPTY
    return Outcome(key, state, lines=lines, records=records, attempts=1)


def beside(outcome: Outcome, *stations: int) -> Outcome:
    """The same answer with so many records for a table `stations`."""
    lines = b"".join(b'{"station":%d}\n' % number for number in stations)
    return replace(outcome, tables=(TableLines("stations", lines, len(stations)),))


def failed(day: int, state: RowState, reason: str = "", not_before: float = 0.0) -> Outcome:
    """A day of January that did not."""
    return Outcome(f"2024-01-{day:02}", state, reason, attempts=1, not_before=not_before)


def settle(job: LoadedJob, *outcomes: Outcome, is_finished: bool = True) -> None:
    """What a run with these outcomes does; one that is not finished dies after its commit, its last segment open."""
    layout = layout_of(job)
    layout.state.mkdir(parents=True, exist_ok=True)
    with Ledger(layout.state / "ledger.sqlite") as ledger:
        asyncio.run(written(job, ledger, outcomes, is_finished))


async def written(job: LoadedJob, ledger: Ledger, outcomes: Iterable[Outcome], is_finished: bool) -> None:
    """Through the writer, all in one commit."""
    tally = Tally()
    async with Writer(layout_of(job), job.write, ledger, tally, now=lambda: NOW) as writer:
        told = [replace(o, before=ledger.standings([o.row_key]).get(o.row_key)) for o in outcomes]
        if is_finished:
            serving = asyncio.create_task(writer.serve())
            for outcome in told:
                await writer.put(outcome)
            await writer.finish()
            await serving
        else:
            await writer._commit([*told], is_last=False)


def everything(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Every file with its bytes, its inode and its time of change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith("-shm")
    }
