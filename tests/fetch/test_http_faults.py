"""Group H of the fault catalogue: answers that bend or break HTTP, over real sockets. Hints are in test_hints."""

import asyncio
import json

import pytest

from fetcher.errors import GaveUp, Refused
from fetcher.fetch.cache import Cache
from fetcher.model import Request
from fetcher.testing.server import Server, ServerOptions

UNLIMITED = ServerOptions(limit=None)
TWICE = {"attempts": 2, "first_wait": "1 ms"}
ROW = "/v1/rows?id=7"
BODY = {"id": 7, "items": [{"id": 7, "value": 51}]}


def faulty(server, fault):
    """A request for a row that meets the fault."""
    return Request("GET", f"{server.url}/fault/{fault}{ROW}")


async def is_well(client, server):
    """Whether the client can still talk to the server, over a connection that carries nothing but its own answer."""
    fetched = await client.fetch(Request("GET", f"{server.url}/v1/rows?id=8"))
    return json.loads(fetched.response.body)["id"] == 8


async def met(client_of, tmp_path, fault):
    """The error of a row that meets the fault, how often it was asked for; nothing of it is kept."""
    async with (
        Server(UNLIMITED) as server,
        Cache(tmp_path / "cache.sqlite") as cache,
        client_of(server.url, cache, retries=TWICE, limits={"concurrency": 1}) as (client, _),
    ):
        request = faulty(server, fault)
        with pytest.raises((GaveUp, Refused)) as error:
            await client.fetch(request)
        assert cache.find(request.key, 0.0) is None
        asked = server.stats()["requests"]
        assert await is_well(client, server)
    return error.value, asked


@pytest.mark.parametrize(
    ("fault", "requests", "said"),
    [
        ("redirect-loop", 1, "goes round"),
        ("redirect-chain;hops=6", 6, "no more than 5 are followed"),
        ("redirect-chain;hops=11", 6, "no more than 5 are followed"),
        ("redirect-nowhere", 1, "name the final address in the job"),
        ("redirect-to-file", 1, "'file:' is neither http nor https"),
        ("redirect-userinfo", 1, "names a user"),
        ("redirect-private", 2, "169.254.169.254 is not an address of the public internet"),
        ("redirect-other-port", 2, "127.0.0.1 is not an address of the public internet"),
        ("redirect-other-host", 2, "is not an address of the public internet"),
    ],
)
async def test_h14_a_redirect_that_leads_nowhere_ends_the_row(client_of, tmp_path, fault, requests, said):
    """Refused for good, after five hops at most; what was not connected to was counted, and never arrived."""
    async with (
        Server(UNLIMITED) as server,
        Cache(tmp_path / "cache.sqlite") as cache,
        client_of(server.url, cache) as (client, tally),
    ):
        with pytest.raises(Refused, match=said):
            await client.fetch(faulty(server, fault))
        assert tally.requests == requests
        assert server.stats()["requests"] == min(requests, 6) - (said.endswith("public internet"))


async def test_h14_five_hops_are_followed(client_of):
    """Each of them is a request that counts; the answer's address is the last one."""
    async with Server(UNLIMITED) as server, client_of(server.url) as (client, tally):
        fetched = await client.fetch(faulty(server, "redirect-chain;hops=5"))
        assert fetched.response.url.startswith(f"{server.url}/v1/")
        assert fetched.attempts == tally.requests == server.stats()["requests"] == 6
        assert tally.retries == 0


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
async def test_h15_a_post_is_redirected_as_its_status_says(client_of, speaking, status, method):
    """301, 302 and 303 ask for the result, without the body; 307 and 308 send the same thing again."""

    async def answer(number, head, writer):
        moved = f"HTTP/1.1 {status} Moved\r\nLocation: /v2?a=1#part\r\nContent-Length: 0\r\n\r\n".encode()
        writer.write(moved if number == 1 else b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async with speaking(answer) as (url, asked), client_of(url) as (client, _):
        headers = (("X-Tenant", "t"), ("Content-Type", "application/json"))
        fetched = await client.fetch(Request("POST", f"{url}/v1", headers, b"{}"))
        assert fetched.response.url == f"{url}/v2?a=1"
    second = asked[1].removeprefix(b"{}").decode()
    assert second.startswith(f"{method} /v2?a=1 HTTP/1.1")
    assert "X-Tenant: t" in second
    assert ("Content-Type" in second) == ("Content-Length: 2" in second) == (method == "POST")


async def test_h16_not_modified_is_no_answer_where_nothing_was_said_to_be_there(client_of, tmp_path):
    """304 to a request without a condition: asked once more, and no row is settled by it."""
    error, asked = await met(client_of, tmp_path, "not-modified")
    assert (type(error), asked) == (GaveUp, 2)
    async with Server(UNLIMITED) as server, client_of(server.url, retries=TWICE) as (client, _):
        assert json.loads((await client.fetch(faulty(server, "not-modified;times=1"))).response.body) == BODY


@pytest.mark.parametrize(
    ("fault", "kind", "requests"), [("partial-content", GaveUp, 2), ("range-not-satisfiable", Refused, 1)]
)
async def test_h17_part_of_an_answer_is_no_answer(client_of, tmp_path, fault, kind, requests):
    """206 may be whole next time; 416 answers what was not asked."""
    error, asked = await met(client_of, tmp_path, fault)
    assert (type(error), asked) == (kind, requests)


async def test_h18_a_captive_portal_says_nothing_of_the_row(client_of, tmp_path):
    """511 comes from the network, not from the API: the next run asks again, and nothing is kept."""
    error, asked = await met(client_of, tmp_path, "network-authentication")
    assert (type(error), asked) == (GaveUp, 1)


BAD_GRAMMAR = [
    *("garbage-status-line", "not-http", "http-0-9", "conflicting-lengths", "length-and-chunked", "negative-length"),
    *("bare-cr", "nul-in-header", "nameless-header"),
]


@pytest.mark.parametrize("fault", BAD_GRAMMAR)
async def test_h19_what_is_no_http_is_rejected(client_of, tmp_path, fault):
    """A bounded error of that row, and the connection is not used again."""
    error, asked = await met(client_of, tmp_path, fault)
    assert (type(error), asked) == (GaveUp, 2)
    assert len(str(error)) < 500
    assert "\n" not in str(error)


@pytest.mark.parametrize("fault", ["unasked-answer", "length-too-short"])
async def test_h19_bytes_behind_an_answer_are_nobodys(client_of, fault):
    """What comes unasked on a connection is never taken for the answer to the next request."""
    async with Server(UNLIMITED) as server, client_of(server.url, limits={"concurrency": 1}) as (client, _):
        for _ in range(5):
            try:
                fetched = await client.fetch(faulty(server, fault))
                assert fetched.response.body in json.dumps(BODY, separators=(",", ":")).encode()
            except GaveUp:
                assert fault == "length-too-short"
            assert await is_well(client, server)


@pytest.mark.parametrize("fault", ["thousand-headers", "huge-header", "many-cookies"])
async def test_h20_a_head_without_measure_is_a_bounded_error(client_of, tmp_path, fault):
    """Of that row, in a message that a screen can hold."""
    error, asked = await met(client_of, tmp_path, fault)
    assert (type(error), asked) == (GaveUp, 2)
    assert len(str(error)) < 500


@pytest.mark.parametrize("fault", ["gzip-good", "gzip-members"])
async def test_h21_what_is_well_packed_is_unpacked(client_of, fault):
    """One member or two: the whole body."""
    async with Server(UNLIMITED) as server, client_of(server.url) as (client, _):
        assert json.loads((await client.fetch(faulty(server, fault))).response.body) == BODY


@pytest.mark.parametrize(
    "fault",
    [
        *("gzip-truncated", "gzip-trailing-garbage", "gzip-bad-checksum", "gzip-declared"),
        *("gzip-sixfold", "unknown-coding"),
    ],
)
async def test_h21_what_is_badly_packed_is_never_short(client_of, tmp_path, fault):
    """An error of that row, asked for again, and no part of it is kept."""
    error, asked = await met(client_of, tmp_path, fault)
    assert (type(error), asked) == (GaveUp, 2)
    assert "the answer cannot be decoded" in str(error)


async def test_h23_a_429_is_never_kept(client_of, tmp_path):
    """Whatever its Cache-Control says: the answer after it is."""
    async with (
        Server(UNLIMITED) as server,
        Cache(tmp_path / "cache.sqlite") as cache,
        client_of(server.url, cache, retries=TWICE) as (client, _),
    ):
        request = faulty(server, "cacheable-429;times=2")
        with pytest.raises(GaveUp, match="HTTP 429"):
            await client.fetch(request)
        assert cache.find(request.key, 0.0) is None
        assert (await client.fetch(request)).response.status == 200
        assert (await client.fetch(request)).attempts == 0


async def test_h27_the_real_status_rules(client_of, tmp_path):
    """A problem document that says 200, with members of the wrong types, is what its status line says: 503."""
    error, asked = await met(client_of, tmp_path, "problem-of-wrong-types")
    assert (type(error), asked) == (GaveUp, 2)
    assert "HTTP 503" in str(error)


@pytest.mark.parametrize("fault", ["connection-close", "keep-alive-lie"])
async def test_h28_connections_that_close_lose_and_double_nothing(client_of, fault):
    """Announced or not: each row is answered once, and carries its own answer."""
    async with Server(UNLIMITED) as server, client_of(server.url, limits={"concurrency": 4}) as (client, tally):
        rows = [Request("GET", f"{server.url}/fault/{fault}/v1/rows?id={number}") for number in range(60)]
        fetched = await asyncio.gather(*(client.fetch(row) for row in rows))
        assert [json.loads(one.response.body)["id"] for one in fetched] == list(range(60))
        # What is sent over a connection that is just being closed is sent again; the server never saw it.
        assert server.stats()["requests"] == 60
        assert tally.requests == 60 + tally.retries
