"""Peak memory of a run: the hundred days at step 5, and a job of 100,000 rows beside one of 10,000.

    scripts/bench memory [--rows 100000]

The peak is the main process's own, as the system counts it; workers are processes of their own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder:
        peak = peak_bytes(["demo", "--step", "5", "--folder", folder])
    print(f"hundred days at step 5, 407,828 records: {peak / 1e6:6.1f} MB")
    few, many = peak_of_rows(rows // 10), peak_of_rows(rows)
    print(f"{rows // 10:>9,} rows: {few / 1e6:30.1f} MB")
    print(f"{rows:>9,} rows: {many / 1e6:30.1f} MB   {many / few:.2f} times")


if __name__ == "__main__":
    main()
