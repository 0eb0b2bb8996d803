"""What the table of the RFC's sentences does not tell: many at once, the background, secrets, and answers as facts."""

import asyncio
import sqlite3
from contextlib import closing

import pytest

from fetcher.errors import GaveUp, NotKept, Refused
from fetcher.fetch import Client
from fetcher.fetch.cache import Cache
from fetcher.fetch.sources import Source
from fetcher.model import Request
from tests.fetch.origin import BEGAN, Clock, Say, Step, asked, kept, opened, origin_at, told, walked

FRESH = Say({"Cache-Control": "max-age=100"})
AGAIN = Say({"Cache-Control": "max-age=100"}, "two")
MANY = 1000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache.sqlite"


@pytest.mark.parametrize("keep", ["http", "forever", "1 day"])
async def test_a_thousand_equal_requests_in_flight_are_one_exchange(path, keep):
    """The first one asks; its answer is everyone's, and the tally says that one request was sent."""
    async with origin_at(Clock()) as (origin, url), opened(url, path, origin.clock, keep=keep) as client:
        origin.says = [FRESH]
        answers = await asyncio.gather(*(client.get("/a") for _ in range(MANY)))
        assert {answer.body for answer in answers} == {b"one"}
        assert len(origin.asked) == 1
        assert sum(answer.attempts for answer in answers) == 1
        assert (client.tally.requests, client.tally.cache_hits) == (1, MANY - 1)


@pytest.mark.parametrize("keep", ["http", "forever"])
async def test_the_failure_of_one_exchange_is_everyones_once(path, keep):
    """A thousand who wait learn the same reason, and the server was asked as often as for one of them."""
    retries = {"attempts": 3, "first_wait": "1 ms"}
    async with (
        origin_at(Clock()) as (origin, url),
        opened(url, path, origin.clock, keep=keep, retries=retries) as client,
    ):
        origin.says = [Say(status=500, body="ill")] * 3
        ended = await asyncio.gather(*(client.get("/a") for _ in range(MANY)), return_exceptions=True)
        assert {type(error) for error in ended} == {GaveUp}
        assert {str(error) for error in ended} == {"HTTP 500 ill; 3 attempts"}
        assert len(origin.asked) == 3
        assert sum(error.attempts for error in ended if isinstance(error, GaveUp)) == 3
        origin.says = [FRESH]
        assert (await client.get("/a")).body == b"one"


async def test_whoever_waits_takes_over_from_one_who_is_cancelled(path):
    """The exchange of a caller that gives up ends with it; the others' does not."""
    async with origin_at(Clock()) as (origin, url), opened(url, path, origin.clock) as client:
        origin.says = [Say(fault="drop"), FRESH, FRESH]
        first = asyncio.create_task(client.get("/a"))
        others = [asyncio.create_task(client.get("/a")) for _ in range(5)]
        await asyncio.sleep(0)
        first.cancel()
        origin.says = [FRESH]
        assert {(await other).body for other in others} == {b"one"}
        assert first.cancelled()


async def test_equal_requests_do_not_share_what_is_for_one(path):
    """An answer that may not be reused is for the request that it answers; the others ask for themselves."""
    async with origin_at(Clock()) as (origin, url), opened(url, path, origin.clock) as client:
        origin.says = [Say({"Cache-Control": "no-store"}, str(number)) for number in range(5)]
        answers = await asyncio.gather(*(client.get("/a") for _ in range(5)))
        assert {answer.body for answer in answers} == {b"0", b"1", b"2", b"3", b"4"}


@pytest.mark.parametrize("field", ["Authorization", "Cookie", "X-Api-Key", "X-Auth-Token"])
async def test_an_answer_is_for_the_credential_that_asked(path, field):
    """Whatever the header is called, another credential gets an answer of its own."""
    steps = [asked(FRESH, headers={field: "a"}), asked(AGAIN, headers={field: "b"}), kept(headers={field: "a"})]
    await told([*steps, kept("two", headers={field: "b"}), asked(Say(FRESH.headers, "three"))], path)


@pytest.mark.parametrize("keep", ["http", "forever"])
async def test_no_secret_is_in_the_file(path, keep):
    """Neither in the name of an answer nor in what selects it."""
    secret = "hunter2-hunter2"
    async with (
        origin_at(Clock()) as (origin, url),
        opened(url, path, origin.clock, keep=keep, secrets=[secret], headers={"Authorization": secret}) as client,
    ):
        origin.says = [Say({**FRESH.headers, "Vary": "Authorization, X-Also"})]
        await client.get("/a", {"key": secret}, {"X-Also": secret})
    stored = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert secret.encode() not in stored
    assert b"/a?key=***" in stored


async def test_a_stale_answer_is_used_while_it_is_asked_for_anew(path):
    """RFC 5861 section 3: nobody waits within the window; after it, somebody does."""
    said = {"Cache-Control": "max-age=1, stale-while-revalidate=10"}
    async with origin_at(Clock()) as (origin, url), opened(url, path, origin.clock) as client:
        origin.says = [Say(said)]
        await client.get("/a")
        origin.clock.at = BEGAN + 5
        origin.says = [Say(said, "two")]
        answers = [await client.get("/a") for _ in range(3)]
        assert {answer.body for answer in answers} == {b"one"}
        assert answers[0].header("Age") == "5"
        await asyncio.gather(*client._inner._keeping._refreshes.values())
        assert (await client.get("/a")).body == b"two"
        assert len(origin.asked) == 2
        origin.clock.at = BEGAN + 16
        await walked(asked(Say(said, "three")), 4, origin, client)


async def test_what_goes_on_in_the_background_is_bounded(path):
    """A hundred stale answers at once are not a hundred requests at once; all are given at once."""
    said = {"Cache-Control": "max-age=1, stale-while-revalidate=1000"}
    async with origin_at(Clock()) as (origin, url), opened(url, path, origin.clock) as client:
        origin.says = [Say(said)] * 100
        await asyncio.gather(*(client.get(f"/{number}") for number in range(100)))
        origin.clock.at = BEGAN + 5
        origin.says = []  # from now on the origin answers with 500
        answers = await asyncio.gather(*(client.get(f"/{number}") for number in range(100)))
        assert {answer.body for answer in answers} == {b"one"}
        assert len(client._inner._keeping._refreshes) <= 16


@pytest.mark.parametrize("keep", ["forever", "1 h"])
async def test_facts_are_kept_whatever_the_server_says(path, keep):
    """`no-store`, an age, a failed validation: none of it is asked about."""
    says = Say({"Cache-Control": "no-store, max-age=0", "Vary": "*", "Expires": "0"})
    await told([asked(says), kept(at=3599), kept(at=1, headers={})], path, keep=keep)


async def test_h23_a_429_is_never_kept(path):
    """However long it says that it may be kept, and as what it may be taken."""
    says = Say({"Cache-Control": "max-age=3600"}, "slow down", 429)
    await told([asked(says), asked(FRESH)], path, accept=[429])


async def test_h22_no_trace_is_kept_of_what_must_not_be(path):
    """Nothing of the answer is in the file, nor beside it."""
    says = Say({"Cache-Control": "no-store"}, "a secret of the server")
    async with origin_at(Clock()) as (origin, url), opened(url, path, origin.clock) as client:
        origin.says = [says]
        await client.get("/a")
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("SELECT COUNT(*) FROM answers").fetchone() == (0,)
    assert b"a secret" not in b"".join(file.read_bytes() for file in path.parent.iterdir())


@pytest.mark.parametrize("keep", ["http", "1 h"])
async def test_t03_an_answer_from_the_future_is_stale(path, keep):
    """A clock that was ahead has dated it: nobody knows how old it is."""
    await told([asked(FRESH, at=50_000), asked(AGAIN, at=10)], path, keep=keep)


@pytest.mark.parametrize("keep", ["http", "forever"])
async def test_offline_gives_what_is_kept_and_asks_nobody(path, keep):
    """A stale answer too, unless it says that it must be confirmed; what is not kept is an error."""
    async with origin_at(Clock()) as (origin, url), opened(url, path, origin.clock, keep=keep) as client:
        origin.says = [Say({"Cache-Control": "max-age=1"})]
        await client.get("/a")
        origin.clock.at += 1000
        assert (await client.get("/a", offline=True)).body == b"one"
        with pytest.raises(NotKept):
            await client.get("/b", offline=True)
        assert len(origin.asked) == 1


@pytest.mark.parametrize("forbids", ["must-revalidate", "no-cache"])
async def test_offline_gives_nothing_that_must_be_confirmed(path, forbids):
    """RFC 9111 section 5.2.2.2: a cache without a connection answers with an error then."""
    async with origin_at(Clock()) as (origin, url), opened(url, path, origin.clock) as client:
        origin.says = [Say({"Cache-Control": f"max-age=1, {forbids}"})]
        await client.get("/a")
        origin.clock.at += 1000
        with pytest.raises(NotKept):
            await client.get("/a", offline=True)


async def test_asking_anew_costs_no_body_where_nothing_has_changed(path, client_of):
    """A row that is asked for again (`lookback`, `--refresh`) is confirmed: 304, and the kept body."""
    async with origin_at(Clock()) as (origin, url), Cache(path) as cache:
        async with client_of(url, cache, keep="http") as (client, _):
            request = Request("GET", f"{url}/a")
            origin.says = [Say({"Cache-Control": "max-age=1000", "ETag": '"a"'})]
            await client.fetch(request)
            origin.says = [Say({"ETag": '"a"'}, "", 304)]
            fetched = await client.fetch(request, Source.API_ONLY)
            assert (fetched.response.status, fetched.response.body, fetched.attempts) == (200, b"one", 1)
            assert origin.asked[1][1]["if-none-match"] == '"a"'


async def test_errors_are_never_results(path):
    """400 and above, though the server says that they may be kept: the next one asks again."""
    for keep in ("http", "forever"):
        async with origin_at(Clock()) as (origin, url), opened(url, path, origin.clock, keep=keep) as client:
            origin.says = [Say({"Cache-Control": "max-age=1000"}, "no", 404), FRESH]
            with pytest.raises(Refused):
                await client.get(f"/{keep}")
            assert (await client.get(f"/{keep}")).body == b"one"


async def test_a_client_goes_to_its_own_api_alone(path):
    """Credentials belong to one origin."""
    async with Client("http://127.0.0.1:9", cache=path) as client:
        with pytest.raises(ValueError, match="credentials go nowhere else"):
            await client.get("http://127.0.0.1:8/a")


def test_what_a_client_is_told_wrong_is_a_value_error():
    """By the words of a job file's own faults."""
    with pytest.raises(ValueError, match="expected 'none', 'http', 'forever' or a time"):
        Client("http://127.0.0.1:9", keep="sometimes")


async def test_an_answer_behind_a_redirect_is_not_kept_for_the_address_that_redirected(path):
    """It may lead elsewhere tomorrow, whatever the answer at its end says of itself."""
    there = Say({"Location": "/b", "Cache-Control": "no-store"}, "", 302)
    steps = [Step((there, Say(FRESH.headers, "one")), body="one"), Step((there, Say(FRESH.headers, "two")), body="two")]
    await told(steps, path)
