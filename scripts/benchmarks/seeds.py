"""A hundred days from a server that takes 300 ms to answer: one after another, 40 threads, and fetcher.

    scripts/bench seeds [--rounds 3]

All in one run against one server in a process of its own, each approach in a fresh process; the time is from the first
request to the finished file, imports not counted. Prints the median of every approach and how many times faster than
one after another it is. The sequential approach takes half a minute and is measured once. One of the hundred days is
always answered 500; nobody asks for it twice here.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

DAYS = 100
LATENCY_S = 0.3
STEP = 15  # minutes between readings: 57 kB a day
THREADS = 40
JOB = Path(__file__).parents[2] / "configs" / "air_temperature.toml"


def days() -> list[str]:
    first = date(2019, 4, 15)
    return [(first + timedelta(days=n)).isoformat() for n in range(DAYS)]


def by_requests(url: str, folder: Path, threads: int) -> float:
    """`requests.get` for each day, then one write: the way the seed talk began."""
    import requests

    def day_lines(day: str) -> str:
        answer = requests.get(f"{url}/v1/environment/air-temperature", params={"date": day}, timeout=30)
        return "".join(
            json.dumps({"timestamp": item["timestamp"], **reading}) + "\n"
            for item in answer.json().get("items", [])
            for reading in item["readings"]
        )

    began = time.time()
    with (folder / "records.jsonl").open("w") as file, ThreadPoolExecutor(threads) as pool:
        file.writelines(pool.map(day_lines, days()) if threads > 1 else map(day_lines, days()))
    return time.time() - began


def by_fetcher(url: str, folder: Path) -> float:
    """fetcher with everything on: limits, cache, ledger, worker processes, sealed file."""
    from fetcher.job.load import load_job
    from fetcher.launch import own_process, run
    from fetcher.tally import Tally

    first_request = 0.0

    async def watch(tally: Tally) -> None:
        nonlocal first_request
        while not tally.requests:  # noqa: ASYNC110  (nothing of a run tells of its first request)
            await asyncio.sleep(0.0005)
        first_request = time.time()

    settings = {
        "fetch.base_url": f'"{url}"',
        "read.dates.from": f'"{days()[0]}"',
        "read.dates.to": f'"{days()[-1]}"',
        "fetch.limits.rate": '"200/s"',
        "fetch.limits.smooth": "false",
        "fetch.limits.concurrency": "100",
        "fetch.retries.attempts": "1",
        "write.folder": json.dumps(str(folder)),
    }
    job = load_job(JOB, os.environ, [f"{key}={value}" for key, value in settings.items()])
    own_process()  # as the command line does
    report = run(job, watch=watch)
    assert report.tally.requests == DAYS and report.tally.failed == 1, report
    return (folder / "records-000001.jsonl").stat().st_ctime - first_request


APPROACHES = {
    "requests, one after another": lambda url, folder: by_requests(url, folder, 1),
    "requests, 40 threads": lambda url, folder: by_requests(url, folder, THREADS),
    "fetcher, concurrency 100": by_fetcher,
}


def measured(approach: str, url: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--one", approach, "--url", url, "--folder", folder]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(rounds: int) -> None:
    command = [sys.executable, "-m", "fetcher.testing.server", "--port", "0", "--with-parent", "--limit", "none"]
    options = ["--latency", str(LATENCY_S), "--step", str(STEP), "--no-faults"]
    with subprocess.Popen([*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        slow, *quick = APPROACHES
        measured(quick[0], url)  # the server builds its answers once; nobody is charged for that
        sequential = measured(slow, url)
        print(f"{slow:30} {sequential:8.3f} s      1.0 x")
        for approach in quick:
            times = [measured(approach, url) for _ in range(rounds)]
            median = statistics.median(times)
            spread = f"({min(times):.3f} to {max(times):.3f}, {rounds} runs)"
            print(f"{approach:30} {median:8.3f} s  {sequential / median:7.1f} x   {spread}")
        print(f"{'the limit':30} {LATENCY_S:8.3f} s  {sequential / LATENCY_S:7.1f} x")
        server.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", choices=APPROACHES)
    parser.add_argument("--url", default="")
    parser.add_argument("--folder", type=Path, default=Path())
    options = parser.parse_args()
    if options.one:
        print(APPROACHES[options.one](options.url, options.folder))
    else:
        compare(options.rounds)


if __name__ == "__main__":
    main()
