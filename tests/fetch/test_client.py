import asyncio
import re
import socket
import time
from contextlib import suppress
from datetime import date

import pytest

from fetcher.errors import ApiDown, GaveUp, NotKept, Parked
from fetcher.fetch.cache import Cache
from fetcher.fetch.sources import Source
from fetcher.fetch.windows import CATCH_UP, UNEVEN
from fetcher.model import Request
from fetcher.testing.air_temperature import day_body
from fetcher.testing.server import Server, ServerOptions

UNLIMITED = ServerOptions(limit=None)
ONE_ATTEMPT = {"attempts": 1, "first_wait": "1 ms"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def day_of(url, day):
    return Request("GET", f"{url}/v1/environment/air-temperature?date={day}")


def normal(day):
    return day_body(date.fromisoformat(day), 60)


async def never(sleeping):
    """Stands in for a server's own waiting: it never ends by itself."""
    if sleeping:
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("day", "attempts", "statuses"),
    [
        ("2019-04-25", 3, {"200": 1, "500": 2}),
        ("2019-04-27", 2, {"200": 1, "504": 1}),
        ("2019-06-10", 2, {"200": 1, "429": 1}),
        ("2019-06-11", 3, {"200": 1, "429": 2}),
        ("2019-05-03", 2, {"200": 1}),
        ("2019-05-09", 2, {"200": 1, "cut": 1}),
        ("2019-05-20", 2, {"200": 1, "reset": 1}),
    ],
)
async def test_a_fault_that_passes_is_outlasted(client_of, sleeps, day, attempts, statuses):
    """Errors, throttling, silence, half a body, a reset: the whole answer in the end, one request for each attempt."""
    section = {"timeout": "0.25 s"} if day == "2019-05-03" else {}
    async with Server(UNLIMITED, sleep=never) as server, client_of(server.url, **section) as (client, tally):
        fetched = await client.fetch(day_of(server.url, day))
        assert fetched.response.body == normal(day)
        assert (fetched.attempts, tally.requests, tally.retries) == (attempts, attempts, attempts - 1)
        assert server.stats()["by_date"] == {day: attempts}
        assert server.stats()["by_status"] == statuses
    assert len(sleeps) == attempts - 1


async def test_a_fault_that_stays_is_given_up(client_of):
    """As many requests as attempts; the reason is the server's last word."""
    async with Server(UNLIMITED) as server, client_of(server.url) as (client, _):
        with pytest.raises(GaveUp, match=r"^HTTP 500 .*Internal Server Error.*; 5 attempts$") as caught:
            await client.fetch(day_of(server.url, "2019-04-29"))
        assert caught.value.attempts == server.stats()["requests"] == 5


async def test_silence_has_a_reason_that_names_the_timeout(client_of):
    """One attempt, from connecting to the last byte, takes no longer than `timeout`."""
    section = {"timeout": "0.2 s", "retries": ONE_ATTEMPT}
    async with Server(UNLIMITED, sleep=never) as server, client_of(server.url, **section) as (client, _):
        with pytest.raises(GaveUp, match=r"no answer within 0\.2 s; 1 attempt"):
            await client.fetch(day_of(server.url, "2019-05-03"))


async def test_a_reset_of_a_kept_connection_is_one_request(client_of):
    """aiohttp would send it again by itself, without a start of its own; the API is not called down for it either."""
    async with Server(UNLIMITED) as server, client_of(server.url, retries=ONE_ATTEMPT) as (client, _):
        await client.fetch(day_of(server.url, "2019-04-15"))
        with pytest.raises(GaveUp):
            await client.fetch(day_of(server.url, "2019-05-20"))
        assert server.stats()["by_date"] == {"2019-04-15": 1, "2019-05-20": 1}


async def test_a_kept_connection_that_the_server_closed_costs_one_attempt(client_of, speaking):
    """Servers close idle connections without a word: the next request is made again, as an attempt that is counted."""

    async def answer(number, head, writer):
        if number == 2:
            writer.transport.abort()
        else:
            writer.write(OK)

    async with speaking(answer) as (url, asked), client_of(url) as (client, tally):
        assert (await client.fetch(Request("GET", f"{url}/1"))).attempts == 1
        assert (await client.fetch(Request("GET", f"{url}/2"))).attempts == 2
        assert len(asked) == tally.requests == 3


@pytest.mark.parametrize("most", [1, len(normal("2019-04-15")) - 1])
async def test_a_body_beyond_the_cap_is_not_read(client_of, most):
    """Asked once, not read to its end; the key to change is named."""
    async with Server(UNLIMITED) as server, client_of(server.url, max_body=f"{most} B") as (client, _):
        with pytest.raises(GaveUp, match=rf"larger than fetch\.max_body = {most} bytes"):
            await client.fetch(day_of(server.url, "2019-04-15"))
        assert server.stats()["requests"] == 1


async def test_a_body_of_exactly_the_cap_is_taken(client_of):
    """The cap is the largest body that is read."""
    size = len(normal("2019-05-09"))
    good = ServerOptions(limit=None, faults=False)
    async with Server(good) as server, client_of(server.url, max_body=f"{size} B") as (client, tally):
        assert len((await client.fetch(day_of(server.url, "2019-05-09"))).response.body) == size
        assert tally.bytes_received == size


async def test_a_body_without_an_end_is_left_at_the_cap(client_of, speaking):
    """No length told, and no last byte."""

    async def answer(number, head, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while not writer.is_closing():
                writer.write(b"400\r\n" + b"x" * 1024 + b"\r\n")
                await writer.drain()

    async with speaking(answer) as (url, asked), client_of(url, max_body="1 MB") as (client, _):
        with pytest.raises(GaveUp, match=r"fetch\.max_body"):
            await client.fetch(Request("GET", f"{url}/"))
        assert len(asked) == 1


async def test_nobody_listening_means_the_api_is_down(client_of):
    """Every attempt is made; then the run ends, because no other row would fare better."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        async with client_of(url) as (client, tally):
            with pytest.raises(ApiDown, match=f"nobody answers at {url}.*5 attempts"):
                await client.fetch(Request("GET", f"{url}/"))
            assert tally.requests == 5


async def test_a_connection_that_never_opens_means_the_api_is_down(client_of):
    """Packets that vanish are no answer: a timeout before the connection is not one after it."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        url = f"http://127.0.0.1:{address[1]}"
        try:
            async with client_of(url, timeout="0.2 s", retries=ONE_ATTEMPT) as (client, _):
                with pytest.raises(ApiDown, match="nobody answers"):
                    await client.fetch(Request("GET", f"{url}/"))
        finally:
            for one in waiting:
                one.close()


async def test_an_error_of_a_server_that_answers_ends_a_row_and_not_the_run(client_of, speaking):
    """Whatever it sends, it is there: what is no HTTP, an answer cut short, a body that is not what it says."""
    bad = [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n{}",
        b"",
    ]

    async def answer(number, head, writer):
        writer.write(bad[number - 1])
        await writer.drain()
        writer.close()

    async with speaking(answer) as (url, asked), client_of(url, retries=ONE_ATTEMPT) as (client, _):
        for number, _ in enumerate(bad, start=1):
            with pytest.raises(GaveUp, match=r"; 1 attempt$"):
                await client.fetch(Request("GET", f"{url}/{number}"))
            assert len(asked) == number


async def test_a_header_in_an_old_encoding_can_be_kept(client_of, speaking, tmp_path):
    """Bytes that are not UTF-8 do not end the run when the answer goes into the cache."""

    async def answer(number, head, writer):
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nX-Name: caf\xe9\r\n\r\n"))

    async with (
        Cache(tmp_path / "cache.sqlite") as cache,
        speaking(answer) as (url, _),
        client_of(url, cache=cache) as (client, _),
    ):
        first = await client.fetch(Request("GET", f"{url}/"))
        again = await client.fetch(Request("GET", f"{url}/"))
    assert first.response.headers == again.response.headers
    assert first.response.header("x-name") == "caf\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("concurrency", [1, 3, 120])
async def test_the_server_sees_no_more_and_no_fewer_than_concurrency(client_of, speaking, concurrency):
    """So many requests at once and not one more; the connections are as many as the slots."""
    under_way = most = 0
    full = asyncio.Event()

    async def answer(number, head, writer):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == concurrency:
            full.set()
        await full.wait()  # nobody is answered before the house is full
        under_way -= 1
        writer.write(OK)

    async with speaking(answer) as (url, asked), client_of(url, limits={"concurrency": concurrency}) as (client, _):
        count = 2 * concurrency + 1
        await asyncio.gather(*(client.fetch(Request("GET", f"{url}/{n}")) for n in range(count)))
    assert (most, len(asked)) == (concurrency, count)


async def test_a_kept_answer_opens_no_socket(client_of, tmp_path):
    """Neither a request nor a connection: it is there with the server gone."""
    async with Cache(tmp_path / "cache.sqlite") as cache:
        async with Server(UNLIMITED) as server, client_of(server.url, cache=cache) as (client, _):
            asked = day_of(server.url, "2019-04-15")
            fetched = await client.fetch(asked)
        async with client_of(server.url, cache=cache) as (client, tally):
            again = await client.fetch(asked)
    assert again.response.body == fetched.response.body
    assert (again.attempts, again.response.from_cache) == (0, True)
    assert (tally.requests, tally.cache_hits) == (0, 1)


async def test_an_error_is_not_kept(client_of, tmp_path):
    """What failed is asked for again in the next run."""
    async with Cache(tmp_path / "cache.sqlite") as cache, Server(UNLIMITED) as server:
        async with client_of(server.url, cache=cache) as (client, _):
            request = Request("GET", f"{server.url}/nowhere")
            for _ in range(2):
                with pytest.raises(GaveUp, match="HTTP 403"):
                    await client.fetch(request)
        assert server.stats()["requests"] == 2


async def test_a_long_wait_parks_the_row_and_everybody_else(client_of, speaking):
    """The whole realm keeps the wait that one answer asked for; nothing more is sent."""

    async def answer(number, head, writer):
        writer.write(b"HTTP/1.1 429 Slow Down\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n")

    async with speaking(answer) as (url, asked), client_of(url) as (client, _):
        with pytest.raises(Parked, match="wait 3600 s") as first:
            await client.fetch(Request("GET", f"{url}/1"))
        with pytest.raises(Parked, match="wait") as second:
            await client.fetch(Request("GET", f"{url}/2"))
        assert (first.value.attempts, second.value.attempts) == (1, 0)
        assert second.value.until == pytest.approx(first.value.until, abs=60)
        assert len(asked) == 1


async def test_what_goes_over_the_wire_is_what_was_composed(client_of, speaking):
    """Encoded once; the job's own headers win over ours; no cookie comes back."""

    async def answer(number, head, writer):
        writer.write(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b\r\n\r\n"))

    async with speaking(answer) as (url, asked), client_of(url) as (client, _):
        for _ in range(2):
            await client.fetch(
                Request("GET", f"{url}/a%2Fb/%41/%C3%A9?q=a+b%26", (("User-Agent", "mine"), ("X-Key", "k")))
            )
    for head in asked:
        lines = head.decode().split("\r\n")
        assert lines[0] == "GET /a%2Fb/%41/%C3%A9?q=a+b%26 HTTP/1.1"
        assert [line for line in lines if re.match("user-agent|x-key|cookie", line, re.IGNORECASE)] == [
            "User-Agent: mine",
            "X-Key: k",
        ]


async def test_tls_that_is_not_there_is_asked_once(client_of):
    """A certificate or a protocol does not mend itself within a run; no byte of the request was sent."""
    async with Server(UNLIMITED) as server:
        url = server.url.replace("http:", "https:")
        async with client_of(url) as (client, tally):
            with pytest.raises(ApiDown, match="TLS"):
                await client.fetch(Request("GET", f"{url}/"))
            assert tally.requests == 1
        assert server.stats()["requests"] == 0


async def test_a_start_counts_from_when_its_request_left(client_of, speaking):
    """Opening the connection is not part of the way: the limiter hears of the moment after it."""

    async def answer(number, head, writer):
        writer.write(OK)

    async with speaking(answer) as (url, _), client_of(url, limits={"rate": ["1000/s"], "headroom": 0}) as (client, _):
        pace = client._keys.all[0].realm.pace
        pace.at_first = 0  # else the next even start would keep its distance from when this one has left
        await client.fetch(Request("GET", f"{url}/"))
        (window,) = pace.windows
    let_go_at = window.next_even - (1 - CATCH_UP) / 1000
    assert window.starts[0].at > let_go_at + 1e-6


async def test_a_request_leaves_when_its_start_keeps_its_distance(client_of, speaking):
    """It has its connection, and waits for the one that left late before it."""

    async def answer(number, head, writer):
        writer.write(OK)

    async with speaking(answer) as (url, _), client_of(url, limits={"rate": ["50/s"], "headroom": 0}) as (client, _):
        pace = client._keys.all[0].realm.pace
        (window,) = pace.windows
        window.next_leave = due_at = time.monotonic() + 0.03
        await client.fetch(Request("GET", f"{url}/"))
        (start,) = window.starts
    assert start.at >= due_at - UNEVEN / 50


async def test_an_answer_that_was_kept_too_early_is_none(client_of, speaking, tmp_path):
    """Whoever looks for the answer to one request does not get that to an earlier one."""

    async def answer(number, head, writer):
        writer.write(OK)

    kept = Cache(tmp_path / "cache.sqlite")
    async with speaking(answer) as (url, asked), kept, client_of(url, kept) as (client, _):
        request = Request("GET", f"{url}/1")
        kept_at = (await client.fetch(request)).response.fetched_at
        found = await client.fetch(request, Source.KEPT_ONLY, kept_since=kept_at)
        assert found.response.from_cache
        with pytest.raises(NotKept):
            await client.fetch(request, Source.KEPT_ONLY, kept_since=kept_at + 1)
        assert len(asked) == 1


async def test_an_attempt_lasts_no_longer_than_the_deadline_leaves(client_of, sleeps):
    """However long `timeout` is; no second one is made, and none is waited for."""
    retries = {"attempts": 5, "first_wait": "1 ms", "deadline": "50 ms"}
    silent = ServerOptions(limit=None)
    async with Server(silent, sleep=never) as server, client_of(server.url, retries=retries) as (client, tally):
        with pytest.raises(
            GaveUp, match=r"no answer within 0\.05 s; 1 attempt; fetch\.retries\.deadline leaves no time"
        ):
            await client.fetch(day_of(server.url, "2019-05-03"))
        assert tally.requests == 1
    assert sleeps == []


async def test_a_turn_that_comes_too_late_for_the_deadline_is_not_waited_for(client_of, speaking):
    """The rate lets the next attempt through in an hour; the row is asked again in the next run."""

    async def refuse(number, head, writer):
        writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")

    retries = {"attempts": 5, "first_wait": "1 ms", "longest_wait": "1 ms", "deadline": "0.2 s"}
    async with speaking(refuse) as (url, asked):
        async with client_of(url, retries=retries, limits={"rate": "1/h"}) as (client, tally):
            with pytest.raises(GaveUp, match=r"^no turn came for another attempt before fetch\.retries\.deadline$"):
                await client.fetch(Request("GET", f"{url}/"))
            assert (len(asked), tally.requests) == (1, 1)
