"""Servers with a limit, as processes of their own, that tell what they have seen: nginx, and the built-in one."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).parents[2]
FIRST_REQUEST_S = 60.0
WARM_UPS = 20
SMALL = b'{"items": [{"id": 1, "value": 7}]}'
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    log_format arrivals '$msec $request_time $status';
    access_log {folder}/arrivals arrivals;
    default_type application/json;
    limit_req_zone $server_port zone=all:1m rate={rate}r/s;
    limit_req_status 429;
    server {{
        listen 127.0.0.1:{port};
        root {folder};
        location / {{ limit_req zone=all burst={burst} nodelay; try_files /body.json =404; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """What a server lets through: `rate` a second, and `burst` ahead of it."""

    rate: int
    burst: int


@dataclass(frozen=True, slots=True)
class Seen:
    """What came to a server within some seconds: requests that it let through, and that it refused."""

    accepted: int
    rejected: int
    seconds: float

    def share(self, rate: float) -> float:
        """How much of an allowed rate that is."""
        return self.accepted / (rate * self.seconds)

    @property
    def rejected_per_1000(self) -> float:
        """Refused ones among a thousand requests."""
        return 1000 * self.rejected / max(1, self.accepted + self.rejected)


class Server(Protocol):
    """`url` is where it is asked; `watch` counts for so many seconds from the first request that comes."""

    url: str

    def watch(self, seconds: float, check: Callable[[], None]) -> Seen: ...


def nginx_program() -> str | None:
    """Where nginx is; Debian's lies where only root looks."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@dataclass(slots=True)
class Nginx:
    """Its access log, to the millisecond that it decides by."""

    url: str
    log: Path

    def watch(self, seconds: float, check: Callable[[], None]) -> Seen:
        wait_until(lambda: self.log.stat().st_size > 0, check)
        pause(seconds + 0.2, check)
        lines = [line.split() for line in self.log.read_text().rpartition("\n")[0].splitlines()]
        arrivals = [(float(at) - float(took), status) for at, took, status in lines]
        first = min(at for at, _ in arrivals)
        statuses = [status for at, status in arrivals if at < first + seconds]
        return Seen(statuses.count("200"), statuses.count("429"), seconds)


@dataclass(slots=True)
class BuiltIn:
    """Its counters at two moments."""

    url: str
    home: str

    def watch(self, seconds: float, check: Callable[[], None]) -> Seen:
        wait_until(lambda: self.stats()["requests"] > WARM_UPS, check)
        before, began = self.stats(), time.monotonic()
        pause(seconds, check)
        after, ended = self.stats(), time.monotonic()
        accepted = after["by_status"].get("200", 0) - before["by_status"].get("200", 0)
        # A burst at the very beginning is over before it is looked for: what was refused counts from the start.
        rejected = after["by_status"].get("429", 0)
        return Seen(accepted, rejected, ended - began)

    def stats(self) -> dict:
        """Everything that it has counted."""
        with urllib.request.urlopen(f"{self.home}/__stats", timeout=30) as answer:
            return json.load(answer)


@contextmanager
def nginx(limit: Limit, body: bytes = SMALL) -> Iterator[Nginx]:
    """Debian's nginx with `limit_req`, on a free port, with that body for every path."""
    program = nginx_program()
    assert program
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        (folder / "body.json").write_bytes(body)
        told = folder / "nginx.conf"
        told.write_text(CONFIGURATION.format(folder=folder, port=port, rate=limit.rate, burst=limit.burst))
        command = [program, "-p", name, "-c", str(told), "-e", str(folder / "error.log")]
        with subprocess.Popen(command) as process:
            try:
                wait_until(lambda: is_open(port), lambda: is_alive(process))
                yield Nginx(f"http://127.0.0.1:{port}", folder / "arrivals")
            finally:
                process.terminate()


@contextmanager
def built_in(fault: str, *options: str) -> Iterator[BuiltIn]:
    """The built-in server, which plays that fault for whoever asks at `url`."""
    told = [sys.executable, "-m", "fetcher.testing.server", "--port", "0", "--with-parent", "--limit", "none"]
    pipe = subprocess.PIPE
    with subprocess.Popen([*told, "--no-faults", *options], stdin=pipe, stdout=pipe, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout
            home = process.stdout.readline().strip()
            warm_up(home)
            yield BuiltIn(f"{home}/fault/{fault}", home)
        finally:
            process.terminate()


def warm_up(home: str) -> None:
    """Ask it a few times under another limit: its first answers take so long that requests behind them are a crowd."""
    for _ in range(WARM_UPS):
        path = "fault/leaky-bucket;rate_per_s=1000000;burst=1000/v1/environment/air-temperature?date=2019-04-15"
        urllib.request.urlopen(f"{home}/{path}", timeout=30).close()


def leaky(limit: Limit) -> str:
    """The built-in server's words for such a limit."""
    return f"leaky-bucket;rate_per_s={limit.rate};burst={limit.burst}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_open(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def is_alive(process: subprocess.Popen) -> None:
    """Raise RuntimeError where it has ended."""
    if process.poll() is not None:
        raise RuntimeError(f"{process.args} ended with {process.returncode}")


def wait_until(is_so: Callable[[], bool], check: Callable[[], None]) -> None:
    """Look twenty times a second; `check` raises where there is nothing to wait for any more."""
    until = time.monotonic() + FIRST_REQUEST_S
    while not is_so():
        check()
        if time.monotonic() > until:
            raise RuntimeError("no request came")
        time.sleep(0.05)


def pause(seconds: float, check: Callable[[], None]) -> None:
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        check()
        time.sleep(min(0.5, left))
