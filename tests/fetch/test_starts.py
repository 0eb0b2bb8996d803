"""One realm, several processes, restarts: what the server sees exceeds no window. Here they share a virtual clock."""

import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.errors import DiskFailed
from fetcher.fetch import starts
from fetcher.fetch.limits import Realm, Shared, TooLong, realm_key
from fetcher.fetch.starts import Clocks, StartsLog
from fetcher.fetch.windows import Allowance, Pace, Window
from fetcher.job.sections import Limits
from fetcher.job.units import Rate
from fetcher.testing.clock import VirtualClock, run_virtual
from tests.stories.conftest import ROOT

A_BIT_S = 1e-9
NOW = 1.7e9
NOW_OR_BEFORE = float("-inf")


@dataclass
class Machine:
    """A clock and a folder that processes share; `skew_s` is how far the wall's clock is ahead."""

    folder: Path
    clock: VirtualClock
    skew_s: float = 0.0
    boot: int = 1

    def realm(self, limits: Limits, key: str = "realm", job: str = "job") -> Realm:
        clocks = Clocks(self.clock.now, lambda: NOW + self.clock.now() + self.skew_s, self.boot)
        return Realm(limits, self.clock.now, Shared(self.folder, key, job, clocks))


@contextmanager
def machine():
    with tempfile.TemporaryDirectory() as folder:
        yield Machine(Path(folder), VirtualClock(1000.0))


def kill(realm: Realm) -> None:
    """What the system does with the files of a process that is killed."""
    log = realm._log
    assert log
    for number in (log._file, log._lock, log._life):
        os.close(number)
    realm._log = None
    realm._rations = None


def crowded(arrivals, starts_most, per_s):
    in_order = sorted(arrivals)
    return [
        (first, last)
        for first, last in zip(in_order, in_order[starts_most:], strict=False)
        if last - first < per_s - A_BIT_S
    ]


async def ask(realm, clock, arrived, way_s=0.0, weight=1):
    async with realm.start(float("inf"), weight) as start:
        await asyncio.sleep(way_s)
        realm.left(start)
        arrived.append(clock.now())
        realm.answered(start)


LIVES = st.lists(
    st.tuples(st.lists(st.floats(0, 2), min_size=1, max_size=8), st.floats(0, 12), st.booleans()),
    min_size=2,
    max_size=4,
)


@settings(max_examples=60)
@given(
    LIVES,
    st.integers(1, 5),
    st.sampled_from([None, True, False]),
    st.booleans(),
    st.lists(st.floats(-1e6, 1e6), min_size=1),
    st.sampled_from([1_000_000, 0]),
)
def test_no_window_is_exceeded_by_all_that_share_it(lives, rate, smooth, strict, jumps, compacted_bytes):
    """Processes begin, end and are killed, the wall's clock jumps, the log is compacted: the windows hold.

    Each life is: pauses between its requests, when it begins, whether it is killed before it is done.
    """
    limits = Limits(rate=(f"{rate}/10 s",), smooth=smooth, strict=strict, concurrency=3)
    arrived: list[float] = []

    async def live(pauses, begins_s, is_killed, skew_s):
        await asyncio.sleep(begins_s)
        here.skew_s = skew_s
        realm = await here.realm(limits).__aenter__()
        asking = []
        for pause_s in pauses:
            await asyncio.sleep(pause_s)
            asking.append(asyncio.ensure_future(ask(realm, here.clock, arrived, 0.05)))
        if is_killed:
            await asyncio.sleep(3)
            kill(realm)
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        else:
            await asyncio.gather(*asking)
            await realm.__aexit__(None, None, None)

    async def story():
        async with asyncio.TaskGroup() as group:
            for life, skew_s in zip(lives, itertools.cycle(jumps)):
                pauses, begins_s, is_killed = life
                group.create_task(live(pauses, begins_s, is_killed, skew_s))

    before, starts.COMPACTED_BYTES = starts.COMPACTED_BYTES, compacted_bytes
    try:
        with machine() as here:
            run_virtual(story(), here.clock)
    finally:
        starts.COMPACTED_BYTES = before
    assert crowded(arrived, rate, 10.0) == []
    assert len(arrived) >= sum(len(pauses) for pauses, _, is_killed in lives if not is_killed)


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_new_start_of_the_program_knows_of_the_starts_before_it(is_killed):
    """Whether the run before ended or was killed: the window of an hour is not begun anew."""

    async def story():
        first = await here.realm(limits).__aenter__()
        await ask(first, here.clock, arrived)
        await ask(first, here.clock, arrived)
        if is_killed:
            kill(first)
        else:
            await first.__aexit__(None, None, None)
        async with here.realm(limits) as second:
            await ask(second, here.clock, arrived)

    arrived: list[float] = []
    limits = Limits(rate=("2/h",), headroom=0.0)
    with machine() as here:
        run_virtual(story(), here.clock)
    assert arrived[:2] == [1000.0, 1000.0]
    assert arrived[2] >= 4600.0


def test_the_share_of_one_that_was_killed_is_free_within_a_window():
    """Even of a request that had no connection yet, of which nobody can know whether it left."""

    async def story():
        first = await here.realm(limits).__aenter__()
        asking = asyncio.ensure_future(ask(first, here.clock, arrived, way_s=1e6))
        await asyncio.sleep(1)
        async with here.realm(limits) as second:
            waiting = asyncio.ensure_future(ask(second, here.clock, arrived))
            await asyncio.sleep(20)
            assert arrived == [], "who is only slow keeps its share"
            kill(first)
            asking.cancel()
            await waiting

    arrived: list[float] = []
    limits = Limits(rate=("1/10 s",), headroom=0.0)
    with machine() as here:
        run_virtual(story(), here.clock)
    assert 1031.0 <= arrived[0] <= 1032.1


def test_after_the_machine_has_started_anew_starts_count_by_the_walls_clock():
    """The monotonic clock begins anew then; a wall that has gone back makes waits longer, never shorter."""

    async def once(at_most: float) -> None:
        async with here.realm(limits) as realm:
            await ask(realm, here.clock, arrived)

    limits = Limits(rate=("1/100 s",), headroom=0.0)
    arrived: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        here = Machine(Path(folder), VirtualClock(5000.0))
        run_virtual(once(0), here.clock)
        here = Machine(Path(folder), VirtualClock(10.0), skew_s=5030.0, boot=2)  # 40 seconds later by the wall
        run_virtual(once(0), here.clock)
        assert arrived == [5000.0, pytest.approx(70.0)]
        here = Machine(Path(folder), VirtualClock(10.0), skew_s=0.0, boot=3)
        run_virtual(once(0), here.clock)
        assert arrived[2] >= 110.0


PAUSES = st.lists(st.tuples(st.floats(0, 3), st.floats(0, 1)), min_size=1, max_size=25)
LIMITS = st.builds(
    Limits,
    rate=st.lists(st.sampled_from(["1/s", "3/s", "4/10 s"]), min_size=1, max_size=2),
    spacing=st.sampled_from([None, "2 s"]),
    smooth=st.sampled_from([None, True, False]),
    strict=st.booleans(),
    concurrency=st.integers(1, 4),
)


@settings(max_examples=60)
@given(LIMITS, PAUSES)
def test_who_is_alone_starts_as_if_there_were_no_log(limits, requests):
    """To share costs nobody a moment who shares with none: in the same order, at the same times."""

    async def send(realm, number, way_s, started):
        async with realm.start(float("inf")) as start:
            started.append((number, here.clock.now()))
            await asyncio.sleep(way_s)
            realm.left(start)
            await asyncio.sleep(way_s)
            realm.answered(start)

    async def story(realm, started):
        began = here.clock.now()
        async with realm, asyncio.TaskGroup() as group:
            for number, (pause_s, way_s) in enumerate(requests):
                await asyncio.sleep(pause_s)
                group.create_task(send(realm, number, way_s, started))
        return began

    with machine() as here:
        alone: list[tuple[int, float]] = []
        shared: list[tuple[int, float]] = []
        run_virtual(story(Realm(limits, here.clock.now), alone), here.clock)
        here.clock = VirtualClock(1000.0)
        run_virtual(story(here.realm(limits), shared), here.clock)
    assert [number for number, _ in shared] == list(range(len(requests)))
    assert shared == alone


def test_what_is_written_while_the_log_is_compacted_is_not_lost(monkeypatch):
    """Answers are written without the lock, so also between the copy and its taking the old file's place."""

    async def story():
        async with here.realm(limits) as first, first.start(1.0) as start:
            rename = Path.rename

            def answered_meanwhile(old: Path, new: Path) -> Path:
                first.left(start)
                first.answered(start)
                return rename(old, new)

            monkeypatch.setattr(Path, "rename", answered_meanwhile)
            async with here.realm(limits) as second, second.start(60.0):
                return here.clock.now()

    limits = Limits(rate=("1/10 s",), headroom=0.0, strict=True)
    with machine() as here:
        assert run_virtual(story(), here.clock) == pytest.approx(1010.0, abs=0.1)


def test_what_is_over_is_removed():
    """Marks of processes that were killed, at the realm's next start; logs that nobody has used for long, at any."""

    async def story():
        old = await here.realm(Limits(), "old").__aenter__()
        await old.__aexit__(None, None, None)
        kill(await here.realm(Limits()).__aenter__())
        os.utime(here.folder / "starts" / "old.log", (NOW, NOW - 50 * 86400))
        async with here.realm(Limits()):
            left = {path.suffix for path in (here.folder / "starts").iterdir() if "old" in path.name}
            assert left == {".lock"}
            assert len(list((here.folder / "starts").glob("*.alive"))) == 1
        assert list((here.folder / "starts").glob("*.alive")) == []

    with machine() as here:
        run_virtual(story(), here.clock)


def test_an_unrelated_realm_never_waits():
    """One realm cools down for a day; the other's starts leave at once."""

    async def story():
        async with here.realm(limits, "one") as one, here.realm(limits, "other") as other:
            one.cool_down(here.clock.now() + 86400)
            await ask(other, here.clock, arrived)
            with pytest.raises(TooLong, match="86400 s"):
                async with one.start(60.0):
                    pass

    arrived: list[float] = []
    limits = Limits(rate=("1/s",))
    with machine() as here:
        run_virtual(story(), here.clock)
    assert arrived == [1000.0]


@pytest.mark.parametrize("tell", ["wait", "allowance"])
@pytest.mark.parametrize("boot", [1, 2])
def test_a_long_wait_is_kept_over_restarts_and_told_to_others(tell, boot):
    """A run that is on, a run after it, and a run after the machine has started anew: none sends anything before."""

    async def closed_for(realm) -> float:
        try:
            async with realm.start(120.0):
                return 0.0
        except TooLong as wait:
            assert wait.wait_s
            return wait.wait_s

    async def story():
        async with here.realm(Limits()) as first, here.realm(Limits()) as second:
            if tell == "wait":
                first.cool_down(here.clock.now() + 3600)
                assert await closed_for(second) == 3600
            else:
                first.told(Allowance("daily", 0, here.clock.now() + 3600))
                assert await closed_for(first) == 3600
        here.boot = boot
        await asyncio.sleep(600)
        async with here.realm(Limits()) as third:
            assert await closed_for(third) == pytest.approx(3000)
            await asyncio.sleep(3000.1)
            assert await closed_for(third) == 0

    with machine() as here:
        run_virtual(story(), here.clock)


@settings(max_examples=25)
@given(st.integers(1, 30), st.lists(st.integers(1, 3), min_size=1, max_size=30), st.booleans())
def test_a_day_is_used_to_its_last_and_not_beyond(limit, weights, is_shared):
    """By one run or by two at once; what the first has not used, the next has; then all wait for its end."""

    async def spend(realm, weight):
        try:
            async with realm.start(120.0, weight) as start:
                realm.answered(start)
                spent.append(weight)
        except TooLong as wait:
            ends = 86400 - (NOW + here.clock.now()) % 86400
            assert wait.wait_s == pytest.approx(ends + 1.0)
            assert "/day' is used up" in str(wait)

    async def story():
        async with here.realm(limits) as one, here.realm(limits) as two:
            for number, weight in enumerate(weights):
                await spend(two if is_shared and number % 2 else one, weight)
        async with here.realm(limits) as three:
            for _ in range(limit):
                await spend(three, 1)
            assert sum(spent) == limit
            await asyncio.sleep(86402)
            await spend(three, 1)
            assert sum(spent) == limit + 1

    spent: list[int] = []
    limits = Limits(rate=(f"{limit}/day",))
    with machine() as here:
        run_virtual(story(), here.clock)


def test_a_clean_end_gives_back_what_it_had_in_hand():
    """Shares are reserved by the hundredth; the next run has all of what was not sent."""

    async def story():
        async with here.realm(limits) as first:
            await ask(first, here.clock, made)
        async with here.realm(limits) as second:
            while True:
                try:
                    async with second.start(0.0) as start:
                        second.answered(start)
                        made.append(0.0)
                except TooLong:
                    return

    made: list[float] = []
    limits = Limits(rate=("500/day",))
    with machine() as here:
        run_virtual(story(), here.clock)
    assert len(made) == 500


def test_a_day_that_ends_soon_is_waited_for_by_whoever_may_wait_so_long():
    """Until a second after its end, and then there is a whole day; each realm has a day of its own."""

    async def story():
        here.skew_s = 86400 - 60 - (NOW + here.clock.now()) % 86400
        limits = Limits(rate=("1/day",))
        async with here.realm(limits) as realm, here.realm(limits, key="other") as other:
            began = here.clock.now()
            await ask(realm, here.clock, made)
            with pytest.raises(TooLong) as told:
                async with realm.start(60.999):
                    pass
            assert told.value.wait_s == 61.0
            async with other.start(0.0):
                assert here.clock.now() == began
            async with realm.start(61.0):
                assert here.clock.now() == began + 61.0

    made: list[float] = []
    with machine() as here:
        run_virtual(story(), here.clock)


@pytest.mark.parametrize("jump_s", [86400.0, -86400.0])
def test_a_wall_clock_that_jumps_gives_no_second_day(jump_s):
    """Whichever clock is right, its day is not exceeded."""

    async def story():
        async with here.realm(Limits(rate=("5/day",))) as realm:
            for number in range(12):
                here.skew_s = jump_s if number >= 3 else 0.0
                with suppress(TooLong):
                    async with realm.start(0.0) as start:
                        realm.answered(start)
                        made.append(number)

    made: list[int] = []
    with machine() as here:
        run_virtual(story(), here.clock)
    assert len(made) == 5


@pytest.mark.parametrize(
    ("limits", "most", "said"),
    [
        ({"max_requests": 7}, 7, "max_requests = 7"),
        ({"budget": {"cost_per_request": 0.1, "total": 0.7}}, 7, "budget of 0.7"),
        ({"budget": {"cost_per_request": 0.002, "total": 0.0079}}, 3, "budget of 0.0079"),
        ({"budget": {"cost_per_1000": 0.4, "total": 0.0079}}, 3, "budget of 0.0079"),
        ({"budget": {"cost_per_1000": 0.2, "cost_per_request": 0.001, "total": 0.0079}}, 3, "budget of 0.0079"),
    ],
)
def test_a_hard_stop_is_never_exceeded_by_one_over_all_runs(limits, most, said):
    """What is left to one run is left to the next; another job has its own. No wait ends it."""

    async def run(job: str, requests: int) -> list[str]:
        told = []
        async with here.realm(Limits(**limits), job=job) as realm:
            for _ in range(requests):
                try:
                    async with realm.start(1e9, 5) as start:
                        realm.answered(start)
                        made.append(job)
                except TooLong as end:
                    assert end.wait_s is None
                    told.append(str(end))
        return told

    async def story():
        assert await run("job", 2) == []
        told = await run("job", 20)
        assert len(told) == 22 - most
        assert said in told[0]
        assert await run("other", 1) == []

    made: list[str] = []
    with machine() as here:
        run_virtual(story(), here.clock)
    assert made.count("job") == most


def test_a_realm_is_an_origin_and_a_credential_unless_it_is_named():
    """No secret can be read out of a key, and how an origin is written makes no difference."""
    key = realm_key("https://API.example.org/v1", {"Authorization": "Bearer s3cret"}, None)
    assert key == realm_key("https://api.example.org:443/v2", {"authorization": "Bearer s3cret"}, None)
    assert key != realm_key("https://api.example.org/v1", {"Authorization": "Bearer another"}, None)
    assert key != realm_key("http://api.example.org/v1", {"Authorization": "Bearer s3cret"}, None)
    assert realm_key("", {}, "mine") == realm_key("", {}, "mine") != realm_key("", {}, "yours")
    assert "s3cret" not in key


def test_four_processes_share_a_window_also_when_one_is_killed(tmp_path):
    """Real ones, over a real clock: what they print is what a server would see."""
    program = [sys.executable, str(ROOT / "tests" / "fetch" / "sharers.py"), str(tmp_path), "20/s", "0.005"]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    running = [subprocess.Popen(program, stdout=subprocess.PIPE, env=environ) for _ in range(4)]
    told = []
    try:
        for number in (0, 1, 2, 3, *[1, 2, 3] * 8):
            process = running[number]
            assert process.stdout
            told.append(process.stdout.readline())
            if number == 3:
                running[0].kill()
    finally:
        for process in running:
            process.kill()
            told += process.communicate()[0].splitlines()
    arrived = [float(line) for line in told]
    assert len(arrived) >= 28
    assert crowded(arrived, 20, 1.0) == []


@pytest.mark.parametrize(("rate", "per_s"), [(10, 1.0), (6, 10.0), (100, 1.0)])
def test_four_that_share_use_what_they_may(rate, per_s):
    """At least 95 % of the limit, by a clock on which nothing is late: nobody sleeps while a start is allowed."""

    async def keep_asking(realm):
        async def one_after_another():
            while here.clock.now() < 1000.0 + 100 * per_s:
                await ask(realm, here.clock, arrived, 0.003)

        async with realm:
            await asyncio.gather(*(one_after_another() for _ in range(4)))

    async def story():
        await asyncio.gather(*(keep_asking(here.realm(limits)) for _ in range(4)))

    arrived: list[float] = []
    limits = Limits(rate=(f"{rate}/{per_s:g} s",))
    with machine() as here:
        run_virtual(story(), here.clock)
    assert crowded(arrived, rate, per_s) == []
    assert sum(at < 1000.0 + 100 * per_s for at in arrived) >= 0.95 * 100 * rate


@pytest.mark.parametrize("has_left", [False, True])
def test_a_start_from_before_a_reboot_still_counts(tmp_path, has_left):
    """Its process is gone and the clock began anew: it counts from when it can have arrived, by the wall's clock."""

    def opened_in(boot: int, now: float, wall: float) -> StartsLog:
        pace = Pace([Window(Rate(1, 3600.0), 0.0, False)])
        log = StartsLog(tmp_path / "realm.log", pace, 3600.0, Clocks(lambda: now, lambda: wall, boot))
        log.open()
        return log

    old = opened_in(1, 1_000_000.0, 5e9)
    with old.turn():
        start = old.pace.commit(1_000_000.0)
        old.made(start)
    if has_left:
        old.pace.left(start, 1_000_000.0)
        old.left(start)
    for number in (old._file, old._lock, old._life):
        os.close(number)
    new = opened_in(2, 100.0, 5e9 + 60)
    assert new.pace.ready_at() >= 100.0 + 3540
    new.close()


def wait_after(world: Machine, *words):
    """Until when a run may send nothing after others were told something by the server, and the machine restarted."""

    async def story():
        for word in words:
            async with world.realm(Limits()) as realm:
                word(realm)
        # The log of starts keeps waits for as long as the machine runs: only what was saved is asked for here.
        world.boot, world.skew_s = 2, 1e-4
        async with world.realm(Limits()) as realm:
            return realm.pace.told_until()

    return run_virtual(story(), world.clock)


@pytest.mark.parametrize(
    ("words", "until"),
    [
        ([lambda realm: realm.told(Allowance("day", 0, 1100.0))], 1100.0),
        ([lambda realm: realm.told(Allowance("day", 1, 1100.0))], NOW_OR_BEFORE),
        ([lambda realm: realm.cool_down(1005.0)], NOW_OR_BEFORE),
        ([lambda realm: realm.cool_down(1005.5)], 1005.5),
        ([lambda realm: realm.told(Allowance("day", 0, 1004.0))], NOW_OR_BEFORE),
        ([lambda realm: (realm.cool_down(1100.0), realm.cool_down(1100.9))], 1100.0),
        ([lambda realm: (realm.cool_down(1100.0), realm.cool_down(1101.0))], 1100.0),
        ([lambda realm: (realm.cool_down(1100.0), realm.cool_down(1101.1))], 1101.1),
        ([lambda realm: (realm.cool_down(1100.0), realm.told(Allowance("", 5, 1100.0)))], 1100.0),
        (
            [
                lambda realm: (
                    realm.told(Allowance("day", 0, 1100.0)),
                    realm.told(Allowance("hour", 0, 1050.0)),
                    realm.told(Allowance("day", 5, 1100.0)),
                )
            ],
            1050.0,
        ),
        ([lambda realm: realm.cool_down(1100.0), lambda realm: realm.cool_down(1050.0)], 1100.0),
    ],
)
def test_the_next_run_knows_what_the_server_said(words, until):
    """Waits of more than five seconds, to the second; of an allowance the newest word, also that there is more."""
    with machine() as world:
        found = wait_after(world, *words)
        if until == NOW_OR_BEFORE:
            assert found <= world.clock.now()
        else:
            assert found == pytest.approx(until, abs=1e-3)


def test_a_wait_that_cannot_be_kept_is_told_when_the_realm_closes():
    """The disk is never passed over; of waits that are kept nothing is held on to."""
    with machine() as world:

        async def story(is_broken: bool):
            async with world.realm(Limits()) as realm:
                if is_broken:
                    (world.folder / "quotas.sqlite").unlink()
                    (world.folder / "quotas.sqlite").mkdir()
                realm.cool_down(world.clock.now() + 100.0)
                await asyncio.sleep(1.0)
                assert len(realm._saving) == is_broken

        run_virtual(story(is_broken=False), world.clock)
        with pytest.raises(DiskFailed):
            run_virtual(story(is_broken=True), world.clock)


def test_what_an_answer_tells_of_its_cost_counts_for_all_that_share():
    """In this process and the others, in windows and on the day; a hard stop counts requests, whatever they weigh."""
    limits = Limits(rate=("10/10 s", "21/day"), max_requests=4, headroom=0.0, smooth=False)
    with machine() as world:

        async def story():
            async with world.realm(limits) as one, world.realm(limits) as other:
                for cost in (3, 9, 1):
                    async with one.start(0.0, 3) as start:
                        one.left(start)
                        one.answered(start)
                        one.settle(start, cost)
                        if cost == 9:
                            assert [ready(one, 1), ready(other, 1)] == [1010.0] * 2
                            assert [ready(one, 2), ready(other, 2)] == [1020.0] * 2
                    await asyncio.sleep(10.0)
                # 13 of the day's 21 are used: eight are left, and no ninth.
                with pytest.raises(TooLong):
                    async with one.start(0.0, 9):
                        pass
                async with one.start(0.0, 7):
                    pass
                with pytest.raises(TooLong, match="max_requests = 4 is used up"):
                    async with one.start(0.0, 1):
                        pass

        def ready(realm, weight):
            with realm._in_turn():
                return realm.pace.ready_at(weight)

        run_virtual(story(), world.clock)


@pytest.mark.parametrize(("told", "most"), [(10, 5), (5, 10), (20, 3)])
def test_money_is_counted_by_what_answers_tell(told, most):
    """A start is paid for by its guess until its answer says what it was; what was too little is owed."""

    async def run(requests: int) -> None:
        async with here.realm(Limits(budget={"cost_per_1000": 100, "total": 5}), job="job") as realm:
            for _ in range(requests):
                with suppress(TooLong):
                    async with realm.start(1e9, 10) as start:
                        realm.answered(start)
                        realm.settle(start, told)
                        made.append(told)

    async def story():
        await run(2)
        await run(20)

    made: list[int] = []
    with machine() as here:
        run_virtual(story(), here.clock)
    assert len(made) in (most, most - 1)  # the last one has to be paid for by its guess
    assert sum(made) <= 50 + told - 10 if told > 10 else sum(made) <= 50
