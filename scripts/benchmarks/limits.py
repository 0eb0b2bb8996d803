"""How much of an allowed rate is used, and how much is refused: fetcher, aiolimiter and Scrapy, side by side.

    scripts/bench limits [--seconds 60] [--rounds 1] [--only nginx|built-in|processes|parsing] [--client NAME]

What counts is what the server sees, from the first request on: the share is what it let through of its rate, and
rejected are its 429s. Servers and clients are processes of their own, without a core of their own: a busy machine
shows. A client has a rate to keep to and more rows than it can ask for; what is refused it asks for again. nginx is
Debian's, with `limit_req ... nodelay`; where it is missing the built-in server stands alone. With several rounds each
figure is the median; the rounds lie around each other, not one client after the other.

A window of the four processes is any second; the server counts exactly, by the arrivals that it let through.
"""

import argparse
import importlib.util
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import date
from functools import partial
from pathlib import Path
from shutil import which

import msgspec
from _clients import Missing, Work, fetcher, measured, peer
from _peers import PEERS
from _processes import AT_ONCE, RATE, four
from _servers import ROOT, BuiltIn, Limit, Nginx, Seen, built_in, leaky, nginx, nginx_program

PARTS = ("nginx", "built-in", "parsing", "processes")
LIMITS = (Limit(200, 1), Limit(50, 10))
AIR_TEMPERATURE = ROOT / "configs" / "air_temperature.toml"
PARSED = ((60_000, Limit(200, 1)), (600_000, Limit(20, 1)))
NO_HEADROOM = {"fetch.limits.headroom": "0"}

Client = Callable[[Work], AbstractContextManager[subprocess.Popen]]
FETCHER: dict[str, Client] = {
    "fetcher": fetcher,
    "fetcher, no headroom": lambda work: fetcher(changed(work, NO_HEADROOM)),
}
CLIENTS: dict[str, Client] = {**FETCHER, **{name: partial(peer, name) for name in PEERS}}


def changed(work: Work, sets: dict[str, str]) -> Work:
    return Work(work.url, work.rate, work.seconds, {**work.sets, **sets}, work.job)


def air_temperature(size: int) -> bytes:
    """A day of readings of about so many bytes."""
    from fetcher.testing.air_temperature import day_body

    whole = msgspec.json.decode(day_body(date(2019, 4, 15), 1))
    each = len(msgspec.json.encode(whole["items"])) / len(whole["items"])
    return msgspec.json.encode({**whole, "items": whole["items"][: int(size / each)]})


def compare(
    options: argparse.Namespace,
    limit: Limit,
    serve: Callable[[], AbstractContextManager[Nginx] | AbstractContextManager[BuiltIn]],
    job: Path | None = None,
) -> None:
    """One table: a line a client, each against a fresh server."""
    clients = {name: client for name, client in (FETCHER if job else CLIENTS).items() if options.client in name}
    seen: dict[str, list[Seen]] = {name: [] for name in clients}
    for _ in range(options.rounds):
        for name, client in clients.items():
            try:
                with serve() as server, client(Work(server.url, limit.rate, options.seconds, job=job)) as process:
                    seen[name].append(measured(server, process, options.seconds))
            except Missing:
                pass
    for name, found in seen.items():
        print(f"  {name:24}", line(found, limit.rate) if found else "is not installed", flush=True)


def line(seen: list[Seen], rate: int) -> str:
    """`98.8 %   0.0 rejected per 1,000`, with what lies between the least and the most."""
    shares = [100 * one.share(rate) for one in seen]
    refused = [one.rejected_per_1000 for one in seen]
    told = f"{statistics.median(shares):6.2f} % {statistics.median(refused):8.1f} rejected per 1,000"
    if len(seen) == 1:
        return told
    return f"{told}   ({min(shares):.2f} to {max(shares):.2f} %, {min(refused):.1f} to {max(refused):.1f})"


def by_nginx(options: argparse.Namespace) -> None:
    for limit in LIMITS:
        print(f"nginx, limit_req rate={limit.rate}r/s burst={limit.burst} nodelay, {options.seconds:g} s")
        compare(options, limit, partial(nginx, limit))


def by_built_in(options: argparse.Namespace) -> None:
    for limit in LIMITS:
        print(f"built-in server, {leaky(limit)}, {options.seconds:g} s")
        compare(options, limit, partial(built_in, leaky(limit)))


def parsing(options: argparse.Namespace) -> None:
    """Answers that take long to parse, by a function of the job's own in worker processes."""
    for size, limit in PARSED:
        server = "nginx" if nginx_program() else "built-in server"
        print(f"{server}, {size // 1000} kB an answer to parse, {limit.rate} a second, {options.seconds:g} s")
        if nginx_program():
            compare(options, limit, partial(nginx, limit, air_temperature(size)), AIR_TEMPERATURE)
        else:
            step = "15" if size < 100_000 else "1"
            compare(options, limit, partial(built_in, leaky(limit), "--step", step), AIR_TEMPERATURE)


def processes(options: argparse.Namespace) -> None:
    print(f"{AT_ONCE} processes that share {RATE} a second, built-in server, {options.seconds:g} s")
    cases = {"all live": (False, False), "one is killed": (True, False), "killed, started again": (True, True)}
    for name, (is_killed, is_back) in cases.items():
        seen = [four(options.seconds, is_killed, is_back) for _ in range(options.rounds)]
        share = 100 * statistics.median(one.share(RATE) for one in seen)
        exceeded = sum(one.rejected for one in seen)
        accepted = sum(one.accepted for one in seen)
        print(f"  {name:24} {share:6.2f} % {exceeded:8} windows exceeded in {accepted:,} requests", flush=True)


def install_peers() -> None:
    """Put the throw-away extra `bench` where this runs, if it is not there."""
    if all(importlib.util.find_spec(name) for name in ("aiolimiter", "scrapy")):
        return
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["bench"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    uv = ["uv", "pip", "install", "--quiet", "--python", sys.executable]
    if subprocess.run([*(uv if which("uv") else pip), *extras], check=False).returncode:
        print("the peers could not be installed: fetcher alone is measured")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", choices=PARTS, action="append")
    parser.add_argument("--client", default="", help="only those with this in their name")
    options = parser.parse_args()
    wanted = options.only or PARTS
    install_peers()
    if "nginx" in wanted:
        if nginx_program():
            by_nginx(options)
        else:
            print("nginx is not here: the built-in server stands alone (Debian: apt-get install nginx-light)")
    for name, part in {"built-in": by_built_in, "parsing": parsing, "processes": processes}.items():
        if name in wanted:
            part(options)


if __name__ == "__main__":
    main()
