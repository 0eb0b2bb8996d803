"""How much of HTTP caching `Client` does, by an outside suite: github.com/http-tests/cache-tests.

    scripts/bench conformance FOLDER [--each]

FOLDER is a checkout of the suite; it needs node. The suite's own server and engine run as they are, and each test's
requests are carried out by one `Client`: `keep = "http"`, heuristics on, every status accepted, one attempt. What the
client refuses to take (a coding or a length that is not true) is shown as a 502, which the engine counts as a failure
of the test's setup. Prints how many behaviours of each kind are met; `--each` names those that are not.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from shutil import which
from typing import Any

from _servers import free_port, is_open
from aiohttp import web

from fetcher.errors import RowError, RunStopped
from fetcher.fetch import Client

ACCEPTED = [status for status in range(300, 600) if status != 304]
ENGINE = Path(__file__).with_name("_conformance.mjs")
REFUSED = 502


class Carrier:
    """Carries out what the engine asks for, with one client a test."""

    def __init__(self, base: str, folder: Path, stack: AsyncExitStack) -> None:
        self._base, self._folder, self._stack = base, folder, stack
        self._clients: dict[str, Client] = {}

    async def carry_out(self, request: web.Request) -> web.Response:
        """One request of a test, as JSON, and its answer."""
        asked = await request.json()
        client = await self._client(asked["test"])
        headers, body = dict(asked["headers"]), asked["body"].encode()
        try:
            answer = await client.request(asked["method"], asked["url"], headers=headers, body=body)
        except (RowError, RunStopped):
            return web.json_response({"status": REFUSED, "headers": [], "body": ""})
        told = {"status": answer.status, "headers": answer.headers, "body": b64encode(answer.body).decode()}
        return web.json_response(told)

    async def _client(self, test: str) -> Client:
        if test not in self._clients:
            client = Client(
                self._base,
                cache=self._folder / f"{test}.sqlite",
                keep="http",
                accept=ACCEPTED,
                caching={"heuristic": True},
                retries={"attempts": 1},
            )
            self._clients[test] = await self._stack.enter_async_context(client)
        return self._clients[test]


@asynccontextmanager
async def suite_server(suite: Path, folder: Path) -> AsyncIterator[str]:
    """The suite's own server, until the block ends; where it is."""
    port = free_port()
    told = {"npm_config_protocol": "http", "npm_config_port": str(port), "npm_config_pidfile": str(folder / "pid")}
    program = str(suite / "test-engine" / "server" / "server.mjs")
    process = await asyncio.create_subprocess_exec(
        "node", program, env={**os.environ, **told}, stdout=asyncio.subprocess.DEVNULL
    )
    try:
        while not is_open(port):
            if process.returncode is not None:
                raise SystemExit(f"the suite's server ended with {process.returncode}")
            await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def results(suite: Path) -> dict[str, tuple[str, str, str]]:
    """What the engine says of each test: its kind, the verdict, and what was seen."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        base = await stack.enter_async_context(suite_server(suite, folder))
        application = web.Application()
        application.router.add_post("/", Carrier(base, folder, stack).carry_out)
        runner = web.AppRunner(application)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        command = ["node", "--no-warnings", str(ENGINE), str(suite), base, f"http://127.0.0.1:{port}/"]
        engine = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        said, _ = await engine.communicate()
        if engine.returncode:
            raise SystemExit(f"the suite's engine ended with {engine.returncode}")
        found: dict[str, Any] = json.loads(said)
        return {test: tuple(told) for test, told in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", type=Path, metavar="FOLDER")
    parser.add_argument("--each", action="store_true", help="name each behaviour that is not met")
    options = parser.parse_args()
    if not which("node"):
        sys.exit("node is not here (Debian: apt-get install nodejs)")
    if not (options.suite / "test-engine").is_dir():
        sys.exit(f"expected a checkout of github.com/http-tests/cache-tests, got {options.suite}")
    found = asyncio.run(results(options.suite.absolute()))
    for kind in sorted({kind for kind, _, _ in found.values()}):
        counts = Counter(verdict for of, verdict, _ in found.values() if of == kind)
        told = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
        print(f"  {kind:10} {counts.total():4}: {told}")
    for test, (kind, verdict, seen) in sorted(found.items()) if options.each else ():
        if kind != "check" and verdict != "pass":
            print(f"  {test}: {kind}, {verdict}: {seen}")


if __name__ == "__main__":
    main()
