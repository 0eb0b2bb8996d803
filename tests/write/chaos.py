"""What scripts/chaos runs: many histories on all processors, or one of them aloud."""

import argparse
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.stories.kills import survive
from tests.stories.syscalls import HARMS, Harm, call_counts, fault_after, make_job
from tests.write.histories import Violation, replay

SHOWN = 10


def main(arguments: list[str]) -> int:
    """Exit 1 where a promise was broken."""
    options = parse(arguments)
    if options.kills is not None:
        return kill_many(options.kills, options.first)
    if options.syscalls:
        return harm_every_call()
    if options.seed is not None:
        return tell_one(options.seed)
    return tell_many(range(options.first, options.first + options.histories), options.jobs)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Each kind of chaos is one option of a group; without one, histories."""
    parser = argparse.ArgumentParser(prog="scripts/chaos", description="Lose power many times; nothing may be lost.")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--histories", type=int, metavar="N", default=10_000, help="tell N histories (10000)")
    kinds.add_argument("--seed", type=int, metavar="N", help="tell the history of this seed, every operation of it")
    kinds.add_argument("--kills", type=int, metavar="N", help="kill -9 a run of the real program N times")
    kinds.add_argument("--syscalls", action="store_true", help="fail each system call of a real run (needs strace)")
    parser.add_argument("--first", type=int, metavar="N", default=0, help="the first of the seeds (0)")
    parser.add_argument(
        "--jobs", type=int, metavar="N", default=os.cpu_count() or 1, help="processes (one a processor)"
    )
    return parser.parse_args(arguments)


def kill_many(kills: int, seed: int) -> int:
    """One job, killed that often."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        story = survive(Path(folder), kills, seed)
    took = f"{story.kills} kills, {story.rows} rows, {story.requests} requests in {time.monotonic() - began:.0f} s"
    print(f"chaos: {took}: {story.fault or 'exact output'}")
    return 1 if story.fault else 0


def harm_every_call() -> int:
    """A run for every number of every call and every harm, each resumed."""
    told = [sys.executable, "-m", "fetcher.testing.server", "--port", "0", "--with-parent", "--limit", "none"]
    pipe = subprocess.PIPE
    faults = runs = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen([*told, "--no-faults"], stdin=pipe, stdout=pipe, text=True) as server,
    ):
        assert server.stdout
        job = make_job(Path(folder), server.stdout.readline().strip())
        for call, count in call_counts(job).items():
            for harm in (Harm(call, number, what) for number in range(1, count + 1) for what in HARMS):
                runs += 1
                if fault := fault_after(job, harm):
                    faults += 1
                    print(f"{harm}: {fault}")
        server.terminate()
    print(f"chaos: {runs} harmed runs, {faults} violations")
    return 1 if faults else 0


def tell_one(seed: int) -> int:
    """The whole history on the screen."""
    try:
        print(replay(seed).story())
    except Violation as violation:
        print(violation.story)
        print(f"chaos: seed {seed}: {violation.promise}")
        return 1
    print(f"chaos: seed {seed}: every promise was kept")
    return 0


def tell_many(seeds: range, jobs: int) -> int:
    """A line for each of the first violations, then a line that sums up."""
    began = time.monotonic()
    with multiprocessing.Pool(jobs) as pool:
        broken = [found for found in pool.imap_unordered(broken_promise, seeds, chunksize=50) if found]
    for seed, promise in sorted(broken)[:SHOWN]:
        print(f"seed {seed}: {promise}")
    print(f"chaos: {len(seeds)} histories in {time.monotonic() - began:.0f} s, {len(broken)} violations")
    return 1 if broken else 0


def broken_promise(seed: int) -> tuple[int, str] | None:
    """The seed and the promise, where one was broken."""
    try:
        replay(seed)
    except Violation as violation:
        return seed, violation.promise
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
