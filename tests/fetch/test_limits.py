import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fetcher.fetch.adaptive import Adaptive
from fetcher.fetch.breaker import PATIENCE_UNPROVEN_S, TRIALS, Breaker, Sign
from fetcher.fetch.crowd import Crowd
from fetcher.fetch.health import Health, Hopeless
from fetcher.fetch.hints import Hints, Quota, ToldAllowance
from fetcher.fetch.limits import LARGEST_TOLD, LONGEST_TOLD_S, Realm, TooLong, horizon_s, realm_key
from fetcher.fetch.windows import AT_FIRST_S, LARGEST_DELAY, Pace, Start, Window, pace
from fetcher.job.sections import Limits
from fetcher.job.units import Rate
from fetcher.testing.clock import VirtualClock, run_virtual

NO_LIMIT_S = float("inf")
A_BIT_S = 1e-9
"""Floats are added in another order here than in the code under test."""

RATES = st.builds(Rate, st.integers(1, 6), st.sampled_from([0.25, 1.0, 10.0]))
LIMITS = st.builds(
    Limits,
    rate=st.lists(RATES, min_size=1, max_size=3).map(tuple),
    concurrency=st.integers(1, 6),
    smooth=st.sampled_from([None, True, False]),
    headroom=st.sampled_from([0.0, 0.01]),
)


@dataclass
class Way:
    """One request: the pause before it is asked for, its ways to the server and back in shares of the spread."""

    pause_s: float
    there: float
    back: float


PAUSES_S = st.one_of(st.just(0.0), st.floats(0, 3), st.floats(0, 30))
WAYS = st.lists(st.builds(Way, PAUSES_S, st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=40)


@dataclass
class Seen:
    """What happened, in seconds: when each request was asked for, started, and arrived; by its number."""

    asked: dict[int, float] = field(default_factory=dict)
    started: dict[int, float] = field(default_factory=dict)
    arrived: list[float] = field(default_factory=list)
    most_at_once: int = 0


def let_through(limits, ways, there_s, back_s):
    """Send the requests through a realm; `there_s(way)` and `back_s(way)` are how long each takes."""
    clock = VirtualClock()
    seen = Seen()

    async def send(realm, number, way):
        seen.asked[number] = clock.now()
        async with realm.start(NO_LIMIT_S) as start:
            seen.started[number] = clock.now()
            under_way.append(number)
            seen.most_at_once = max(seen.most_at_once, len(under_way))
            await asyncio.sleep(there_s(way))
            seen.arrived.append(clock.now())
            await asyncio.sleep(back_s(way))
            realm.answered(start)
            under_way.remove(number)

    async def story():
        realm = Realm(limits, clock.now)
        async with asyncio.TaskGroup() as group:
            for number, way in enumerate(ways):
                await asyncio.sleep(way.pause_s)
                group.create_task(send(realm, number, way))

    under_way: list[int] = []
    run_virtual(story(), clock)
    return seen


def crowded(arrivals, rate):
    """The arrivals that came with `rate.starts` others in a window that ends before `rate.per_s`."""
    in_order = sorted(arrivals)
    return [
        (first, last)
        for first, last in zip(in_order, in_order[rate.starts :], strict=False)
        if last - first < rate.per_s - A_BIT_S
    ]


@given(LIMITS, WAYS, st.floats(0, 0.9), st.floats(0, 2))
def test_no_window_at_the_server_is_exceeded(limits, ways, share, away_s):
    """However long the ways are, and as long as they differ by less than the cap, every window holds at the server.

    Every third request goes the shortest way: the spread is known from what was seen.
    """
    spread_s = share * LARGEST_DELAY * min(rate.per_s for rate in limits.rate) / 2
    for way in ways[::3]:
        way.there = way.back = 0.0
    far_s = min(away_s, LARGEST_DELAY * min(rate.per_s for rate in limits.rate) - 2 * spread_s) / 2
    seen = let_through(limits, ways, lambda way: far_s + way.there * spread_s, lambda way: far_s + way.back * spread_s)
    assert len(seen.arrived) == len(ways)
    assert [crowded(seen.arrived, rate) for rate in limits.rate] == [[] for _ in limits.rate]


@given(LIMITS, WAYS, st.floats(0, 100))
def test_strict_limits_hold_whatever_the_way(limits, ways, most_s):
    """`strict` counts from the answer: a request that arrived at the last moment before it keeps the window too."""
    strict = limits.model_copy(update={"strict": True})
    seen = let_through(strict, ways, lambda way: way.there * most_s, lambda way: way.back * most_s)
    assert [crowded(seen.arrived, rate) for rate in limits.rate] == [[] for _ in limits.rate]


PARTS = st.lists(st.integers(1, 4), min_size=1, max_size=3)


@given(PARTS, st.lists(st.tuples(st.integers(0, 2), st.floats(0, 2), st.floats(0, 5)), min_size=1, max_size=30))
def test_parts_of_a_run_that_ask_in_one_realm_count_each_others_calls(most, calls):
    """Each has a number of its own, and begins nothing while as many are under way, whosesoever; all get their turn."""
    clock, under_way, done = VirtualClock(), list[int](), list[int]()

    async def send(realm: Realm, part: int, took_s: float) -> None:
        async with realm.start(NO_LIMIT_S):
            assert len(under_way) < most[part]
            under_way.append(part)
            await asyncio.sleep(took_s)
            under_way.remove(part)
        done.append(part)

    async def story() -> None:
        crowd = Crowd()
        realms = [Realm(Limits(concurrency=number), clock.now, crowd=crowd) for number in most]
        async with asyncio.TaskGroup() as group:
            for part, pause_s, took_s in calls:
                await asyncio.sleep(pause_s)
                group.create_task(send(realms[part % len(most)], part % len(most), took_s))

    run_virtual(story(), clock)
    assert len(done) == len(calls)


@given(LIMITS, WAYS)
def test_starts_leave_in_the_order_in_which_they_were_asked_for(limits, ways):
    """First come, first served: no row starves."""
    seen = let_through(limits, ways, lambda way: way.there, lambda way: way.back)
    assert list(seen.started) == list(range(len(ways)))


@given(LIMITS, WAYS)
def test_no_more_are_under_way_than_concurrency_allows(limits, ways):
    """A slot is held from the start to the end of the answer."""
    assert let_through(limits, ways, lambda way: way.there, lambda way: way.back).most_at_once <= limits.concurrency


@given(LIMITS, st.lists(st.builds(Way, st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12))
@settings(max_examples=40)
def test_whoever_may_start_starts(limits, ways):
    """While somebody waits and a slot is free, the next start is made the moment `ready_at` names."""
    clock = VirtualClock()
    late: list[float] = []
    waiting = 0

    async def send(realm, way):
        nonlocal waiting
        waiting += 1
        async with realm.start(NO_LIMIT_S) as start:
            waiting -= 1
            await asyncio.sleep(way.there)
            realm.answered(start)
            await asyncio.sleep(way.back)

    async def watch(realm):
        """Looks at every moment at which something may have happened, after everything else has."""
        while True:
            for _ in range(20):
                await asyncio.sleep(0)
            if waiting and realm.pace.ready_at() <= clock.now() and has_slot(realm):
                late.append(clock.now())
            await asyncio.sleep(0.03)

    async def story():
        realm = Realm(limits, clock.now)
        watching = asyncio.create_task(watch(realm))
        async with asyncio.TaskGroup() as group:
            for way in ways:
                await asyncio.sleep(way.pause_s)
                group.create_task(send(realm, way))
        watching.cancel()

    def has_slot(realm):
        return not realm._slots.locked()

    run_virtual(story(), clock)
    assert late == []


@pytest.mark.parametrize("round_trip_s", [0.0, 0.005])
@pytest.mark.parametrize(
    ("rate", "smooth"),
    [
        (Rate(200, 1.0), None),
        (Rate(200, 1.0), False),
        (Rate(20, 1.0), False),
        (Rate(20, 1.0), True),
        (Rate(1, 1.0), None),
    ],
)
def test_a_limit_is_used_to_98_percent(rate, smooth, round_trip_s):
    """What the limit allows is used but for the headroom; a way that is always equally long costs nothing."""
    seconds = 20
    limits = Limits(rate=(rate,), concurrency=100, smooth=smooth)
    asked = int(seconds * rate.starts * 1.2 / rate.per_s)
    ways = [Way(0.0, 0.5, 0.5)] * asked
    seen = let_through(limits, ways, lambda way: round_trip_s / 2, lambda way: round_trip_s / 2)
    assert sum(at < seconds for at in seen.arrived) >= 0.98 * seconds * rate.starts / rate.per_s


def test_a_wait_ends_as_soon_as_an_answer_shows_that_it_may():
    """A start without an answer is held for longer; whoever waits for it hears of the answer, not of the body's end."""
    clock = VirtualClock()

    async def story():
        realm = Realm(Limits(rate=("1/10 s",), headroom=0.0), clock.now)
        async with realm.start(NO_LIMIT_S) as start:
            waiting = asyncio.create_task(started_at(realm))
            await asyncio.sleep(0.25)
            realm.answered(start)
            await asyncio.sleep(60)
        return await waiting

    async def started_at(realm):
        async with realm.start(NO_LIMIT_S):
            return clock.now()

    assert run_virtual(story(), clock) == 10.25


def test_a_strict_start_without_an_answer_counts_from_its_end():
    """A request that failed arrived before it ended or never; it does not hold everybody up for ever."""
    clock = VirtualClock()

    async def story():
        realm = Realm(Limits(rate=("1/10 s",), headroom=0.0, strict=True), clock.now)
        with pytest.raises(ConnectionError):
            async with realm.start(NO_LIMIT_S):
                waiting = asyncio.create_task(started_at(realm))
                await asyncio.sleep(30)
                raise ConnectionError
        return await waiting

    async def started_at(realm):
        async with realm.start(NO_LIMIT_S):
            return clock.now()

    assert run_virtual(story(), clock) == 40


def test_a_lone_round_trip_is_not_taken_for_the_shortest():
    """One answer says nothing of the spread: the first request went a long way, the second a short one."""
    limits = Limits(rate=("1/10 s",))
    seen = let_through(limits, [Way(0, 0.9, 0), Way(0, 0, 0)], lambda way: way.there, lambda way: 0.0)
    assert crowded(seen.arrived, limits.rate[0]) == []


def test_a_request_counts_from_when_it_left_not_from_when_it_was_let_go():
    """Opening a connection takes many ways: what waits for it arrives late, on every new connection at once."""
    clock = VirtualClock()
    arrived = []
    rate = Rate(3, 1.0)

    async def send(realm, number):
        async with realm.start(NO_LIMIT_S) as start:
            if number < 20:
                await asyncio.sleep(0.7)
                realm.left(start)
            arrived.append(clock.now())
            realm.answered(start)

    async def story():
        realm = Realm(Limits(rate=(rate,), concurrency=20, smooth=False), clock.now)
        await asyncio.gather(*(send(realm, number) for number in range(40)))

    run_virtual(story(), clock)
    assert crowded(arrived, rate) == []


def test_requests_that_wait_for_a_connection_do_not_leave_in_a_crowd():
    """A name that takes five seconds to look up lets nobody through meanwhile beyond what may arrive at once."""
    clock = VirtualClock()
    arrived = []
    rate = Rate(2, 1.0)

    async def send(realm, number):
        async with realm.start(NO_LIMIT_S) as start:
            await asyncio.sleep(max(0.0, 5.0 - clock.now()))
            realm.left(start)
            arrived.append(clock.now())
            realm.answered(start)

    async def story():
        realm = Realm(Limits(rate=(rate,), concurrency=20, smooth=False), clock.now)
        await asyncio.gather(*(send(realm, number) for number in range(20)))

    run_virtual(story(), clock)
    assert len(arrived) == 20
    assert crowded(arrived, rate) == []


def test_ways_that_become_longer_do_not_shorten_the_window():
    """An old short round trip may lie below all that are remembered; the window's length stays."""
    window = Window(Rate(1, 10.0), 0.0, is_smooth=False)
    start = Start(0.0, round_trip_s=0.1)
    window.commit(start)
    assert window.ready_at(shortest_s=5.0) == 10.0


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans()), min_size=1, max_size=20), LIMITS)
@settings(max_examples=50)
def test_a_cancelled_waiter_takes_nothing_with_it(waiters, limits):
    """Neither its slot, nor its turn, nor a start: all others leave as if it had never asked."""
    clock = VirtualClock()
    finished = []

    async def send(realm, number):
        async with realm.start(NO_LIMIT_S) as start:
            await asyncio.sleep(0.01)
            realm.answered(start)
            finished.append(number)

    async def story():
        realm = Realm(limits, clock.now)
        tasks = [asyncio.create_task(send(realm, number)) for number in range(len(waiters))]
        for (pause_s, is_cancelled), task in zip(waiters, tasks, strict=True):
            await asyncio.sleep(pause_s)
            if is_cancelled:
                task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        # Nothing is held any more: as many as ever may be under way at once.
        async with asyncio.timeout(1e6):
            async with asyncio.TaskGroup() as group:
                for number in range(limits.concurrency + 1):
                    group.create_task(send(realm, number))
        return results

    results = run_virtual(story(), clock)
    assert [number for number, result in enumerate(results) if result is None] == sorted(
        finished[: -limits.concurrency - 1]
    )
    assert all(is_cancelled for (_, is_cancelled), result in zip(waiters, results, strict=True) if result is not None)


def test_nobody_starts_while_the_realm_cools_down():
    """A wait that the server asked for holds everybody, whoever was told and however fast the rate."""
    clock = VirtualClock()
    starts = []

    async def send(realm):
        async with realm.start(NO_LIMIT_S) as start:
            starts.append(clock.now())
            realm.answered(start)

    async def story():
        realm = Realm(Limits(rate=("1/s",), concurrency=5), clock.now)
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(send(realm))
            await asyncio.sleep(1.5)  # somebody is waiting already
            realm.pace.cool_down(100.0)
            realm.pace.cool_down(50.0)

    run_virtual(story(), clock)
    assert len([at for at in starts if at < 1.5]) == 2
    assert [at for at in starts if 1.5 <= at < 100] == []
    assert len(starts) == 5


def test_a_wait_beyond_the_longest_is_not_sat_out():
    """Whoever waits, and whoever comes, is told for how long; nobody's slot or turn is lost."""
    clock = VirtualClock()

    async def ask(realm):
        try:
            async with realm.start(max_wait_s=60):
                return clock.now()
        except TooLong as wait:
            return f"wait {wait.wait_s:g} s"

    async def story():
        realm = Realm(Limits(concurrency=2), clock.now)
        realm.pace.cool_down(61.0)
        told = await asyncio.gather(*(ask(realm) for _ in range(5)))
        await asyncio.sleep(1)
        return told, await ask(realm)

    assert run_virtual(story(), clock) == (["wait 61 s"] * 5, 61.0)


@given(st.floats(0, 1e6), st.floats(0, 1e5), st.booleans())
def test_a_wait_that_an_answer_asks_for_is_the_realms_unless_it_is_about_a_job(now, wait_s, is_about_job):
    """From the moment at which it is read; a wait of nothing is none."""
    realm = Realm(Limits(), lambda: now)
    realm.obey(Hints(), Start(now))
    realm.obey(Hints(wait_s=wait_s), Start(now), is_about_job=is_about_job)
    assert realm.pace.told_until() == (float("-inf") if is_about_job or not wait_s else now + wait_s)
    realm.obey(Hints(wait_s=wait_s), Start(now))
    assert realm.pace.told_until() == (now + wait_s if wait_s else float("-inf"))


def test_an_allowance_that_an_answer_tells_of_is_for_the_starts_after_its_own():
    """By its name, from the moment at which it is read; an answer that comes late says nothing any more."""
    realm = Realm(Limits(), lambda: 1000.0)
    first, second = realm.pace.commit(1000.0), realm.pace.commit(1000.0)
    for start in (first, second):
        realm.answered(start)
    told = (ToldAllowance("day", 0, 60.0), ToldAllowance("hour", 7, 30.0))
    realm.obey(Hints(allowances=told), second)
    assert realm.pace.told_until() == 1060.0
    realm.obey(Hints(allowances=(ToldAllowance("day", 9, 90.0),)), first)
    assert realm.pace.told_until() == 1060.0
    third = realm.pace.commit(1000.0)
    realm.answered(third)
    realm.obey(Hints(allowances=(ToldAllowance("day", 9, 90.0), ToldAllowance("hour", 0, 30.0))), third)
    assert realm.pace.told_until() == 1030.0


@pytest.mark.parametrize(
    ("quota", "is_kept"),
    [
        (Quota("q", 2, 10.0), True),
        (Quota("q", 2, 10.0, "tokens"), False),
        (Quota("q", LARGEST_TOLD, 10.0), True),
        (Quota("q", LARGEST_TOLD + 1, 10.0), False),
        (Quota("q", 2, LONGEST_TOLD_S), True),
        (Quota("q", 2, LONGEST_TOLD_S + 1), False),
    ],
)
def test_a_window_that_an_answer_tells_of_is_kept_where_it_counts_requests(quota, is_kept):
    """Each for one, whatever it weighs for the job, and otherwise as the job keeps its own; none that is too large."""
    realm = Realm(Limits(headroom=0.2, smooth=False, strict=True), lambda: 0.0)
    realm.obey(Hints(quotas=(quota,)), Start(0.0))
    kept = Window(Rate(quota.units, quota.per_s), 0.2, is_smooth=False, is_strict=True, is_weighted=False)
    assert realm.pace.told_windows == ({"q": kept} if is_kept else {})


def test_what_an_answer_says_of_concurrency_caps_the_slots():
    """An answer that says nothing of it changes nothing, and nothing is capped where nobody looks after slots."""
    health = Health(Breaker(0.5, 60.0, random.Random(1)), Adaptive(8))
    realm = Realm(Limits(concurrency=8), lambda: 0.0, health=health)
    realm.obey(Hints(concurrency=3), Start(0.0))
    realm.obey(Hints(), Start(0.0))
    assert health.adaptive.slots == 3
    Realm(Limits(), lambda: 0.0).obey(Hints(concurrency=3), Start(0.0))


@pytest.mark.parametrize("early_s", [0.25, 60.0])
def test_whoever_waits_for_a_realm_hears_at_once_that_it_has_failed_for_too_long(early_s):
    """At the moment at which that is so, however long the wait for a start would still have been."""
    clock = VirtualClock(5000.0)

    async def story():
        health = Health(Breaker(0.5, 60.0, random.Random(1)), Adaptive(5))
        realm = Realm(Limits(rate=(f"{TRIALS}/h",), smooth=False), clock.now, health=health)
        for _ in range(TRIALS):
            async with realm.start(NO_LIMIT_S) as start:
                start.sign = Sign.BAD
        await asyncio.sleep(PATIENCE_UNPROVEN_S - early_s)
        with pytest.raises(Hopeless):
            async with realm.start(NO_LIMIT_S):
                pass
        return clock.now()

    assert run_virtual(story(), clock) == 5000.0 + PATIENCE_UNPROVEN_S


def test_the_first_starts_of_a_realm_keep_their_distance():
    """From when the one before has left, however long it has waited for its connection."""
    clock = VirtualClock(5000.0)

    async def story() -> tuple[float, float]:
        realm = Realm(Limits(rate=(Rate(100, 1.0),), headroom=0.0), clock.now)
        async with realm.start(NO_LIMIT_S) as first:
            await asyncio.sleep(1.0)
            realm.left(first)
            async with realm.start(NO_LIMIT_S) as second:
                return first.at, second.at

    first_at, second_at = run_virtual(story(), clock)
    assert second_at >= first_at + 0.01 + AT_FIRST_S - A_BIT_S


def test_starts_that_have_their_connections_together_leave_one_after_the_other():
    """None is held for longer than until the next is due: the fourth leaves with the third."""
    clock = VirtualClock(5000.0)

    async def leave(realm: Realm, start: Start) -> float:
        await realm.turn_to_leave(start)
        return clock.now() - 5000.0

    async def story() -> list[float]:
        realm = Realm(Limits(rate=(Rate(100, 1.0),), headroom=0.0), clock.now)
        starts = [realm.pace.commit(clock.now()) for _ in range(4)]
        return await asyncio.gather(*(leave(realm, start) for start in starts))

    assert run_virtual(story(), clock) == pytest.approx([0.0, 0.004, 0.01, 0.01], abs=1e-6)


def test_a_start_that_is_given_up_before_it_leaves_holds_nobody():
    clock = VirtualClock(5000.0)

    async def story() -> float:
        realm = Realm(Limits(rate=(Rate(100, 1.0),), headroom=0.0), clock.now)
        first, given_up, next_one = (realm.pace.commit(clock.now()) for _ in range(3))
        await realm.turn_to_leave(first)
        with suppress(TimeoutError):
            await asyncio.wait_for(realm.turn_to_leave(given_up), 0.001)
        await realm.turn_to_leave(next_one)
        return clock.now() - 5000.0

    assert run_virtual(story(), clock) == pytest.approx(0.004, abs=1e-6)


@given(st.lists(st.floats(0, 1e9), min_size=1))
def test_the_longest_wait_stays(untils):
    """A later, shorter wait never cuts an earlier one short."""
    cooled = Pace([])
    for until in untils:
        cooled.cool_down(until)
    assert cooled.ready_at() == max(untils)


@example(Rate(1, 1.0), False)
@example(Rate(2, 1.0), True)
@given(RATES, st.booleans())
def test_starts_are_spaced_evenly_above_one_a_second(rate, expected):
    """Unless the job says otherwise: servers with leaky buckets want it so."""
    expected = rate.starts > rate.per_s
    (window,) = pace(Limits(rate=(rate,))).windows
    assert window.is_smooth == expected
    assert [w.is_smooth for w in pace(Limits(rate=(rate,), smooth=not expected)).windows] == [not expected]


@given(st.integers(2, 50), st.floats(0, 1))
def test_smooth_starts_never_bunch(starts, late):
    """However late one start was, what is made up for behind it is no more than two fifths of the spacing."""
    window = Window(Rate(starts, 1.0), 0.0, is_smooth=True)
    at, times = 0.0, []
    for number in range(3 * starts):
        at = max(at, window.ready_at(0.0)) + (late if number == starts else 0.0)
        start = Start(at, round_trip_s=0.0)
        window.commit(start)
        times.append(at)
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) >= 0.6 / starts - A_BIT_S


@pytest.mark.parametrize(
    ("limits", "seconds"),
    [
        (Limits(), 0.0),
        (Limits(rate=("1/10 s",), headroom=0.0), 11.0),
        (Limits(rate=("1/10 s", "5/2 s"), headroom=0.2), 13.0),
        (Limits(rate=("5/day",)), 0.0),
    ],
)
def test_a_start_is_remembered_for_as_long_as_it_can_hold_another_back(limits, seconds):
    """The longest window, its headroom, and the tenth that a slow answer may add; a day is counted elsewhere."""
    assert horizon_s(pace(limits)) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("told", "key"),
    [
        (("https://a.example", {}, None), "0b0c4ff2a951636d00c7ac372fd436ce"),
        (("https://a.example:443/v1", {}, None), "0b0c4ff2a951636d00c7ac372fd436ce"),
        (("http://a.example:443", {}, None), "c665252eaf752c673c951885343f4b38"),
        (("http://a.example", {}, None), "5970d1eeb8f2bfa31a4cd1b21926d035"),
        (("http://a.example:80", {}, None), "5970d1eeb8f2bfa31a4cd1b21926d035"),
        (("other://a.example", {}, None), "62248634aa05a813e8914f2ff315e163"),
        (("https://a.example", {"X-Key": "1", "authorization": "2"}, None), "e8e0e271413a3196564ca39b2f21d94e"),
        (("https://a.example", {"authorization": "2", "x-key": "1"}, None), "e8e0e271413a3196564ca39b2f21d94e"),
        (("https://a.example", {}, "shop"), "35569037d14e6598ed2327c8648fd63f"),
        (("https://b.example", {"x-key": "1"}, "shop"), "35569037d14e6598ed2327c8648fd63f"),
    ],
)
def test_a_realm_keeps_its_key(told, key):
    """From version to version: its waits and starts lie under it. One origin has one, whichever way it is written."""
    assert realm_key(*told) == key
