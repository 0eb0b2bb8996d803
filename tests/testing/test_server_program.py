import asyncio
import os
import re
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import aiohttp
import pytest

from fetcher.testing.server import Server, ServerOptions, main

AIR_TEMPERATURE = "/v1/environment/air-temperature"
UNLIMITED = ServerOptions(limit=None)


@asynccontextmanager
async def process(*arguments):
    """The server as a program, and the URL that it printed."""
    command = [sys.executable, "-W", "error", "-m", "fetcher.testing.server", *arguments]
    pipe = subprocess.PIPE
    # With PYTHONUNBUFFERED a URL that is not flushed would come through all the same.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    started = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment)
    assert started.stdout
    try:
        # Only so that a program that never ends fails its test.
        async with asyncio.timeout(60):
            yield started, (await started.stdout.readline()).decode()
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_program_without_a_trace(number):
    """Exactly one line on standard output, nothing on standard error, whatever is being answered."""
    async with process("--limit", "none") as (started, line):
        assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+\n", line)
        async with aiohttp.ClientSession(line.strip()) as session:
            slow = asyncio.create_task(session.get(f"{AIR_TEMPERATURE}?date=2019-05-03"))
            while (await (await session.get("/__stats")).json())["requests"] == 0:
                pass
            started.send_signal(number)
            with pytest.raises(aiohttp.ClientError):
                await slow
        assert await started.communicate() == (b"", b"")
        assert started.returncode == 0


async def test_the_program_ends_with_its_parent():
    """The system closes the pipe when its writer dies, however it dies."""
    async with process("--with-parent") as (started, line):
        assert line
        started.stdin.write(b"what comes over the pipe does not matter")
        started.stdin.close()
        assert await started.wait() == 0
        assert await started.stderr.read() == b""


async def test_the_program_takes_its_options():
    """`--step`, `--limit`, `--latency` and `--no-faults` reach the server."""
    arguments = ("--step", "5", "--limit", "2/100", "--latency", "0.001", "--no-faults", "--port", "0")
    async with process(*arguments) as (_, line), aiohttp.ClientSession(line.strip()) as session:
        async with session.get(f"{AIR_TEMPERATURE}?date=2019-04-25") as response:
            assert len((await response.json())["items"]) == 288
        statuses = [(await session.get("/v1/echo/x")).status for _ in range(2)]
        assert statuses == [200, 429]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limit", "20 a second"], "argument --limit: expected N/SECONDS such as 20/1, or none; got '20 a second'"),
        (["--limit", "0/1"], "limit: expected (requests, seconds), both above 0, got (0, 1.0)"),
        (["--step", "7"], "step: expected minutes that divide an hour, such as 60 or 5, got 7"),
    ],
)
def test_a_wrong_command_line_is_told_in_one_line(arguments, message, capsys):
    """Exit 2, and the last line says where, what was expected and what came."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"python -m fetcher.testing.server: error: {message}"


async def test_a_taken_port_is_told_in_one_line():
    """Exit 1 without a traceback."""
    async with Server(UNLIMITED) as server, process("--port", str(server.port)) as (started, line):
        _, errors = await started.communicate()
        assert line == ""
        assert started.returncode == 1
        assert re.fullmatch(rf"127\.0\.0\.1:{server.port}: .*in use.*\n", errors.decode())
