"""Tokens: asked for once for all, renewed in time and when they are refused (S04)."""

import asyncio
import json
import re
from urllib.parse import parse_qs

import msgspec
import pytest

from fetcher.errors import CredentialRefused, GaveUp, Unknown
from fetcher.fetch.tokens import Tokens
from fetcher.job.auth import Auth
from fetcher.model import Request, Response
from fetcher.testing.clock import VirtualClock, run_virtual

AUTH = {"kind": "oauth2", "token_url": "/token", "client_id": "client", "client_secret": "client-secret"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
REFUSED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"


class Giver:
    """Gives tokens that live for `lifetime_s`, a second after they were asked for."""

    def __init__(self, lifetime_s=None, failure=None):
        self.asked, self.learnt = [], []
        self.lifetime_s, self.failure = lifetime_s, failure

    async def __call__(self, request):
        self.asked.append(parse_qs(request.body.decode()))
        await asyncio.sleep(1)
        if self.failure:
            raise self.failure
        number = len(self.asked)
        answer = {
            "access_token": f"token-{number}",
            "expires_in": self.lifetime_s,
            "refresh_token": f"refresh-{number}",
        }
        return Response(200, (), msgspec.json.encode(answer), 0.0)

    def tokens(self, clock, **more):
        return Tokens(Auth(**AUTH, **more), "http://a.org", self, learn=self.learnt.append, clock=clock)


def virtually(story):
    clock = VirtualClock()
    return run_virtual(story(clock.now), clock)


def test_however_many_want_one_one_is_asked_for():
    """Also those that come while it is on its way."""

    async def story(clock):
        giver = Giver()
        tokens = giver.tokens(clock)

        async def later():
            await asyncio.sleep(0.5)
            await tokens.prepared()

        await asyncio.gather(*(tokens.prepared() for _ in range(100)), later())
        await tokens.prepared()
        return len(giver.asked), tokens.shown.value, giver.learnt

    assert virtually(story) == (1, "Bearer token-1", ["token-1", ""])


def test_s04_however_many_are_refused_one_is_asked_for():
    """Whoever was refused with an older token than the present one needs none."""

    async def story(clock):
        giver = Giver()
        tokens = giver.tokens(clock)
        await tokens.prepared()
        old = tokens.shown
        await asyncio.gather(*(tokens.renewed(old) for _ in range(100)))
        await tokens.renewed(old)
        return len(giver.asked), tokens.shown.value

    assert virtually(story) == (2, "Bearer token-2")


def test_a_token_is_renewed_before_its_end():
    """So a request that leaves now arrives with a good one."""

    async def story(clock):
        giver = Giver(lifetime_s=100)
        tokens = giver.tokens(clock)
        counts = []
        for _ in range(3):
            await tokens.prepared()
            await asyncio.sleep(89)
            await tokens.prepared()
            counts.append(len(giver.asked))
            await asyncio.sleep(2)
        return counts

    assert virtually(story) == [1, 2, 3]


def test_a_refresh_token_that_is_replaced_is_used_no_more():
    async def story(clock):
        giver = Giver()
        tokens = giver.tokens(clock, grant="refresh_token", refresh_token="refresh-0")
        for _ in range(3):
            await tokens.renewed(tokens.shown)
        return [asked["refresh_token"] for asked in giver.asked], giver.learnt

    asked, learnt = virtually(story)
    assert asked == [["refresh-0"], ["refresh-1"], ["refresh-2"]]
    assert {"refresh-1", "token-3"} <= set(learnt)


def test_a_failure_is_everybodys_and_the_next_one_asks_again():
    async def story(clock):
        giver = Giver(failure=CredentialRefused("no"))
        tokens = giver.tokens(clock)
        failures = await asyncio.gather(*(tokens.prepared() for _ in range(9)), return_exceptions=True)
        assert all(isinstance(failure, CredentialRefused) for failure in failures)
        giver.failure = None
        await tokens.prepared()
        return len(giver.asked)

    assert virtually(story) == 2


def test_whoever_stops_waiting_does_not_stop_it_for_the_others():
    async def story(clock):
        giver = Giver()
        tokens = giver.tokens(clock)
        first = asyncio.create_task(tokens.prepared())
        second = asyncio.create_task(tokens.prepared())
        await asyncio.sleep(0.5)
        first.cancel()
        await second
        await tokens.close()
        return len(giver.asked), tokens.shown.value

    assert virtually(story) == (1, "Bearer token-1")


def test_a_client_that_closes_leaves_no_request_behind():
    async def story(clock):
        giver = Giver()
        tokens = giver.tokens(clock)
        waiting = asyncio.create_task(tokens.prepared())
        await asyncio.sleep(0.5)
        await tokens.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return tokens.shown

    assert virtually(story) is None


def api(refused=lambda token, count: False, token_answer=None, both=None):
    """What a server over sockets says, and the tokens that it gave; `refused` says which it takes no more."""
    given = []

    async def answer(number, head, writer):
        if b"/token" in head.split(b"\r\n")[0]:
            given.append(head)
            if token_answer:
                writer.write(token_answer)
                return
            body = json.dumps({"access_token": f"token-number-{len(given)}", "expires_in": 3600}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            return
        token = re.search(rb"Authorization: Bearer (\S+)", head)
        if both:
            await both()
        writer.write(REFUSED if token is None or refused(token[1].decode(), len(given)) else OK)

    return answer, given


async def test_s04_a_401_with_a_hundred_in_flight_is_one_refresh_for_all(client_of, speaking):
    """Each is sent again once, with the new token; a hundred and one requests were refused or well, and two tokens."""
    full, under_way = asyncio.Event(), 0

    async def both():
        nonlocal under_way
        under_way += 1
        if under_way == 100:
            full.set()
        await full.wait()

    answer, given = api(lambda token, count: token == "token-number-1", both=both)
    form = {"kind": "request", "token_url": "/token", "token_path": "access_token", "method": "GET"}
    async with (
        speaking(answer) as (url, asked),
        client_of(url, auth=form, limits={"concurrency": 100}) as (client, tally),
    ):
        fetched = await asyncio.gather(*(client.fetch(Request("GET", f"{url}/{n}")) for n in range(100)))
    assert len(given) == 2
    assert {one.attempts for one in fetched} == {2}
    assert len(asked) == tally.requests == 202
    assert tally.retries == 0


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_s04_the_second_401_ends_the_run(client_of, speaking, method):
    """A new token that is refused, too, is no matter of time; a POST that was turned away was not carried out."""
    answer, given = api(lambda token, count: True)

    async def sent():
        pass

    form = {"kind": "request", "token_url": "/token", "token_path": "access_token", "method": "GET"}
    async with speaking(answer) as (url, asked), client_of(url, auth=form) as (client, _):
        with pytest.raises(CredentialRefused, match="HTTP 401: the credential is refused"):
            await client.fetch(Request(method, f"{url}/1"), intend=sent if method == "POST" else None)
        assert (len(given), len(asked)) == (2, 4)


@pytest.mark.parametrize("auth", [None, {"kind": "bearer", "token": "t"}, {"kind": "bearer", "keys": ["a", "b"]}])
async def test_s04_a_401_that_nothing_can_renew_ends_the_run_at_once(client_of, speaking, auth):
    answer, _ = api(lambda token, count: True)
    more = {"auth": auth} if auth else {}
    async with speaking(answer) as (url, asked), client_of(url, **more) as (client, _):
        with pytest.raises(CredentialRefused, match="put a good one into the job"):
            await client.fetch(Request("GET", f"{url}/1"))
        assert len(asked) == 1


@pytest.mark.parametrize(
    ("told", "error", "requests", "why"),
    [
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\n{}", CredentialRefused, 1, "HTTP 400"),
        (REFUSED, CredentialRefused, 1, "no token is given by http://127.*HTTP 401"),
        (b"HTTP/1.1 302 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", CredentialRefused, 1, "HTTP 302"),
        (OK, CredentialRefused, 1, "gives no token at 'access_token'"),
        (b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", GaveUp, 3, "HTTP 503; 3 attempts"),
    ],
)  # fmt: skip
async def test_a_token_that_is_not_given_ends_the_run_or_is_asked_for_again(
    client_of, speaking, told, error, requests, why
):
    """A refusal is final, and no redirect is followed; trouble passes. Not one row is asked for without a token."""
    answer, given = api(token_answer=told)
    form = {"kind": "request", "token_url": "/token", "token_path": "access_token"}
    section = {"auth": form, "retries": {"attempts": 3, "first_wait": "1 ms"}}
    async with speaking(answer) as (url, asked), client_of(url, **section) as (client, tally):
        with pytest.raises(error, match=why):
            await client.fetch(Request("GET", f"{url}/1"))
        assert len(given) == len(asked) == tally.requests == requests


async def test_a_token_is_paced_like_any_request(client_of, speaking):
    """It takes a start of the realm, and its answer is obeyed."""
    answer, _ = api()
    form = {"kind": "request", "token_url": "/token", "token_path": "access_token", "method": "GET"}
    async with speaking(answer) as (url, _), client_of(url, auth=form, limits={"rate": ["1000/s"]}) as (client, _):
        await client.fetch(Request("GET", f"{url}/1"))
        (window,) = client._keys.all[0].realm.pace.windows
        assert len(window.starts) == 2


async def test_a_rule_may_say_that_the_credential_is_refused(client_of, speaking):
    """`expect` with action `refresh_auth`: some APIs say it with a 200."""
    given = []

    async def answer(number, head, writer):
        if b"/token" in head.split(b"\r\n")[0]:
            given.append(head)
            body = json.dumps({"access_token": f"token-number-{len(given)}"}).encode()
        else:
            body = b'{"error":"expired"}' if b"token-number-1" in head else b"{}"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    form = {"kind": "request", "token_url": "/token", "token_path": "access_token", "method": "GET"}
    rule = {"body": "error == 'expired'", "action": "refresh_auth"}
    async with speaking(answer) as (url, _), client_of(url, auth=form, expect=[rule]) as (client, _):
        assert (await client.fetch(Request("GET", f"{url}/1"))).response.body == b"{}"
    assert len(given) == 2


@pytest.mark.parametrize(
    ("told", "is_unknown"),
    [
        (b"HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 302 Moved\r\nLocation: ftp://x/\r\nContent-Length: 0\r\n\r\n", True),
        (b"", True),
        (OK, False),
    ],
)
async def test_h15_a_post_that_was_carried_out_is_not_sent_again(client_of, speaking, told, is_unknown):
    """303: what fails afterwards is the question for its result, and the order has been placed."""

    async def answer(number, head, writer):
        if head.startswith(b"POST"):
            writer.write(b"HTTP/1.1 303 See\r\nLocation: /orders/1\r\nContent-Length: 0\r\n\r\n")
        elif told:
            writer.write(told)
        else:
            writer.transport.abort()

    async def sent():
        pass

    async with speaking(answer) as (url, asked), client_of(url) as (client, _):
        if is_unknown:
            with pytest.raises(Unknown, match="only the server knows"):
                await client.fetch(Request("POST", f"{url}/orders"), intend=sent)
        else:
            await client.fetch(Request("POST", f"{url}/orders"), intend=sent)
        assert sum(head.startswith(b"POST") for head in asked) == 1
