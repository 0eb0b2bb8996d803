"""A small run of the real program under strace, with one system call of it made to fail, or to be its last.

    scripts/chaos --syscalls      at every number of every call

Every thread's n-th call of that name is hit, so n goes up to the most calls that any one thread makes.
"""

import collections
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fetcher.testing.air_temperature import canonical_hash, day_records, load_plan

CALLS = ("write", "pwrite64", "fsync", "fdatasync", "link", "unlink", "rename")
HARMS = ("signal=SIGKILL", "error=ENOSPC", "error=EIO")
DAYS = 4
DEADLINE_S = 120
RECORDS_A_FILE = 500
CALL = re.compile(r"^(\d+)\s+(\w+)\(")

JOB = """
name = "small"
[read.dates]
from = "{first}"
to = "{last}"
[fetch]
base_url = "{url}"
url = "/v1/environment/air-temperature"
query = {{ date = "{{date}}" }}
[fetch.retries]
attempts = 2
first_wait = "1 ms"
[parse]
records = "items[].readings[]"
[write]
folder = "out"
rotate.records = {records_a_file}
"""


@dataclass(frozen=True, slots=True)
class Harm:
    """What is done to which call: `write`, 7, `signal=SIGKILL`."""

    call: str
    number: int
    what: str

    def __str__(self) -> str:
        return f"{self.call}:{self.what}:when={self.number}"


def make_job(folder: Path, url: str) -> Path:
    """A job of a few days into small files, so that every kind of call is made."""
    plan = load_plan()
    folder.mkdir(parents=True, exist_ok=True)
    job = folder / "job.toml"
    last = plan.first.fromordinal(plan.first.toordinal() + DAYS - 1)
    job.write_text(JOB.format(first=plan.first, last=last, url=url, records_a_file=RECORDS_A_FILE))
    return job


def program(job: Path) -> list[str]:
    return [sys.executable, "-m", "fetcher", "run", str(job)]


def call_counts(job: Path) -> dict[str, int]:
    """How many calls of each name the busiest thread of a healthy run makes."""
    log = job.parent / "calls.log"
    traced = ["strace", "-f", "--seccomp-bpf", "-e", f"trace={','.join(CALLS)}", "-o", str(log), *program(job)]
    subprocess.run(traced, check=True, capture_output=True, timeout=DEADLINE_S)
    by_thread = collections.Counter(
        match.groups() for line in log.read_text().splitlines() if (match := CALL.match(line))
    )
    return {call: max((n for (_, name), n in by_thread.items() if name == call), default=0) for call in CALLS}


def suffer(job: Path, harm: Harm) -> int:
    """Run the job under that harm; returns the exit code."""
    traced = ["strace", "-f", "--seccomp-bpf", "-e", f"trace={harm.call}", "-e", f"inject={harm}", "-o", "/dev/null"]
    return subprocess.run([*traced, *program(job)], check=False, capture_output=True, timeout=DEADLINE_S).returncode


def resume(job: Path) -> tuple[int, str]:
    """The exit code of a run that nothing harms, and what it says of errors."""
    ran = subprocess.run(program(job), check=False, capture_output=True, text=True, timeout=DEADLINE_S)
    return ran.returncode, ran.stderr


def fault_after(job: Path, harm: Harm, resume: Callable[[Path], tuple[int, str]] = resume) -> str:
    """What is wrong after a harmed run and the one that resumes it; empty where nothing is."""
    shutil.rmtree(job.parent / "out", ignore_errors=True)
    suffer(job, harm)
    seen = published(job)
    if any(not content.endswith(b"\n") for content in seen.values()):
        return "a published file ends in half a line"
    code, said = resume(job)
    if code != 0:
        return f"the resumed run exits {code}: {said[-300:]}"
    after = published(job)
    if any(after.get(name) != content for name, content in seen.items()):
        return "a published file changed"
    return "" if found_hash(after) == expected_hash() else "the records are not exact"


def published(job: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (job.parent / "out").glob("records-*")}


def found_hash(files: dict[str, bytes]) -> tuple[int, str]:
    return canonical_hash(json.loads(line) for content in files.values() for line in content.splitlines())


def expected_hash() -> tuple[int, str]:
    plan = load_plan()
    days = [plan.first.fromordinal(plan.first.toordinal() + number) for number in range(DAYS)]
    readings = (
        {"station_id": record["station_id"], "value": record["value"]}
        for day in days
        for record in day_records(day, 60)
    )
    return canonical_hash(readings)
