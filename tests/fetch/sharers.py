"""A process of its own that makes starts in a shared realm: `python sharers.py FOLDER RATE SPREAD_S`.

It prints the moment of each arrival at a server that nobody sees, in monotonic seconds, which all processes share.
"""

import asyncio
import os
import random
import sys
import time
from pathlib import Path

from fetcher.fetch.limits import Realm, Shared
from fetcher.fetch.starts import Clocks, this_boot
from fetcher.job.sections import Limits


async def ask(realm: Realm, spread_s: float) -> None:
    """One request after another, each on its way for a while."""
    while True:
        async with realm.start(60.0) as start:
            realm.left(start)
            await asyncio.sleep(random.uniform(0, spread_s))
            os.write(1, f"{time.monotonic()}\n".encode())
            await asyncio.sleep(random.uniform(0, spread_s))
            realm.answered(start)


async def main(folder: str, rate: str, spread_s: str) -> None:
    shared = Shared(Path(folder), "realm", "job", Clocks(time.monotonic, time.time, this_boot()))
    limits = Limits(rate=rate.split(","), concurrency=4)
    async with Realm(limits, time.monotonic, shared) as realm, asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(ask(realm, float(spread_s)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
