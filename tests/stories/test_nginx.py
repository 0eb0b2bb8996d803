"""A run against a server that somebody else has written: Debian's nginx, with a limit of its own."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.stories.feeds import make_job, sets, states, until

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
RATE, BURST, ROWS = 50, 10, 250
CONFIGURATION = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log crit;
events {{ worker_connections 64; }}
http {{
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    log_format arrivals '$msec $request_time $status';
    access_log {folder}/arrivals arrivals;
    limit_req_zone $server_port zone=all:1m rate={rate}r/s;
    limit_req_status 429;
    server {{
        listen 127.0.0.1:{port};
        root {folder};
        location / {{ limit_req zone=all burst={burst} nodelay; try_files /body.json =404; }}
    }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """`arrivals` are when requests came (seconds, to the millisecond) and their statuses, in order."""

    url: str
    log: Path

    def arrivals(self) -> list[tuple[float, int]]:
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return sorted((float(at) - float(took), int(status)) for at, took, status in lines)


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    """With `limit_req`, for every path the same body."""
    assert NGINX
    folder = tmp_path / "nginx"
    folder.mkdir()
    (folder / "body.json").write_text('{"items": [{"value": 1}]}')
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    told = folder / "nginx.conf"
    told.write_text(CONFIGURATION.format(folder=folder, port=port, rate=RATE, burst=BURST))
    # Without a master process it stays the user that it was started by, who alone may look into pytest's folders.
    with subprocess.Popen([NGINX, "-p", str(folder), "-c", str(told), "-e", str(folder / "error.log")]) as process:
        try:
            until(lambda: is_open(port), process)
            yield Nginx(f"http://127.0.0.1:{port}", folder / "arrivals")
        finally:
            process.terminate()


def is_open(port: int) -> bool:
    with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_s01_nginx_refuses_next_to_nothing_at_its_own_rate(nginx, fetcher, tmp_path):
    """No second with more than the rate in it, at most one request in a hundred refused, every row done."""
    job = make_job(tmp_path, nginx.url, ROWS)
    ran = fetcher("run", job, *sets(f'fetch.limits.rate="{RATE}/s"', "fetch.retries.attempts=5"))
    assert ran.code == 0, ran.err
    assert states(tmp_path / "out") == {"done": ROWS}
    arrivals = nginx.arrivals()
    statuses = [status for _, status in arrivals]
    assert statuses.count(200) == ROWS
    assert statuses.count(429) <= ROWS // 100
    assert exceeded([at for at, _ in arrivals]) == []


def exceeded(arrivals: list[float]) -> list[float]:
    """When a request came that was one too many in the second before it; times are cut to the millisecond."""
    return [later for sooner, later in zip(arrivals, arrivals[RATE:], strict=False) if later - sooner < 0.998]
