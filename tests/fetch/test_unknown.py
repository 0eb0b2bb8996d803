"""Which failures are tried again: what is idempotent or keyed, against what must not be carried out twice."""

import asyncio
import socket
from typing import Any

import pytest

from fetcher.errors import ApiDown, DiskFailed, GaveUp, Parked, Refused, Unknown
from fetcher.model import Request
from fetcher.testing.server import Server, ServerOptions

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
TWO_ATTEMPTS = {"attempts": 2, "first_wait": "1 ms"}
MADE = {
    "GET": ("GET", ""),
    "PUT": ("PUT", ""),
    "DELETE": ("DELETE", ""),
    "POST with a key": ("POST", "some-key"),
    "POST": ("POST", ""),
    "PATCH": ("PATCH", ""),
}
REPEATABLE = [name for name in MADE if name not in ("POST", "PATCH")]
ONCE = ["POST", "PATCH"]


class Intend:
    """Counts how often it was asked, and how many requests the server had seen at that time."""

    def __init__(self, asked) -> None:
        self.asked = asked
        self.seen: list[int] = []

    async def __call__(self) -> None:
        await asyncio.sleep(0)
        self.seen.append(len(self.asked))


def made(name: str, url: str, asked=()) -> tuple[Request, Any]:
    """A request of that kind, and what is done before it leaves."""
    method, key = MADE[name]
    request = Request(method, f"{url}/", idempotency_key=key)
    return request, None if request.is_repeatable else Intend(asked)


def told(status: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} So", *headers, "Content-Length: 0", "", ""]
    return "\r\n".join(lines).encode()


async def reset(writer) -> None:
    writer.transport.abort()


async def close(writer) -> None:
    writer.close()


async def stay_silent(writer) -> None:
    await asyncio.Event().wait()


async def cut(writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    await writer.drain()
    writer.close()


async def garble(writer) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")


async def damage(writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope")


LOST = [reset, close, stay_silent, cut, garble, damage]


def first(deed):
    """A server that does that to the first request and answers the others."""

    async def answer(number, head, writer):
        if number == 1:
            await deed(writer)
        else:
            writer.write(OK)

    return answer


@pytest.mark.parametrize("name", REPEATABLE)
@pytest.mark.parametrize("deed", LOST)
async def test_n04_an_answer_that_was_lost_is_asked_for_again(client_of, speaking, name, deed):
    """Where a second request does no more than the first."""
    async with speaking(first(deed)) as (url, asked), client_of(url, timeout="0.3 s") as (client, _):
        request, _ = made(name, url)
        assert (await client.fetch(request)).attempts == 2
        assert len(asked) == 2


@pytest.mark.parametrize("name", ONCE)
@pytest.mark.parametrize("deed", LOST)
async def test_n04_what_may_have_been_carried_out_is_unknown_and_not_repeated(client_of, speaking, name, deed):
    """The server saw one request, whatever became of its answer; it was on record before that."""
    async with speaking(first(deed)) as (url, asked), client_of(url, timeout="0.3 s") as (client, _):
        request, intend = made(name, url, asked)
        with pytest.raises(Unknown, match="only the server knows whether it was carried out") as caught:
            await client.fetch(request, intend=intend)
        assert (len(asked), caught.value.attempts) == (1, 1)
        assert intend.seen == [0]


@pytest.mark.parametrize("name", ONCE)
async def test_a_lost_answer_on_a_kept_connection_is_unknown_too(client_of, speaking, name):
    """aiohttp would send it again by itself; what is on record is on record before each."""

    async def answer(number, head, writer):
        if number == 1:
            writer.write(OK)
        else:
            writer.transport.abort()

    async with speaking(answer) as (url, asked), client_of(url) as (client, _):
        await client.fetch(Request("GET", f"{url}/"))
        request, intend = made(name, url, asked)
        with pytest.raises(Unknown):
            await client.fetch(request, intend=intend)
        assert len(asked) == 2
        assert intend.seen == [1]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529, 206])
async def test_a_bad_moment_is_outlasted_where_that_is_safe(client_of, speaking, status):
    """Retried with or without a wait."""
    async with speaking(first(say(told(status)))) as (url, asked), client_of(url) as (client, _):
        for number, name in enumerate(REPEATABLE[:1] + REPEATABLE[3:], start=1):
            asked.clear()
            request, _ = made(name, f"{url}/{number}")
            assert (await client.fetch(request)).attempts == len(asked) == 2


def say(answer: bytes):
    async def deed(writer) -> None:
        writer.write(answer)

    return deed


@pytest.mark.parametrize("status", [500, 502, 504, 520, 521, 522, 523, 524, 529, 206])
@pytest.mark.parametrize("name", ONCE)
async def test_an_error_behind_the_door_may_have_been_carried_out(client_of, speaking, name, status):
    """A gateway's word, or a server's that fell over half-way; a wait that it asks for changes nothing."""
    async with speaking(first(say(told(status, "Retry-After: 1")))) as (url, asked), client_of(url) as (client, _):
        request, intend = made(name, url, asked)
        with pytest.raises(Unknown, match=f"^HTTP {status}: only the server knows"):
            await client.fetch(request, intend=intend)
        assert len(asked) == 1


@pytest.mark.parametrize("status", [408, 425, 429, 503])
@pytest.mark.parametrize("name", ONCE)
async def test_what_was_turned_away_waits_for_the_next_run(client_of, speaking, name, status):
    """Not begun, so not unknown; without a wait nobody knows when to come back."""
    async with speaking(first(say(told(status)))) as (url, asked), client_of(url) as (client, _):
        request, intend = made(name, url, asked)
        with pytest.raises(GaveUp, match=f"^HTTP {status}; not repeated within this run"):
            await client.fetch(request, intend=intend)
        assert len(asked) == 1


@pytest.mark.parametrize("status", [403, 413, 429, 503])
async def test_what_was_turned_away_with_a_wait_is_sent_again(client_of, speaking, status):
    """And goes on record once, however often it is sent; a wait that is too long parks it."""
    answer = first(say(told(status, "Retry-After: 0.01")))
    async with speaking(answer) as (url, asked), client_of(url) as (client, _):
        request, intend = made("POST", url, asked)
        assert (await client.fetch(request, intend=intend)).attempts == len(asked) == 2
        assert intend.seen == [0]
    async with speaking(first(say(told(status, "Retry-After: 3600")))) as (url, asked), client_of(url) as (client, _):
        request, intend = made("POST", url, asked)
        with pytest.raises(Parked):
            await client.fetch(request, intend=intend)
        assert len(asked) == 1


@pytest.mark.parametrize("status", [400, 404, 405, 409, 410, 411, 414, 415, 422, 423, 431, 451, 501, 505])
@pytest.mark.parametrize("name", ["GET", "POST with a key", "POST"])
async def test_a_permanent_answer_is_one_for_every_method(client_of, speaking, name, status):
    """The server has said no: nothing is unknown, and nothing is sent again."""
    async with speaking(first(say(told(status)))) as (url, asked), client_of(url) as (client, _):
        request, intend = made(name, url, asked)
        with pytest.raises(Refused, match=f"^HTTP {status}"):
            await client.fetch(request, intend=intend)
        assert len(asked) == 1


@pytest.mark.parametrize("name", MADE)
async def test_a_connection_that_is_refused_is_tried_again_for_every_method(client_of, name):
    """Nothing has left, so nothing goes on record and nothing is unknown."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with client_of(url, retries=TWO_ATTEMPTS) as (client, tally):
            request, intend = made(name, url)
            with pytest.raises(ApiDown):
                await client.fetch(request, intend=intend)
            assert tally.requests == 2
            assert intend is None or intend.seen == []


@pytest.mark.parametrize("name", ONCE)
async def test_tls_that_fails_has_sent_nothing(client_of, name):
    """A server that speaks no TLS sees no request."""
    async with Server(ServerOptions(limit=None)) as server:
        url = server.url.replace("http:", "https:")
        async with client_of(url, retries=TWO_ATTEMPTS) as (client, _):
            request, intend = made(name, url)
            with pytest.raises(ApiDown, match="TLS"):
                await client.fetch(request, intend=intend)
            assert intend.seen == []


async def test_nothing_leaves_where_it_cannot_be_put_on_record(client_of, speaking):
    """A full disk ends the run before the request is sent, not after."""

    async def full() -> None:
        raise DiskFailed("no space left")

    async with speaking(first(say(OK))) as (url, asked), client_of(url) as (client, _):
        await client.fetch(Request("GET", f"{url}/"))  # so that there is a connection to be kept
        for _ in range(2):
            with pytest.raises(DiskFailed):
                await client.fetch(Request("POST", f"{url}/"), intend=full)
        assert len(asked) == 1


async def test_s09_every_attempt_carries_the_same_key(client_of, speaking):
    """As a structured string (draft-ietf-httpapi-idempotency-key-header): how else would the server know it again."""
    async with speaking(first(reset)) as (url, asked), client_of(url) as (client, _):
        await client.fetch(Request("POST", f"{url}/", idempotency_key="some-key"))
        lines = [line for head in asked for line in head.decode().split("\r\n") if "idempotency" in line.lower()]
        assert lines == ['Idempotency-Key: "some-key"'] * 2


async def test_a_body_goes_over_the_wire_as_it_was_composed(client_of, speaking):
    """With its length and its type; an empty one has none."""
    bodies = []

    async def answer(number, head, writer):
        bodies.append(head)
        writer.write(OK)

    async with speaking(answer) as (url, asked), client_of(url) as (client, _):
        body = b'{"a":1}\r\n\r\n'  # so that the server, which reads up to an empty line, has it too
        await client.fetch(Request("POST", f"{url}/", (("Content-Type", "application/json"),), body))
        lines = asked[0].decode().split("\r\n")
        assert lines[0] == "POST / HTTP/1.1"
        assert f"Content-Length: {len(body)}" in lines
        assert "Content-Type: application/json" in lines


async def test_what_was_turned_away_is_not_lost_when_a_run_ends(speaking, client_of):
    """It would wait for ever for another attempt, on record as sent; so it says that it is to be asked again."""
    clients: list[Any] = []

    async def answer(number, head, writer):
        clients[0].halt()
        writer.write(told(503, "Retry-After: 1"))

    async with speaking(answer) as (url, asked), client_of(url) as (client, _):
        clients.append(client)
        request, intend = made("POST", url, asked)
        async with asyncio.timeout(20):
            with pytest.raises(Parked, match="turned away"):
                await client.fetch(request, intend=intend)
    assert len(asked) == 1


async def test_who_waits_for_another_turn_is_told_that_a_run_ends(speaking, client_of):
    """Another request has the only slot, and does not give it back."""
    clients: list[Any] = []
    held: list[asyncio.Future[Any]] = []

    async def answer(number, head, writer):
        if head.startswith(b"GET"):
            clients[0].halt()
            await asyncio.Event().wait()
        held.append(asyncio.ensure_future(clients[0].fetch(made("GET", url)[0])))
        for _ in range(100):  # until it waits for the slot
            await asyncio.sleep(0)
        writer.write(told(503, "Retry-After: 1"))

    one_slot = {"concurrency": 1, "adaptive": False}
    async with speaking(answer) as (url, asked), client_of(url, limits=one_slot) as (client, _):
        clients.append(client)
        request, intend = made("POST", url, asked)
        async with asyncio.timeout(20):
            with pytest.raises(Parked, match="turned away"):
                await client.fetch(request, intend=intend)
        held[0].cancel()
        await asyncio.gather(*held, return_exceptions=True)
    assert [head.split()[0] for head in asked] == [b"POST", b"GET"]
