"""The client without a job: its example runs, and what it is told by name holds."""

import asyncio
import re
from pathlib import Path

import pytest

from fetcher.errors import GaveUp, Refused, Unknown
from fetcher.fetch import Client
from fetcher.testing.server import Server, ServerOptions
from tests.fetch.origin import Clock, Say, opened, origin_at

DOCS = Path(__file__).parents[2] / "docs"
KNOWN = (
    "rate, cache, keep, caching, accept, headers, secrets, now, limits, retries, timeout, max_body, expect, hints, "
    "auth and allowed_hosts"
)
A_RATE = "expected a rate such as '20/s', '6/10 s' or '5000/day'"
FRESH = Say({"Cache-Control": "max-age=100"})


async def test_the_example_of_the_docs_runs(tmp_path, monkeypatch, capsys):
    """As it is printed, twice, against the built-in API."""
    (source,) = re.findall(r"^```python\n(.*?)^```", (DOCS / "client.md").read_text(), re.MULTILINE | re.DOTALL)
    names: dict = {"__name__": "example"}
    exec(compile(source, "docs/client.md", "exec"), names)
    monkeypatch.chdir(tmp_path)
    async with Server(ServerOptions(limit=None, faults=False)) as server:
        await names["main"](server.url)
        await names["main"](server.url)
        assert server.stats()["by_status"]["200"] >= 7
    first, failed, counts, *again = capsys.readouterr().out.splitlines()
    assert first == f"{7 * 24} items"
    assert failed.startswith("no answer: HTTP 403")
    assert counts == "requests: 8 - answers from the cache: 0"
    assert again[0] == first
    assert again[-1] == "requests: 1 - answers from the cache: 7"
    assert b"Bearer secret" not in (tmp_path / "answers.sqlite").read_bytes()


async def test_what_is_accepted_is_an_answer(tmp_path):
    """The others are errors: asked once where asking again will not help."""
    async with origin_at(Clock()) as (origin, url), opened(url, tmp_path / "c", origin.clock, accept=[404]) as client:
        origin.says = [Say(status=404, body="none"), Say(status=410, body="gone")]
        assert (await client.get("/a")).status == 404
        with pytest.raises(Refused, match="HTTP 410 gone"):
            await client.get("/b")


async def test_a_rate_holds_for_all_calls_and_hits_are_free(tmp_path):
    """Forty kept answers within a rate of one an hour; the next request waits for its hour."""
    async with origin_at(Clock()) as (origin, url), opened(url, tmp_path / "c", origin.clock, rate="1/h") as client:
        origin.says = [FRESH]
        for _ in range(40):
            assert (await client.get("/a")).body == b"one"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.get("/b"), 0.05)
        assert len(origin.asked) == 1


@pytest.mark.parametrize(
    ("named", "said"),
    [
        ({"concurrency": 8}, "Client(concurrency=...): unknown argument; say limits={'concurrency': ...}"),
        ({"attempts": 8}, "Client(attempts=...): unknown argument; say retries={'attempts': ...}"),
        ({"max_size": "2 GB"}, "Client(max_size=...): unknown argument; say caching={'max_size': ...}"),
        ({"timeot": "5 s"}, "Client(timeot=...): unknown argument; did you mean 'timeout'?"),
        ({"keeps": "http"}, "Client(keeps=...): unknown argument; did you mean 'keep'?"),
        ({"url": "/x"}, f"Client(url=...): unknown argument; known here: {KNOWN}"),
        ({"method": "POST"}, f"Client(method=...): unknown argument; known here: {KNOWN}"),
        ({"json": {}}, f"Client(json=...): unknown argument; known here: {KNOWN}"),
        ({"query": {"a": "1"}}, f"Client(query=...): unknown argument; known here: {KNOWN}"),
        ({"retries": {"attempt": 3}}, "Client(retries.attempt): unknown key; did you mean 'attempts'?"),
        ({"retries": 3}, "Client(retries): expected a table, got 3"),
        ({"caching": {"max_sise": 3}}, "Client(caching.max_sise): unknown key; did you mean 'max_size'?"),
        ({"limits": 3}, "Client(limits): expected a table, got 3"),
        ({"accept": 404}, "Client(accept): expected a list, got 404"),
        ({"accept": ["x"]}, "Client(accept[0]): expected a whole number from 100 to 599, got 'x'"),
        ({"accept": {404: True}}, "Client(accept): expected a list, got a table"),
        ({"accept": b"404"}, "Client(accept): expected a list, got b'404'"),
        ({"expect": 3}, "Client(expect): expected a list, got 3"),
        ({"rate": {"a": 1}}, f"Client(rate): {A_RATE}, got a table"),
        ({"rate": {}}, f"Client(rate): {A_RATE}, got a table"),
        ({"rate": b"ab"}, f"Client(rate): {A_RATE}, got b'ab'"),
        ({"rate": ["1/s", b"ab"]}, f"Client(rate[1]): {A_RATE}, got b'ab'"),
    ],
)
def test_a_wrong_setting_is_told_as_in_a_job_file(named, said):
    """Which argument, what was expected, what came, what to say instead."""
    with pytest.raises(ValueError, match="Client") as caught:
        Client("http://127.0.0.1:8765", **named)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("named", "begins"),
    [
        ({"rate": "fast"}, "Client(rate): "),
        ({"rate": 5}, "Client(rate): "),
        ({"keep": "always"}, "Client(keep): "),
        ({"timeout": "soon"}, "Client(timeout): "),
    ],
)
def test_a_wrong_value_is_told_with_what_came(named, begins):
    """In the words of a job file, none of pydantic's."""
    with pytest.raises(ValueError, match="Client") as caught:
        Client("http://127.0.0.1:8765", **named)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(begins)
    assert "pydantic" not in line
    assert str(next(iter(named.values()))) in line


def test_all_wrong_settings_are_told_at_once_and_no_secret():
    """A line each."""
    auth = {"kind": "bearer", "token": ["s3cr3t"]}
    with pytest.raises(ValueError, match="Client") as caught:
        Client("http://127.0.0.1:8765", concurrency=8, auth=auth, timeout="soon", url="/")
    lines = str(caught.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "Client(concurrency=...)",
        "Client(url=...)",
        "Client(auth.token)",
        "Client(timeout)",
    ]
    assert "s3cr3t" not in str(caught.value)


async def test_without_a_cache_everything_is_asked(tmp_path):
    """No file, no hit."""
    async with origin_at(Clock()) as (origin, url), Client(url) as client:
        origin.says = [FRESH, FRESH]
        assert [(await client.get("/a")).attempts for _ in range(2)] == [1, 1]


async def test_a_post_whose_answer_is_lost_is_not_repeated(tmp_path):
    """Its fate is the server's to know."""
    async with origin_at(Clock()) as (origin, url), Client(url, retries={"attempts": 3}) as client:
        origin.says = [Say(fault="drop")]
        with pytest.raises(Unknown, match="only the server knows"):
            await client.request("POST", "/a", body=b"{}")
        assert len(origin.asked) == 1


async def test_headers_of_the_client_go_with_each_request_and_those_of_a_call_above_them(tmp_path):
    """By name, whatever the case."""
    async with origin_at(Clock()) as (origin, url), Client(url, headers={"X-A": "1", "X-B": "1"}) as client:
        origin.says = [FRESH, FRESH]
        await client.get("/a", {"q": ["x y", 2]}, {"x-b": "2"})
        line, sent = origin.asked[0]
        assert line == "GET /a?q=x+y&q=2 HTTP/1.1"
        assert (sent["x-a"], sent["x-b"]) == ("1", "2")


async def test_a_server_that_stays_ill_is_given_up(tmp_path):
    """After as many attempts as it was told."""
    retries = {"attempts": 3, "first_wait": "1 ms"}
    async with origin_at(Clock()) as (origin, url), Client(url, retries=retries) as client:
        origin.says = [Say(status=503)] * 3
        with pytest.raises(GaveUp, match="3 attempts"):
            await client.get("/a")
