"""What a story needs: the built-in API and the command line, both as processes, and what they left behind."""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from fetcher.testing.air_temperature import load_plan
from tests.stories.programs import Program, Programs

ROOT = Path(__file__).parents[2]
AIR_TEMPERATURE = ROOT / "configs" / "air_temperature.toml"
DEADLINE_S = 120
"""Only so that a program that never ends fails its test."""

# A program's peak counts its parent's pages until exec, so a small process stands between pytest and the program.
MEASURE = """
import os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(pid, 0)
with open(sys.argv[1], "w") as file:
    file.write(str(used.ru_maxrss))
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True)
class Api:
    """A running built-in API."""

    url: str

    def stats(self):
        """What it was asked so far."""
        with urllib.request.urlopen(f"{self.url}/__stats", timeout=DEADLINE_S) as answer:
            return json.load(answer)


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    code: int
    out: str
    err: str
    peak_bytes: int = 0


@dataclass(frozen=True)
class Output:
    """A job's folder, read as a stranger reads it."""

    folder: Path

    def lines(self) -> list[bytes]:
        """Every published line; a half line fails the test."""
        lines = []
        for path in sorted(self.folder.glob("records-*.jsonl*")):
            held = path.read_bytes().splitlines(keepends=True)
            assert all(line.endswith(b"\n") for line in held), f"{path.name} ends with half a line"
            lines += held
        return lines

    def records(self) -> list[dict]:
        """Every published record; one that is no JSON, or is there twice, fails the test."""
        lines = self.lines()
        assert len(set(lines)) == len(lines), "a record was written twice"
        return [json.loads(line) for line in lines]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "fetcher", *map(str, arguments)]


def quiet_environment() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "100", "PYTHONDONTWRITEBYTECODE": "1"}


def serving(programs: Programs) -> Iterator[Callable[..., Api]]:
    with ExitStack() as stack:

        def start(*arguments: str) -> Api:
            told = ["--port", "0", "--with-parent", *arguments]
            (its_end, our_end), (url, its_url) = os.pipe(), os.pipe()
            stack.callback(os.close, our_end)
            stack.enter_context(
                programs.start("fetcher.testing.server", told, os.environ, stdin=its_end, stdout=its_url)
            )
            os.close(its_end)
            os.close(its_url)
            with os.fdopen(url) as line:
                return Api(line.readline().strip())

        yield start


@pytest.fixture
def serve(programs: Programs) -> Iterator[Callable[..., Api]]:
    """`serve("--limit", "none")` starts the built-in API; it ends with the test."""
    yield from serving(programs)


@pytest.fixture(scope="module")
def serve_module(programs: Programs) -> Iterator[Callable[..., Api]]:
    """The same, for all tests of a file together."""
    yield from serving(programs)


@pytest.fixture
def fetcher(programs: Programs, tmp_path: Path):
    """`fetcher("run", job)` runs the command line to its end.

    `anew=True` starts an interpreter for it, which takes longer, and tells its peak of memory.
    """

    def run(*arguments: object, anew: bool = False) -> Ran:
        if anew:
            return run_anew(arguments, tmp_path / "peak")
        with programs.start("fetcher", arguments, quiet_environment()) as program:
            out, err = program.communicate(DEADLINE_S)
            return Ran(program.wait(), out, err)

    return run


def run_anew(arguments: Iterable[object], peak: Path) -> Ran:
    """Run it in an interpreter of its own."""
    told = [sys.executable, "-S", "-c", MEASURE, str(peak), *command(*arguments)]
    ran = subprocess.run(
        told,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=quiet_environment(),
        timeout=DEADLINE_S,
        check=False,
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr, int(peak.read_text()) * 1024)


@pytest.fixture
def start(programs: Programs) -> Iterator[Callable[..., Program]]:
    """`start("run", job)` gives the running process; what is left of it is killed with the test."""
    with ExitStack() as running:

        def begin(*arguments: object) -> Program:
            return running.enter_context(programs.start("fetcher", arguments, quiet_environment()))

        yield begin


@pytest.fixture
def hundred_days():
    """Arguments of `fetcher` for the hundred days of the plan; later `KEY=VALUE` win."""

    def arguments(api: Api, folder: Path, *overrides: str) -> list[str]:
        plan = load_plan()
        told = [
            f'fetch.base_url="{api.url}"',
            f'read.dates.from="{plan.first}"',
            f'read.dates.to="{plan.last}"',
            f"write.folder='{folder}'",
            'fetch.limits.rate="2000/s"',
            'fetch.retries.first_wait="10 ms"',
            *overrides,
        ]
        return ["run", str(AIR_TEMPERATURE), *(part for override in told for part in ("--set", override))]

    return arguments


@pytest.fixture
def output():
    """`output(folder)` reads what a job published."""
    return Output
