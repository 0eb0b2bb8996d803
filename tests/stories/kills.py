"""kill -9, again and again, and at last a run that is left alone.

    scripts/chaos --kills 1000

Each run is killed 50 to 500 ms after its first new request. The job has a row a day and one record a row, so that the
expected output is as easy to say as to check.
"""

import json
import random
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from fetcher.testing.air_temperature import first_byte

LIVES_S = (0.05, 0.5)
RATE_PER_S = 150
DEADLINE_S = 600
POLL_S = 0.005
FIRST = date(1800, 1, 1)

JOB = """
name = "kills"
[read.dates]
from = "{first}"
to = "{last}"
[fetch]
base_url = "{url}"
url = "/v1/rows"
query = {{ id = "{{date:%Y%m%d}}" }}
limits.rate = "{rate}/s"
limits.concurrency = 16
[parse]
records = "items"
[write]
folder = "out"
rotate.records = 500
"""


@dataclass(frozen=True, slots=True)
class Story:
    """What came of it: `fault` is empty where every promise was kept."""

    kills: int
    rows: int
    requests: int
    fault: str


def survive(folder: Path, kills: int, seed: int) -> Story:
    """Kill a job that often, let it end, and look at what it wrote."""
    chance = random.Random(seed)
    told = [sys.executable, "-m", "fetcher.testing.server", "--port", "0", "--with-parent", "--limit", "none"]
    pipe = subprocess.PIPE
    with subprocess.Popen(told, stdin=pipe, stdout=pipe, text=True) as server:
        assert server.stdout
        url = server.stdout.readline().strip()
        rows = 20 + int(kills * RATE_PER_S * sum(LIVES_S) / 2 * 1.2)
        job = make_job(folder, url, rows)
        for _ in range(kills):
            if not outlive(job, url, chance.uniform(*LIVES_S)):
                break
        ended = subprocess.run(program(job, "5000/s"), check=False, capture_output=True, text=True, timeout=DEADLINE_S)
        requests = requests_of(url)
        server.terminate()
    fault = f"left alone, it exits {ended.returncode}: {ended.stderr[-300:]}" if ended.returncode else ""
    return Story(kills, rows, requests, fault or fault_of(folder / "out", rows))


def make_job(folder: Path, url: str, rows: int) -> Path:
    """A job of that many rows."""
    job = folder / "job.toml"
    job.write_text(JOB.format(first=FIRST, last=FIRST + timedelta(rows - 1), url=url, rate=RATE_PER_S))
    return job


def program(job: Path, rate: str = "") -> list[str]:
    faster = ["--set", f'fetch.limits.rate="{rate}"'] if rate else []
    return [sys.executable, "-m", "fetcher", "run", str(job), *faster]


def outlive(job: Path, url: str, life_s: float) -> bool:
    """Start a run, wait for its first new request, kill it that much later; False where it ended by itself."""
    before = requests_of(url)
    with subprocess.Popen(program(job), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while requests_of(url) == before:
            if process.poll() is not None:
                return False
            time.sleep(POLL_S)
        time.sleep(life_s)
        process.kill()
    return True


def requests_of(url: str) -> int:
    with urllib.request.urlopen(f"{url}/__stats", timeout=DEADLINE_S) as answer:
        return int(json.load(answer)["requests"])


def fault_of(folder: Path, rows: int) -> str:
    """What is wrong with the records; empty where nothing is."""
    lines = [line for path in sorted(folder.glob("records-*")) for line in path.read_bytes().splitlines()]
    ids = [int(f"{FIRST + timedelta(number):%Y%m%d}") for number in range(rows)]
    expected = {json.dumps({"id": number, "value": first_byte(f"row|{number}")}) for number in ids}
    found = [json.dumps(json.loads(line)) for line in lines]
    if len(found) != len(set(found)):
        return f"{len(found) - len(set(found))} records are there twice"
    return "" if set(found) == expected else f"{len(expected - set(found))} records are missing"
