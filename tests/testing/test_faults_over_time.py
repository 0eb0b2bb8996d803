"""Faults that take several requests to be seen: which requests meet one, quotas, waits, tokens, keys, jobs, pages."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from fetcher.testing.clock import VirtualClock
from fetcher.testing.faults.gate import Memory, chance
from fetcher.testing.faults.windows import FixedWindow, LeakyBucket, SeveralWindows, SlidingWindow
from tests.testing.talking import Sleeps, serving

ROW = "/v1/rows?id=7"
OTHER = "/v1/rows?id=8"


async def statuses(talk, *paths):
    return [(await talk(path)).status for path in paths]


async def test_twice_then_good_counts_for_each_row():
    """`times` and `after` number the requests of a row; `per=all` those of all rows."""
    async with serving() as (_, talk):
        spec = "/fault/status-503;after=1;times=2"
        assert await statuses(talk, *[spec + ROW] * 4, spec + OTHER) == [200, 503, 503, 200, 200]
        spec = "/fault/status-503;times=2;per=all"
        assert await statuses(talk, spec + ROW, spec + OTHER, spec + ROW) == [503, 503, 200]


async def test_a_query_asks_for_a_fault_as_a_path_does():
    """The parameter is not part of what is asked."""
    async with serving() as (_, talk):
        path = "/v1/echo/x?a=1&__fault=status-503;times=1&b=2"
        assert await statuses(talk, path) == [503]
        assert (await talk(path)).told == {"path": "/v1/echo/x", "query": {"a": "1", "b": "2"}}


async def test_faults_lie_round_each_other():
    """The outermost is met first, and may keep the others from being met."""
    sleeps = Sleeps()
    async with serving(sleep=sleeps) as (server, talk):
        await talk("/fault/status-503,slow" + ROW)
        assert (sleeps, server.stats()["faults"]) == ([], {"status-503": 1})
        assert (await talk("/fault/slow,status-503" + ROW)).status == 503
        assert sleeps == [3.0]
        assert (await talk("/fault/gzip-good,reset" + ROW)).ended == "reset"


async def test_a_share_is_the_same_share_each_time():
    """Decided by row and seed, whatever the order; close to what was asked for."""
    paths = [f"/fault/status-500;share=0.2/v1/rows?id={number}" for number in range(200)]
    async with serving() as (_, talk), serving() as (_, again):
        first = await statuses(talk, *paths)
        assert list(reversed(await statuses(again, *reversed(paths)))) == first
    assert 20 <= first.count(500) <= 60


async def test_an_outage_lasts_its_time():
    """S02: from the first request on, by the server's clock; `from_s` and `for_s` do the same for any fault."""
    clock = VirtualClock()
    async with serving(now=clock.now) as (_, talk):
        for spec in ("/fault/outage;seconds=60", "/fault/status-503;for_s=60"):
            seen = await statuses(talk, spec + ROW)
            clock.advance(59.9)
            seen += await statuses(talk, spec + ROW)
            clock.advance(0.2)
            assert seen + await statuses(talk, spec + ROW) == [503, 503, 200]


async def test_requests_before_the_end_of_a_wait_are_early():
    """H01: all rows that meet the fault are the realm; what was under way when the wait was asked for is not early."""
    clock = VirtualClock(100.0)
    spec = "/fault/retry-after;seconds=2;times=1"
    async with serving(now=clock.now) as (server, talk):
        await statuses(talk, spec + ROW, spec + OTHER)
        assert server.stats()["early"] == 0
        clock.advance(1.9)
        await talk(spec + OTHER)
        await talk(ROW)
        assert server.stats()["early"] == 1
        clock.advance(0.1)
        await talk(spec + OTHER)
        assert server.stats()["early"] == 1


async def test_quotas_count():
    """S01: what is beyond a limit gets 429 or a reset, and is told as exceeded."""
    clock = VirtualClock(1000.0)
    async with serving(now=clock.now, epoch=clock.now) as (server, talk):
        for limit in (
            *("fixed-window;limit=2", "sliding-window;limit=2", "several-windows;windows=2:1+50:60"),
            *("leaky-bucket;rate_per_s=1;burst=1", "calendar-day;limit=2", "weighted;limit=2"),
        ):
            path = f"/fault/{limit}{ROW}"
            assert await statuses(talk, path, path, path) == [200, 200, 429], limit
            assert server.stats()["exceeded"][limit] == 1
        assert await statuses(talk, f"/fault/weighted;limit=3{ROW}&cost=3", f"/fault/weighted;limit=3{ROW}") == [
            200,
            429,
        ]
        assert await statuses(talk, f"/fault/spacing{ROW}", f"/fault/spacing{ROW}") == [200, 429]
        path = f"/fault/drop-over-limit;limit=1{ROW}"
        assert [(await talk(path)).ended for _ in range(2)] == ["closed", "reset"]
        told = {hint: await talk(f"/fault/spacing;gap_s=9;hint={hint}{ROW}") for hint in ("ratelimit", "x-ratelimit")}
        told = {hint: await talk(f"/fault/spacing;gap_s=9;hint={hint}{ROW}") for hint in told}
        assert "r=0;t=9" in told["ratelimit"].head
        assert "X-RateLimit-Reset: 9" in told["x-ratelimit"].head


async def test_only_so_many_are_under_way_at_once():
    """The third of three is refused while two are held; `crowded` makes the second wait."""
    sleeps = Sleeps()
    path = "/fault/at-once;limit=2,slow;seconds=0.2" + ROW
    async with serving(sleep=asyncio.sleep) as (_, talk):
        seen = await asyncio.gather(*(talk(path) for _ in range(3)))
        assert sorted(one.status for one in seen) == [200, 200, 429]
    async with serving(sleep=sleeps) as (_, talk):
        await talk("/fault/crowded;capacity=0;step_s=0.5" + ROW)
        for _ in range(3):
            await talk("/fault/growing-latency;step_s=1;most_s=1.5" + ROW)
        await talk("/fault/jitter;seconds=8" + ROW)
    assert sleeps[:3] == [0.5, 1.0, 1.5]
    assert 0 < sleeps[3] < 8


async def test_random_errors_are_of_several_kinds():
    """N14: statuses and resets, the same ones for the same rows."""
    async with serving() as (_, talk):
        seen = [await talk(f"/fault/random-errors/v1/rows?id={number}") for number in range(40)]
    assert {one.status if one.raw else one.ended for one in seen} == {500, 502, 503, 504, "reset"}


async def test_a_credential_wears_out():
    """S04: 401 after so many uses, until `POST /v1/token` gives another."""
    path = "/fault/token-expires;uses=2" + ROW
    async with serving() as (server, talk):
        seen = [(await talk(path, headers=["Authorization: Bearer a"])).status for _ in range(3)]
        token = (await talk("/v1/token", "POST")).told["access_token"]
        seen.append((await talk(path, headers=[f"Authorization: Bearer {token}"])).status)
        assert seen == [200, 200, 401, 200]
        assert server.stats()["tokens"] == 1
        assert await statuses(talk, path, "/fault/token-refused" + ROW) == [401, 401]


async def test_an_order_is_executed_once_though_its_answer_is_lost():
    """S09, S10: the same key is executed once; another payload with it is refused."""
    key = ["Idempotency-Key: k1"]
    async with serving() as (server, talk):
        lost = await talk("/fault/answer-lost/v1/orders", "POST", b"{}", key)
        assert (lost.raw, lost.ended) == (b"", "reset")
        assert server.stats()["executions"] == {"k1": 1}
        again = [await talk("/v1/orders", "POST", body, key) for body in (b"{}", b"[]")]
        assert [one.status for one in again] == [201, 422]
        for name, status in (("key-in-progress", 409), ("key-reused", 422), ("key-missing", 400)):
            assert (await talk(f"/fault/{name}/v1/orders", "POST", b"1")).status == status
        assert server.stats()["executions"] == {"k1": 1}
        assert (await talk("/fault/key-missing/v1/orders", "POST", b"1", ["Idempotency-Key: k2"])).status == 201


async def test_a_job_is_polled_until_it_ends():
    """S16: 202 with Location, then 202 so many times, then the answer; or for ever; or a failure."""
    async with serving() as (_, talk):
        for name, status, then in (
            ("later", 200, '"id":7'),
            ("later-never", 202, "running"),
            ("later-fails", 200, "failed"),
        ):
            begun = await talk(f"/fault/{name}{ROW}")
            assert begun.status == 202
            assert "Retry-After: 1\r\n" in begun.head
            poll = begun.head.partition("Location: ")[2].partition("\r\n")[0]
            poll = "/" + poll.split("/", 3)[3]
            last = [await talk(poll) for _ in range(3)][-1]
            assert last.status == status
            assert then in last.body.decode()


async def test_rows_come_and_go_while_they_are_paged():
    """S07: the last of a page comes again, or one is never shown."""
    async with serving() as (_, talk):
        for name, firsts in (("rows-inserted", [0, 19]), ("rows-deleted", [0, 21])):
            pages = [await talk(f"/fault/{name}/v1/items?page={page}") for page in (1, 2)]
            assert [page.told["items"][0]["id"] for page in pages] == firsts


async def test_a_collection_is_whole_by_page_offset_and_cursor():
    """Every style leads to the same records, each once, following `next` alone; Link says the same."""
    async with serving() as (_, talk):
        for start in ("page=1&size=7", "offset=0&limit=7", "cursor=&limit=7"):
            path, got = f"/fault/slow/v1/items?total=50&{start}", []
            while path:
                seen = await talk(path)
                got += seen.told["items"]
                path = seen.told["next"] and "/" + seen.told["next"].split("/", 3)[3]
                assert not path or (path.startswith("/fault/slow/") and path in seen.head)
            assert [one["id"] for one in got] == list(range(50))
        assert (await talk("/v1/items?page=0")).status == 400


@given(st.lists(st.integers(0, 30), max_size=50), st.integers(1, 4), st.integers(1, 40))
def test_no_window_ever_lets_more_through(gaps, limit, window_s):
    """In any window of that length no more pass than the limit; a wait that is told suffices and is needed."""
    for window in (SlidingWindow(limit, window_s), SeveralWindows([(limit, window_s), (limit + 1, window_s * 3)])):
        now, passed = 0, []
        for gap in gaps:
            now += gap
            if not window.wait_s(now, 1):
                passed.append(now)
        assert all(sum(at <= one < at + window_s for one in passed) <= limit for at in passed)


@given(st.lists(st.integers(0, 30), max_size=50), st.integers(1, 4), st.integers(1, 40))
def test_a_wait_that_is_told_suffices(gaps, limit, window_s):
    """Whoever comes back after it passes."""
    for window in (FixedWindow(limit, window_s), SlidingWindow(limit, window_s), LeakyBucket(limit / 8, window_s)):
        now = 0.0
        for gap in gaps:
            now += gap
            if wait_s := window.wait_s(now, 1):
                assert window.wait_s(now + wait_s, 1) < 1e-9
                now += wait_s


def test_what_is_remembered_is_bounded():
    """What was touched longest ago is forgotten first."""
    memory = Memory(most=3)
    assert [memory.next_number("nth", key) for key in "abcadae"] == [0, 0, 0, 1, 0, 2, 0]
    assert len(memory) == 3
    assert [memory.next_number("nth", key) for key in "ab"] == [3, 0]


@given(st.text())
def test_chance_is_at_least_0_and_below_1(text):
    """The same text has the same chance."""
    assert 0 <= chance(text) < 1
    assert chance(text) == chance(text)
