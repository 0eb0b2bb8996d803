"""X01 over real sockets: origins x statuses x hops x places where a credential can stand; nothing arrives elsewhere.

The strangers of this matrix are on loopback, where no stranger is connected to: here the check of addresses lets them,
so that what is sent to them can be seen. That it is held otherwise, the last tests show.
"""

import asyncio
import base64
import itertools
import random
import socket
import time
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import quote

import pytest

from fetcher.compose.request import compose
from fetcher.errors import Refused
from fetcher.fetch.client import Client
from fetcher.fetch.guard import check_public
from fetcher.fetch.retries import Retries
from fetcher.job.sections import Fetch
from fetcher.model import Row
from fetcher.tally import Tally

CANARY = "c4n4ry-s3cret"
FORMS = {CANARY, quote(CANARY), base64.b64encode(CANARY.encode()).decode().rstrip("=")[:-1], base64.b64encode(
    f"{CANARY}:{CANARY}".encode()).decode()[:-2]}  # fmt: skip
PLACES: dict[str, dict[str, Any]] = {
    "header": {"auth": {"kind": "header", "name": "X-Api-Key", "value": CANARY}},
    "query": {"auth": {"kind": "query", "parameter": "key", "value": CANARY}},
    "bearer": {"auth": {"kind": "bearer", "token": CANARY}},
    "basic": {"auth": {"kind": "basic", "user": CANARY, "password": CANARY}},
    "token": {"auth": {"kind": "request", "token_url": "/token", "token_path": "t", "method": "GET", "prefix": ""}},
    "keys": {"auth": {"kind": "bearer", "keys": [CANARY, f"{CANARY}-2"]}},
    "cookie": {"headers": {"Cookie": f"session={CANARY}"}},
    "own header": {"headers": {"X-Tenant": CANARY, "Authorization": f"Digest {CANARY}", "Proxy-Authorization": CANARY}},
    "own query": {"query": {"api_key": CANARY}},
    "body": {"method": "POST", "json": {"key": CANARY}},
}
STATUSES = (301, 302, 303, 307, 308)
WAYS = {
    "away": ("away",),
    "home, away": ("home", "away"),
    "away, home": ("away", "home"),
    "away, other": ("away", "other"),
    "home, home": ("home", "home"),
    "other": ("other",),
}
"""Through which servers a chain leads. `away` is another port of the same host, `other` another name of it."""


class Servers:
    """Three servers, and all bytes that came to each; every one of them redirects along the chain, then answers."""

    def __init__(self):
        self.urls: dict[str, str] = {}
        self.heard: dict[str, list[bytes]] = {"home": [], "away": [], "other": []}
        self.chain, self.status, self.is_echoing = [], 302, False

    def answer_to(self, target):
        if target.startswith("/token"):
            body = f'{{"t":"{CANARY}"}}'.encode()
            return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        if not self.chain:
            return b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\n{}"
        query = target.partition("?")[2] if self.is_echoing else ""
        location = f"{self.urls[self.chain.pop(0)]}/{len(self.chain)}?{query}"
        return f"HTTP/1.1 {self.status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()

    async def serve(self, name, reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next((int(line[15:]) for line in head.split(b"\r\n") if line[:15] == b"Content-Length:"), 0)
                self.heard[name].append(head + await reader.readexactly(length))
                writer.write(self.answer_to(head.split()[1].decode()))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@pytest.fixture
async def servers():
    made, opened = Servers(), []
    for name, host in (("home", "127.0.0.1"), ("away", "127.0.0.1"), ("other", "localhost")):

        async def serve(reader, writer, name=name):
            await made.serve(name, reader, writer)

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        opened.append(server)
        made.urls[name] = f"http://{host}:{server.sockets[0].getsockname()[1]}"
    yield made
    for server in opened:
        server.close()


@asynccontextmanager
async def asking(servers, place, check=lambda address: None, **more):
    """The client of a job whose credential stands in that place, and its request."""
    settings = Fetch(base_url=servers.urls["home"], url="/v1", **PLACES[place], **more)
    retries = Retries(settings.retries, random.Random(0), time.time)
    secrets = {CANARY} | (settings.auth.secrets() if settings.auth else set())
    async with Client(settings, None, retries, Tally(), secrets=secrets, check=check) as client:
        yield client, compose(settings, Row("1", {}))


def leaks(heard):
    return [form for form in FORMS for head in heard if form.encode() in head]


MATRIX = list(itertools.product(PLACES, STATUSES, WAYS))


def test_the_matrix_is_large():
    assert len(MATRIX) == 300


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("is_echoing", [False, True], ids=["", "the server repeats the query"])
async def test_x01_no_credential_reaches_another_origin(servers, place, is_echoing):
    """0 of so many combinations: neither in a header, a cookie, a query, a body, nor after the chain came back."""
    servers.is_echoing = is_echoing
    arrived = 0
    async with asking(servers, place) as (client, request):
        for status, way in itertools.product(STATUSES, WAYS):
            servers.chain, servers.status = list(WAYS[way]), status
            for heard in servers.heard.values():
                heard.clear()
            with suppress(Refused):  # a body, or a query with the key in it, that was to go elsewhere
                await client.fetch(request)
            away = servers.heard["away"] + servers.heard["other"]
            arrived += len(away)
            assert leaks(away) == [], (status, way)
            assert not any(b"a=b" in head for head in away), "a cookie that a server has set"
            assert leaks(servers.heard["home"]), "at home it is shown"
            if way == "away, home":
                assert leaks(head for head in servers.heard["home"] if head.startswith((b"GET /0", b"POST /0"))) == []
    if not (is_echoing and place in ("query", "own query")):
        assert arrived >= 18, "or else this says nothing"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_x01_a_host_that_the_job_lists_gets_the_credential(servers, place, status):
    """The other half: what is allowed arrives."""
    servers.chain, servers.status = ["away"], status
    async with asking(servers, place, allowed_hosts=[servers.urls["away"]]) as (client, request):
        await client.fetch(request)
    is_lost = place == "own query" or (place == "body" and status in (301, 302, 303))
    assert bool(leaks(servers.heard["away"])) != is_lost


@pytest.mark.parametrize("to", ["away", "other"])
async def test_x04_a_stranger_on_an_address_of_our_own_is_not_connected_to(servers, to):
    """By number and by name: what the name leads to is what counts."""
    servers.chain = [to]
    async with asking(servers, "bearer", check_public) as (client, request):
        with pytest.raises(Refused, match="is not an address of the public internet"):
            await client.fetch(request)
    assert servers.heard[to] == []


@pytest.mark.parametrize(
    "host",
    ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost", "0"],
)
async def test_x04_however_an_address_is_written(servers, host):
    """What the system's resolver makes of it is what is looked at; what only some resolvers understand is no host."""
    port = servers.urls["away"].rpartition(":")[2]
    servers.urls["odd"], servers.chain = f"http://{host}:{port}", ["odd"]
    async with asking(servers, "bearer", check_public, retries={"attempts": 1}) as (client, request):
        with pytest.raises(Refused, match=NOWHERE):
            await client.fetch(request)
    assert servers.heard["away"] == []


NOWHERE = r"is not an address of the public internet|is not a canonical IPv4 address"


@pytest.mark.parametrize("check", [None, check_public])
async def test_x05_the_address_that_was_checked_is_the_one_that_is_connected_to(servers, monkeypatch, check):
    """A name that leads to another address the next time has no next time: it is looked up once for a connection."""
    checked: list[str] = []
    port = int(servers.urls["away"].rpartition(":")[2])
    addresses = iter(["127.0.0.1", "93.184.215.14"])

    async def getaddrinfo(*_, **__):
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(addresses), port))]

    servers.urls["name"], servers.chain = f"http://rebound.example:{port}", ["name"]
    async with asking(servers, "bearer", check or checked.append) as (client, request):
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
        if check:
            with pytest.raises(Refused, match=r"127\.0\.0\.1 is not an address of the public internet"):
                await client.fetch(request)
        else:
            await client.fetch(request)
    assert next(addresses) == "93.184.215.14"
    assert (checked, len(servers.heard["away"])) == (([], 0) if check else (["127.0.0.1"], 1))
