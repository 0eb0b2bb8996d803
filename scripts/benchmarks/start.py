"""How soon a run sends its first request when a million rows are done already, and what memory that takes.

    scripts/bench start [--rows 1000000]

The job has one row more than the ledger knows, and it is the last: every other one has to be looked up before. The
time is from the start of the process to its end, with that one request in between.
"""

import argparse
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

from memory import JOB, peak_bytes, server

from fetcher.ledger import Ledger, Settled
from fetcher.model import RowState, Standing

FIRST = date(1, 1, 1)
CHUNK_ROWS = 50_000


def make_ledger(path: Path, rows: int) -> None:
    """A ledger in which that many days are done, and empty: files are not what is measured."""
    done = Standing(RowState.EMPTY, digest=b"\0" * 32)
    with Ledger(path) as ledger:
        for start in range(0, rows, CHUNK_ROWS):
            days = (FIRST + timedelta(number) for number in range(start, min(rows, start + CHUNK_ROWS)))
            ledger.commit((Settled(day.isoformat(), done, "", 1) for day in days), ())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows = parser.parse_args().rows
    with server("--limit", "none") as url, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        job = folder / "job.toml"
        job.write_text(JOB.format(first=FIRST, last=FIRST + timedelta(rows), url=url))
        (folder / "out" / ".fetcher").mkdir(parents=True)
        make_ledger(folder / "out" / ".fetcher" / "ledger.sqlite", rows)
        began = time.monotonic()
        peak = peak_bytes(["run", str(job)])
        print(f"{rows:,} rows done: {time.monotonic() - began:.1f} s to the end of the next row, {peak / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
