"""How right `fetcher plan` is: requests and time of three jobs, foretold and then measured.

    scripts/bench plan

Each job runs once against the built-in API with 50 ms of latency before it is planned in a fresh folder, so that the
plan knows the latency as it does in practice, from the run before.
"""

import re
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from memory import JOB, server

FIRST = date(1000, 1, 1)
JOBS = {
    "a window, smooth": (300, ['fetch.limits.rate="20/s"']),
    "a window, in bursts": (60, ['fetch.limits.rate="6/2 s"', "fetch.limits.smooth=false"]),
    "concurrency alone": (600, ["fetch.limits.concurrency=3"]),
}
PLANNED = re.compile(r"([\d,]+) requests.*takes ([\d.]+) s \(p50\)", re.DOTALL)


def command(*arguments: str) -> str:
    """What fetcher prints."""
    ran = subprocess.run([sys.executable, "-m", "fetcher", *arguments], capture_output=True, text=True, check=True)
    return ran.stdout + ran.stderr


def main() -> None:
    with server("--limit", "none", "--latency", "0.05") as url, tempfile.TemporaryDirectory() as name:
        for title, (rows, limits) in JOBS.items():
            job = Path(name) / "job.toml"
            job.write_text(JOB.format(first=FIRST, last=FIRST + timedelta(rows - 1), url=url))
            folder = Path(name) / title.replace(" ", "-")
            sets = [part for text in [*limits, f'write.folder="{folder}"'] for part in ("--set", text)]
            command("run", str(job), *sets, "--set", 'read.dates.to="1000-01-05"')
            found = PLANNED.search(command("plan", str(job), *sets))
            assert found
            began = time.monotonic()
            said = command("run", str(job), *sets)
            took_s = time.monotonic() - began
            sent = re.search(r"([\d,]+) requests? \(", said)
            assert sent
            print(
                f"{title}: planned {found[1]} requests, sent {sent[1]}; planned {found[2]} s, took {took_s:.1f} s "
                f"({float(found[2]) / took_s:.2f} of it)"
            )


if __name__ == "__main__":
    main()
