"""Peak memory of a run: the hundred days at step 5, 100,000 rows beside 10,000, 1,000,000 labelled ones beside 100,000.

    scripts/bench memory [--only demo|asked|labelled] [--rows 100000] [--labelled 1000000]

The peak is the main process's own, as the system counts it; workers are processes of their own. Of what is labelled,
also that of all processes together, seen twenty times a second.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import _labels

# A program's peak counts its parent's pages until exec, so a small process stands between us and the program.
MEASURE = """
import os, sys
pid = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(pid, 0)
print(used.ru_maxrss * 1024)
"""
JOB = """
name = "rows"
[read.dates]
from = "{first}"
to = "{last}"
[fetch]
base_url = "{url}"
url = "/v1/rows"
query = {{ id = "{{date:%Y%m%d}}" }}
limits.concurrency = 64
[parse]
records = "items"
[write]
folder = "out"
"""


def peak_bytes(arguments: list[str]) -> int:
    told = [sys.executable, "-S", "-c", MEASURE, sys.executable, "-m", "fetcher", *arguments]
    ran = subprocess.run(told, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=os.environ)
    return int(ran.stdout.splitlines()[-1])


@contextmanager
def server(*options: str):
    told = [sys.executable, "-m", "fetcher.testing.server", "--port", "0", "--with-parent", *options]
    with subprocess.Popen(told, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


def peak_of_rows(rows: int) -> int:
    first = date(1700, 1, 1)
    with server("--limit", "none") as url, tempfile.TemporaryDirectory() as folder:
        job = Path(folder) / "job.toml"
        job.write_text(JOB.format(first=first, last=first + timedelta(rows - 1), url=url))
        return peak_bytes(["run", str(job)])


def peaks_of_labelled(rows: int) -> tuple[int, int]:
    """The main process's, and that of all."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = _labels.write_job(folder, rows)
        _, together = _labels.timed(_labels.run_of(job, folder / "first"))
        return peak_bytes(_labels.run_of(job, folder / "second")[3:]), together


def show(rows: int, few: int, many: int) -> None:
    print(f"{rows // 10:>9,} rows: {few / 1e6:30.1f} MB")
    print(f"{rows:>9,} rows: {many / 1e6:30.1f} MB   {many / few:.2f} times")


def measure_demo() -> None:
    with tempfile.TemporaryDirectory() as folder:
        peak = peak_bytes(["demo", "--step", "5", "--folder", folder])
    print(f"hundred days at step 5, 407,828 records: {peak / 1e6:6.1f} MB")


def measure_labelled(rows: int) -> None:
    few, many = peaks_of_labelled(rows // 10), peaks_of_labelled(rows)
    for name, before, after in zip(("the main process", "all processes"), few, many, strict=True):
        print(f"reviews labelled by rules, {name}")
        show(rows, before, after)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["demo", "asked", "labelled"])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--labelled", type=int, default=1_000_000)
    told = parser.parse_args()
    if told.only in (None, "demo"):
        measure_demo()
    if told.only in (None, "asked"):
        show(told.rows, peak_of_rows(told.rows // 10), peak_of_rows(told.rows))
    if told.only in (None, "labelled"):
        measure_labelled(told.labelled)


if __name__ == "__main__":
    main()
