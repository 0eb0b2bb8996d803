"""What scripts/chaos runs: many histories on all processors, or one of them aloud."""

import argparse
import multiprocessing
import os
import sys
import time

from tests.write.histories import Violation, replay

SHOWN = 10


def main(arguments: list[str]) -> int:
    """Exit 1 where a promise was broken."""
    options = parse(arguments)
    if options.seed is not None:
        return tell_one(options.seed)
    return tell_many(range(options.first, options.first + options.histories), options.jobs)


def parse(arguments: list[str]) -> argparse.Namespace:
    """Each kind of chaos is one option of a group; without one, histories."""
    parser = argparse.ArgumentParser(prog="scripts/chaos", description="Lose power many times; nothing may be lost.")
    kinds = parser.add_mutually_exclusive_group()
    kinds.add_argument("--histories", type=int, metavar="N", default=10_000, help="tell N histories (10000)")
    kinds.add_argument("--seed", type=int, metavar="N", help="tell the history of this seed, every operation of it")
    parser.add_argument("--first", type=int, metavar="N", default=0, help="the first of the seeds (0)")
    parser.add_argument(
        "--jobs", type=int, metavar="N", default=os.cpu_count() or 1, help="processes (one a processor)"
    )
    return parser.parse_args(arguments)


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
