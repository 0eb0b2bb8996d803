"""What keeping answers costs, and what a kept one saves: fetcher, aiohttp-client-cache and hishel, side by side.

    scripts/bench cache [--requests 3000] [--rounds 5] [--bytes 2000]

A server on loopback, a process of its own, gives answers that may be kept for an hour. Misses are new URLs, 32 at once;
hits are the same URLs again, one after the other, as bare aiohttp asks for them. Each figure is the median of the
rounds, which lie around each other. Shares are of bare aiohttp in the same round. The interpreter is tuned as `fetcher
run` tunes it, for all of them alike.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fetcher.launch import own_process

ROOT = Path(__file__).parents[2]
AT_ONCE = 32
CARRIERS = 2 * AT_ONCE + 16
"""As many as a job has: those that wait for the cache hold no slot."""
SERVER = """
import asyncio, sys
BODY = b"x" * int(sys.argv[1])
HEAD = b"HTTP/1.1 200 OK\\r\\nCache-Control: max-age=3600\\r\\nContent-Type: text/plain\\r\\nContent-Length: "
WHOLE = HEAD + str(len(BODY)).encode() + b"\\r\\n\\r\\n" + BODY
class Answers(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        self.transport.write(WHOLE * data.count(b"\\r\\n\\r\\n"))
async def main():
    server = await asyncio.get_running_loop().create_server(Answers, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""

Get = Callable[[str], Awaitable[object]]


@asynccontextmanager
async def bare(url: str, folder: Path) -> AsyncIterator[Get]:
    """aiohttp as it is."""
    import aiohttp

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AT_ONCE)) as session:

        async def get(path: str) -> bytes:
            async with session.get(url + path) as answer:
                return await answer.read()

        yield get


def own(**section: object) -> Callable[[str, Path], contextlib.AbstractAsyncContextManager[Get]]:
    """fetcher's own client; without `keep` it keeps nothing."""

    @asynccontextmanager
    async def opened(url: str, folder: Path) -> AsyncIterator[Get]:
        from fetcher.fetch import Client

        path = folder / "own.sqlite" if "keep" in section else None
        async with Client(url, cache=path, limits={"concurrency": AT_ONCE}, **section) as client:
            yield client.get

    return opened


@asynccontextmanager
async def client_cache(url: str, folder: Path) -> AsyncIterator[Get]:
    """aiohttp-client-cache over SQLite."""
    from aiohttp_client_cache import CachedSession, SQLiteBackend

    backend = SQLiteBackend(str(folder / "client-cache.sqlite"), cache_control=True)
    async with CachedSession(cache=backend) as session:

        async def get(path: str) -> bytes:
            async with session.get(url + path) as answer:
                return await answer.read()

        yield get


@asynccontextmanager
async def hishel(url: str, folder: Path) -> AsyncIterator[Get]:
    """hishel, over httpx and SQLite."""
    from hishel import AsyncSqliteStorage
    from hishel.httpx import AsyncCacheClient

    storage = AsyncSqliteStorage(database_path=str(folder / "hishel.sqlite"))
    async with AsyncCacheClient(storage=storage) as client:

        async def get(path: str) -> bytes:
            return (await client.get(url + path)).content

        yield get


CLIENTS = {
    "bare aiohttp": bare,
    "fetcher, no cache": own(),
    "fetcher, http": own(keep="http"),
    "fetcher, forever": own(keep="forever"),
    "aiohttp-client-cache": client_cache,
    "hishel": hishel,
}


async def misses_per_s(get: Get, paths: list[str]) -> float:
    """New URLs, many at once."""
    waiting = iter(paths)

    async def carrier() -> None:
        for path in waiting:
            await get(path)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(CARRIERS):
            group.create_task(carrier())
    return len(paths) / (time.perf_counter() - began)


async def hits_per_s(get: Get, paths: list[str]) -> float:
    """The same URLs, one after the other."""
    began = time.perf_counter()
    for path in paths:
        await get(path)
    return len(paths) / (time.perf_counter() - began)


async def one_round(url: str, requests: int, number: int) -> dict[str, tuple[float, float]]:
    """(misses, hits) a second of each client that is installed."""
    found = {}
    for name, client in CLIENTS.items():
        few = max(100, requests // 10) if name in ("hishel", "aiohttp-client-cache") else requests
        paths = [f"/rows?id={number}.{row}" for row in range(few)]
        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(ImportError):
            async with client(url, Path(folder)) as get:
                misses = await misses_per_s(get, paths)
                found[name] = (misses, await hits_per_s(get, paths))
    return found


def report(rounds: list[dict[str, tuple[float, float]]]) -> None:
    """Medians, and shares of bare aiohttp within each round."""
    print(f"{'':22} {'misses/s':>9} {'of bare':>8} {'hits/s':>9} {'of bare':>8}")
    for name in CLIENTS:
        seen = [(found[name], found["bare aiohttp"]) for found in rounds if name in found]
        if not seen:
            print(f"{name:22} is not installed")
            continue
        misses, hits = (statistics.median(mine[side] for mine, _ in seen) for side in (0, 1))
        shares = [statistics.median(mine[side] / theirs[side] for mine, theirs in seen) for side in (0, 1)]
        print(f"{name:22} {misses:9,.0f} {shares[0]:8.2f} {hits:9,.0f} {shares[1]:8.2f}")
    for name in ("fetcher, http", "fetcher, forever"):
        left = statistics.median(found[name][0] / found["fetcher, no cache"][0] for found in rounds)
        print(f"{name}: keeping leaves {left:.2f} of the throughput without a cache")


def install_peers() -> None:
    """The extra `bench`, once."""
    try:
        import aiohttp_client_cache  # noqa: F401
        import hishel  # noqa: F401
    except ImportError:
        what = ["--editable", f"{ROOT}[bench]"]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *what]
        uv = ["uv", "pip", "install", "--quiet", "--python", sys.executable, *what]
        if subprocess.run(pip, check=False).returncode and subprocess.run(uv, check=False).returncode:
            print("the peers could not be installed: fetcher alone is measured")


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--requests", type=int, default=3000)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--bytes", type=int, default=2000)
    told = options.parse_args()
    install_peers()
    own_process()
    command = [sys.executable, "-c", SERVER, str(told.bytes)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}"
        try:
            rounds = [asyncio.run(one_round(url, told.requests, number)) for number in range(told.rounds)]
        finally:
            server.terminate()
    print(f"{told.bytes:,} bytes, {told.requests:,} requests, {told.rounds} rounds, {os.cpu_count()} cores")
    report(rounds)


if __name__ == "__main__":
    main()
