"""Group N of the fault catalogue: what networks do to a request, over real sockets."""

import asyncio
import json
import random
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import asynccontextmanager

import pytest

from fetcher.errors import ApiDown, GaveUp
from fetcher.fetch.cache import Cache
from fetcher.fetch.client import Client
from fetcher.fetch.retries import Retries
from fetcher.job.sections import Fetch
from fetcher.model import Request
from fetcher.tally import Tally
from fetcher.testing.server import Server, ServerOptions

UNLIMITED = ServerOptions(limit=None)
ROW = "/v1/rows?id=7"
SOON = {"attempts": 3, "first_wait": "1 ms"}


@pytest.fixture
def client_that_sleeps():
    """`async with client_that_sleeps(url, sleep, **fetch section)`: a client whose waits are what the test says."""

    @asynccontextmanager
    async def opened(base_url, sleep, **section):
        settings, tally = Fetch(base_url=base_url, url="/", **section), Tally()
        async with Client(settings, None, Retries(settings.retries, random.Random(0), time.time, sleep), tally) as one:
            yield one, tally

    return opened


async def test_n01_refused_twice_and_then_well_takes_three_connects(client_that_sleeps):
    """Nobody listens until the second wait: the third attempt is answered, after two jittered waits."""
    waits: list[float] = []
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))

        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
            await writer.drain()
            writer.close()

        async def sleep(seconds):
            waits.append(seconds)
            if len(waits) == 2:
                servers.append(await asyncio.start_server(answer, sock=bound))

        servers: list[asyncio.Server] = []
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        async with client_that_sleeps(url, sleep, retries={"attempts": 5, "first_wait": "1 s"}) as (client, tally):
            fetched = await client.fetch(Request("GET", f"{url}/"))
        assert (fetched.attempts, tally.requests) == (3, 3)
        assert all(0 < wait <= most for wait, most in zip(waits, (1.0, 2.0), strict=True))
        servers[0].close()


@pytest.mark.parametrize("trouble", [socket.EAI_AGAIN, socket.EAI_NONAME])
async def test_n02_a_name_that_is_not_found_is_a_connection_that_fails(client_of, monkeypatch, trouble):
    """A resolver's bad moment is retried; where it lasts from the beginning on, the run ends, not its rows."""
    asked: list[str] = []
    whole = socket.getaddrinfo

    def resolver(host, *arguments, **named):
        asked.append(host)
        if trouble != socket.EAI_AGAIN or len(asked) == 1:
            raise socket.gaierror(trouble, "the resolver says no")
        return whole("127.0.0.1", *arguments, **named)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    async with Server(UNLIMITED) as server:
        url = f"http://api.example:{server.port}"
        async with client_of(url, retries=SOON) as (client, tally):
            if trouble == socket.EAI_AGAIN:
                assert (await client.fetch(Request("GET", url + ROW))).attempts == 2
            else:
                with pytest.raises(ApiDown, match=r"no connection: the resolver says no; 3 attempts"):
                    await client.fetch(Request("GET", url + ROW))
                assert tally.requests == 3
    assert set(asked) == {"api.example"}


async def test_n03_a_connection_that_never_opens_ends_at_the_connect_timeout(client_of, monkeypatch):
    """Not at the timeout of the attempt, which is far longer; and nothing counts as sent."""
    monkeypatch.setattr("fetcher.fetch.wire.CONNECT_TIMEOUT_S", 0.1)
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        url = f"http://127.0.0.1:{full.getsockname()[1]}"
        try:
            async with client_of(url, timeout="1 h", retries={"attempts": 1, "first_wait": "1 ms"}) as (client, _):
                with pytest.raises(ApiDown, match="no connection in time"):
                    await client.fetch(Request("GET", f"{url}/"))
        finally:
            for one in waiting:
                one.close()


BROKEN = [
    *("half-body-then-silence", "headers-then-silence", "drip;every_s=0.05", "drip-headers;every_s=0.05"),
    *("endless-chunks", "cut", "cut-by-reset", "chunks-without-end", "bad-chunk", "close", "reset"),
]


async def broken_once_and_for_good(client_of, tmp_path, fault):
    """A row that is answered at the second attempt, and one that never is; what the cache holds then."""
    async with Server(UNLIMITED) as server, Cache(tmp_path / "cache.sqlite") as cache:
        once, always = (f"{server.url}/fault/{fault}{when}{ROW}" for when in (";times=1", ""))
        # One slot: whoever does not give it back hangs the row behind it.
        limits = {"concurrency": 1}
        async with client_of(server.url, cache, timeout="0.2 s", limits=limits, retries=SOON) as (client, _):
            fetched = await client.fetch(Request("GET", once))
            assert fetched.attempts == 2
            assert fetched.response.body == (await client.fetch(Request("GET", server.url + ROW))).response.body
            with pytest.raises(GaveUp, match="3 attempts") as given_up:
                await client.fetch(Request("GET", always))
            assert cache.find(Request("GET", always).key, 0.0) is None
            assert await client.fetch(Request("GET", f"{server.url}/v1/rows?id=8"))
        return str(given_up.value)


@pytest.mark.parametrize("fault", BROKEN[:2])
async def test_n05_silence_amid_an_answer_ends_the_attempt(client_of, tmp_path, fault):
    """Nothing of it is kept; the next attempt brings the whole; the slot is free again."""
    assert "no answer within 0.2 s" in await broken_once_and_for_good(client_of, tmp_path, fault)


@pytest.mark.parametrize("fault", BROKEN[2:5])
async def test_n06_an_answer_that_drips_for_ever_is_ended_by_the_deadline(client_of, tmp_path, fault):
    """Bytes that keep coming renew nothing: the attempt has one deadline."""
    assert "no answer within 0.2 s" in await broken_once_and_for_good(client_of, tmp_path, fault)


@pytest.mark.parametrize("fault", BROKEN[5:])
async def test_n07_an_answer_that_is_cut_is_no_answer(client_of, tmp_path, fault):
    """By a reset, before its announced length, without its last chunk: asked for again, no part is kept."""
    assert "no answer within" not in await broken_once_and_for_good(client_of, tmp_path, fault)


async def test_n08_a_body_that_ends_with_the_connection_is_whole_or_not(client_of):
    """Nothing on the wire tells a cut one; parsing does, and the story of that row is in test_server_semantics."""
    async with Server(UNLIMITED) as server, client_of(server.url) as (client, tally):
        whole = (await client.fetch(Request("GET", f"{server.url}/fault/close-delimited{ROW}"))).response.body
        assert whole == (await client.fetch(Request("GET", server.url + ROW))).response.body
        assert tally.retries == 0


def certificate(folder, name, days):
    """A certificate that signs itself, for a name and so many days from now, in `cert.pem` and `key.pem`."""
    (folder / "names").write_text(f"subjectAltName = {name}\n")
    for step in (
        "req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=test -keyout key.pem -out asked",
        f"x509 -req -in asked -signkey key.pem -days {days} -extfile names -out cert.pem",
    ):
        subprocess.run(["openssl", *step.split()], cwd=folder, check=True, capture_output=True)


@asynccontextmanager
async def speaking_tls(folder):
    """A server with the certificate in `folder`; what it notes are the bytes that it could decrypt."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    heard: list[bytes] = []

    async def listen(reader, writer):
        heard.append(await reader.read(1))
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard
    finally:
        server.close()


@pytest.mark.skipif(not shutil.which("openssl"), reason="the openssl program makes the certificates")
@pytest.mark.parametrize(
    ("name", "days", "is_trusted", "reason"),
    [
        ("IP:127.0.0.1", 9, False, "self.signed certificate"),
        ("IP:127.0.0.1", 0, True, "certificate has expired"),
        ("DNS:other.example", 9, True, "not valid for '127.0.0.1'"),
    ],
    ids=["self-signed", "expired", "wrong name"],
)
async def test_n09_a_certificate_that_is_no_good_is_asked_once(
    client_of, tmp_path, monkeypatch, name, days, is_trusted, reason
):
    """One handshake, no byte of the request, and the reason; no other row would fare better, so the run ends."""
    certificate(tmp_path, name, days)
    if is_trusted:
        trusting = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    async with speaking_tls(tmp_path) as (url, heard), client_of(url) as (client, tally):
        with pytest.raises(ApiDown, match=f"TLS.*{reason}"):
            await client.fetch(Request("GET", f"{url}/secret"))
        assert tally.requests == 1
        assert b"".join(heard) == b""


async def test_n10_a_handshake_that_stalls_is_a_connection_that_fails(client_of, speaking):
    """It has the connect timeout, and is tried again; as nobody ever answered, the run ends."""

    async def never_asked(number, head, writer):
        raise AssertionError("no request can come before the handshake")

    async with speaking(never_asked) as (plain, asked):
        url = plain.replace("http:", "https:")
        async with client_of(url, timeout="0.1 s", retries=SOON) as (client, tally):
            with pytest.raises(ApiDown, match="3 attempts"):
                await client.fetch(Request("GET", f"{url}/"))
            assert (tally.requests, asked) == (3, [])


@pytest.mark.parametrize("is_first_dead", [True, False])
async def test_n12_of_two_addresses_one_that_is_a_black_hole_is_passed(client_of, monkeypatch, is_first_dead):
    """The second address is tried before the first one's timeout; one attempt, answered."""
    whole = socket.getaddrinfo
    with socket.socket() as full:
        full.bind(("127.0.0.2", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(full.getsockname())

        def resolver(host, *arguments, **named):
            addresses = ["127.0.0.2", "127.0.0.1"] if is_first_dead else ["127.0.0.1", "127.0.0.2"]
            return [found for address in addresses for found in whole(address, *arguments, **named)]

        monkeypatch.setattr(socket, "getaddrinfo", resolver)
        try:
            async with Server(ServerOptions(limit=None, port=port)) as server:
                url = f"http://api.example:{server.port}"
                async with client_of(url, timeout="9 s") as (client, _):
                    assert (await client.fetch(Request("GET", url + ROW))).attempts == 1
        finally:
            for one in waiting:
                one.close()


async def test_n14_a_fifth_of_bad_connections_costs_a_third_more_at_most(client_of):
    """Resets and errors for a fifth of all requests, by chance: every row is there in the end."""
    numbers, bodies = iter(range(1000)), {}
    async with Server(UNLIMITED) as server:
        async with client_of(server.url, limits={"concurrency": 8}) as (client, tally):

            async def carry():
                for number in numbers:
                    url = f"{server.url}/fault/random-errors;share=0.2;times=1/v1/rows?id={number}"
                    bodies[number] = (await client.fetch(Request("GET", url))).response.body

            await asyncio.gather(*(carry() for _ in range(24)))
        assert {number: json.loads(body)["id"] for number, body in bodies.items()} == {n: n for n in range(1000)}
        assert 1.15 <= tally.requests / 1000 <= 1.3
        assert server.stats()["requests"] == tally.requests


async def test_n04_a_slot_is_free_again_however_an_attempt_ends(client_of, speaking):
    """Cancelled while connecting, while waiting for an answer, or amid its body: the next request leaves."""

    arrived = asyncio.Event()

    async def answer(number, head, writer):
        arrived.set()
        if b"/silent" in head:
            await asyncio.Event().wait()
        elif b"/half" in head:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with speaking(answer) as (url, asked), client_of(url, limits={"concurrency": 1}) as (client, _):
        for path in ("/silent", "/half"):
            asking = asyncio.create_task(client.fetch(Request("GET", url + path)))
            await arrived.wait()
            arrived.clear()
            queued = asyncio.create_task(client.fetch(Request("GET", f"{url}/queued")))
            await asyncio.sleep(0)
            queued.cancel()
            asking.cancel()
            await asyncio.wait({asking, queued})
            assert (await client.fetch(Request("GET", f"{url}/after"))).response.status == 200
            arrived.clear()
        assert len(asked) == 4
