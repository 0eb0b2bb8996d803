"""What bad records cost a run, and what starting, replacing and leaking workers costs.

    scripts/bench workers [--records 1000] [--tasks 100000] [--starts 1000] [--leaks 10000]

1. So many records, the same with one that crashes its worker, one that hangs and one that wants ten gigabytes: how many
   are set aside, how many of the others are exact, and how much longer it took.
2. So many tasks on workers that are replaced after every 200 batches: results, workers used, the longest standstill.
3. So many workers started one after the other, beside busy threads.
4. So many tasks of five milliseconds that each lose a megabyte, with a gigabyte a worker, with what a worker gets by
   default, and with memory for all.
"""

import argparse
import asyncio
import ctypes
import os
import pathlib
import threading
import time
from itertools import pairwise

from fetcher.engines.machine import memory_share
from fetcher.engines.patience import Limits
from fetcher.engines.processes import Processes
from fetcher.errors import Quarantined

TIMEOUT_S = 3.0
AT_ONCE = 400
LOST: list[bytearray] = []
Item = tuple[str, int]


def work(item: Item) -> int:
    """Half a millisecond of work, or something worse."""
    kind, number = item
    until = time.process_time() + 0.0005
    while time.process_time() < until:
        pass
    match kind:
        case "crash":
            ctypes.string_at(0)
        case "hang":
            while True:
                pass
        case "fill":
            bytearray(10_000_000_000)
        case "lose":
            while time.process_time() < until + 0.0045:
                pass
            LOST.append(bytearray(b"x") * 1_000_000)
        case "pid":
            return os.getpid()
    return number * number


async def done(engine: Processes[Item, int], items: list[Item]) -> tuple[list[object], list[float]]:
    """What became of each, and when (monotonic seconds)."""
    slots = asyncio.Semaphore(AT_ONCE)
    ends = []

    async def one(item: Item) -> object:
        async with slots:
            try:
                return await engine.run(item)
            except Quarantined as error:
                return error
            finally:
                ends.append(time.monotonic())

    return await asyncio.gather(*map(one, items)), ends


async def timed(items: list[Item], limits: Limits) -> tuple[list[object], float, float]:
    """What became of each, the seconds of all, and the longest in which nothing was done."""
    async with Processes(work, workers=2, limits=limits) as engine:
        await engine.run(("square", 0))
        began = time.monotonic()
        found, ends = await done(engine, items)
        return found, ends[-1] - began, max(after - before for before, after in pairwise(ends))


async def bad_records(count: int) -> None:
    """1."""
    limits = Limits(TIMEOUT_S, 1_000_000_000)
    good = [("square", number) for number in range(count)]
    bad = {count // 10: "crash", count // 2: "hang", count // 2 + 1: "fill"}
    mixed = [(bad.get(number, kind), number) for kind, number in good]
    _, plain_s, _ = await timed(good, limits)
    found, mixed_s, _ = await timed(mixed, limits)
    aside = [str(one) for one in found if isinstance(one, Quarantined)]
    exact = sum(one == number * number for number, one in enumerate(found))
    print(f"1. {count:,} records: {len(aside)} set aside, {exact:,} exact")
    print(f"   {plain_s:.1f} s without them, {mixed_s:.1f} s with: {mixed_s - plain_s:.1f} s more, limit {TIMEOUT_S} s")
    for reason in aside:
        print(f"   {reason}")


async def replaced(count: int) -> None:
    """2."""
    items = [("pid" if number % 50 == 0 else "square", number) for number in range(count)]
    found, took_s, longest_s = await timed(items, Limits(60.0, batches=200))
    exact = sum(one == number * number for number, one in enumerate(found) if number % 50)
    _, plain_s, _ = await timed(items, Limits(60.0))
    workers = len({one for number, one in enumerate(found) if number % 50 == 0})
    print(f"2. {count:,} tasks: {exact:,} of {count - len(items[::50]):,} exact, {workers} workers, {took_s:.1f} s")
    print(f"   the longest standstill was {longest_s:.2f} s; without being replaced {plain_s:.1f} s")


async def started(count: int) -> None:
    """3."""
    stop = threading.Event()
    threads = [threading.Thread(target=busy, args=(stop,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    began = time.monotonic()
    async with Processes(work, workers=2, limits=Limits(60.0, batches=1)) as engine:
        found = [await engine.run(("pid", 0)) for _ in range(count)]
    stop.set()
    print(f"3. {count:,} starts beside busy threads: {len(set(found)):,} workers, {time.monotonic() - began:.1f} s")


def busy(stop: threading.Event) -> None:
    """Take and leave locks."""
    with pathlib.Path(os.devnull).open("w") as nowhere:
        while not stop.wait(0.001):
            print("busy", file=nowhere)


async def leaking(count: int) -> None:
    """4."""
    items = [("lose", number) for number in range(count)]
    _, plain_s, _ = await timed(items, Limits(60.0, 20_000_000_000))
    print(f"4. {count:,} tasks that lose a megabyte: {plain_s:.1f} s with memory for all")
    for memory in (1_000_000_000, memory_share(2)):
        _, took_s, longest_s = await timed(items, Limits(60.0, memory))
        loss = 1 - plain_s / took_s
        print(
            f"   {took_s:.1f} s with {memory or 0:,} B a worker: {loss:.0%} lost, longest standstill {longest_s:.2f} s"
        )


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1000)
    parser.add_argument("--tasks", type=int, default=100_000)
    parser.add_argument("--starts", type=int, default=1000)
    parser.add_argument("--leaks", type=int, default=10_000)
    told = parser.parse_args()
    for part, count in (
        *((bad_records, told.records), (replaced, told.tasks)),
        *((started, told.starts), (leaking, told.leaks)),
    ):
        if count:
            await part(count)


if __name__ == "__main__":
    asyncio.run(main())
