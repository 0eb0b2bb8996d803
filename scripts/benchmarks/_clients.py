"""Clients as processes of their own: fetcher with everything on, and its peers."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import _peers
from _servers import ROOT, Seen, Server

ENDS_WITHIN_S = 30.0
MORE_ROWS = 1.3
"""Than the server lets through, so that no client is done before its time is up."""
JOB = """
name = "rows"
[read.dates]
from = "{first}"
to = "{last}"
[fetch]
base_url = "{url}"
url = "/v1/rows"
query = {{ id = "{{date:%Y%m%d}}" }}
limits.rate = "{rate}/s"
[parse]
records = "items"
[write]
folder = "out"
"""


class Missing(Exception):
    """A peer that is not installed."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a client has to do: ask `url` at `rate` a second for `seconds`; `sets` changes fetcher's job file."""

    url: str
    rate: int
    seconds: float
    sets: Mapping[str, str] = field(default_factory=dict)
    job: Path | None = None
    folder: Path | None = None
    state: Path | None = None


@contextmanager
def running(command: list[str], log: Path, environ: Mapping[str, str]) -> Iterator[subprocess.Popen]:
    """The process, until the block ends: then it is told to end, and killed where it does not."""
    with log.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=said, cwd=ROOT, env=environ) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def fetcher(work: Work) -> Iterator[subprocess.Popen]:
    """`fetcher run` of a job with more rows than it can ask for, with cache, ledger and record file as usual."""
    with ExitStack() as stack:
        folder = work.folder or Path(stack.enter_context(TemporaryDirectory()))
        folder.mkdir(exist_ok=True)
        first = date(1700, 1, 1)
        last = first + timedelta(int(MORE_ROWS * work.rate * work.seconds) + 200)
        sets = {
            "read.dates.from": f'"{first}"',
            "read.dates.to": f'"{last}"',
            "fetch.base_url": f'"{work.url}"',
            "fetch.limits.rate": f'"{work.rate}/s"',
            "write.folder": f'"{folder / "out"}"',
            **work.sets,
        }
        job = work.job or folder / "job.toml"
        if not work.job:
            job.write_text(JOB.format(first=first, last=last, url=work.url, rate=work.rate))
        told = [part for key, value in sets.items() for part in ("--set", f"{key}={value}")]
        environ = {**os.environ, "FETCHER_STATE": str(work.state or folder / "state")}
        command = [sys.executable, "-m", "fetcher", "run", str(job), *told]
        yield stack.enter_context(running(command, folder / "said", environ))


@contextmanager
def peer(name: str, work: Work) -> Iterator[subprocess.Popen]:
    """One of `_peers`."""
    with TemporaryDirectory() as folder:
        command = [sys.executable, _peers.__file__, name, work.url, str(work.rate)]
        with running(command, Path(folder) / "said", os.environ) as process:
            yield process


def measured(server: Server, process: subprocess.Popen, seconds: float) -> Seen:
    """What the server sees of a client that has just been started."""

    def check() -> None:
        if process.poll() == _peers.MISSING:
            raise Missing
        if process.poll() is not None:
            raise RuntimeError(f"{process.args} ended with {process.returncode}")

    return server.watch(seconds, check)
