import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from stat import S_IMODE

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import DiskFailed
from fetcher.fetch.absent import Absent
from fetcher.fetch.cache import Cache, Label
from fetcher.fetch.columns import About, columns
from fetcher.fetch.stored import Stored
from fetcher.model import Response

ALWAYS = float("-inf")
FETCHED_AT = 1_700_000_000.25
ANSWER = Response(200, (("Content-Type", "text/plain"), ("X-Twice", "a"), ("X-Twice", "b")), b"body", FETCHED_AT)
HEADERS = st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8)), max_size=4).map(tuple)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cache.sqlite"


def kept(answer):
    """The same answer, as it comes from the cache."""
    return Response(answer.status, answer.headers, answer.body, answer.fetched_at, from_cache=True)


@given(st.builds(Response, st.integers(100, 599), HEADERS, st.binary(max_size=300), st.floats(0, 4e9)))
def test_an_answer_comes_back_as_it_was_kept(tmp_path_factory, answer):
    """Status, headers in order and repeated, body and time: to the byte, after a restart too."""
    path = tmp_path_factory.mktemp("cache") / "cache.sqlite"

    async def story():
        async with Cache(path) as cache:
            await cache.put("key", answer)
            assert cache.find("key", ALWAYS) == kept(answer)
            assert cache.find("another", ALWAYS) is None
        async with Cache(path) as cache:
            assert cache.find("key", ALWAYS) == kept(answer)

    asyncio.run(story())


async def test_an_answer_is_used_up_to_its_age(path):
    """Kept since exactly `not_before` counts; earlier does not."""
    async with Cache(path) as cache:
        await cache.put("key", ANSWER)
        assert cache.find("key", FETCHED_AT) == kept(ANSWER)
        assert cache.find("key", FETCHED_AT + 0.001) is None


async def test_the_latest_answer_replaces_the_one_before(path):
    """One answer a request."""
    async with Cache(path) as cache:
        await cache.put("key", ANSWER)
        newer = Response(200, (), b"newer", FETCHED_AT + 1)
        await cache.put("key", newer)
        assert cache.find("key", ALWAYS) == kept(newer)


async def test_a_thousand_puts_at_once_share_a_few_commits(path):
    """Every answer is there when its put returns; those that wait go into one transaction together."""
    async with Cache(path) as cache:
        commits = []
        cache._writer.set_trace_callback(lambda sql: commits.append(sql) if sql.startswith("COMMIT") else None)

        async def put(number):
            answer = Response(200, (), b"%d" % number, FETCHED_AT)
            await cache.put(str(number), answer)
            assert cache.find(str(number), ALWAYS) == kept(answer)

        await asyncio.gather(*(put(number) for number in range(1000)))
        assert 1 <= len(commits) <= 10


async def test_answers_that_come_a_turn_of_the_loop_apart_share_a_commit(path):
    """A transaction waits for what is on its way already; each has a sync of its own otherwise."""
    async with Cache(path) as cache:
        commits = []
        cache._writer.set_trace_callback(lambda sql: commits.append(sql) if sql.startswith("COMMIT") else None)

        async def put(turns):
            for _ in range(turns):
                await asyncio.sleep(0)
            await cache.put(str(turns), ANSWER)

        await asyncio.gather(*(put(turns) for turns in range(3)))
        assert len(commits) == 1


async def test_cancelling_puts_harms_no_other(path):
    """Nobody writes beside a thread that still does; what a put promised to the others holds."""
    async with Cache(path) as cache:
        puts = [asyncio.create_task(cache.put(str(number), ANSWER)) for number in range(60)]
        for number in range(0, 60, 3):
            await asyncio.sleep(0)
            puts[number].cancel()
            puts.append(asyncio.create_task(cache.put(f"after {number}", ANSWER)))
        ended = await asyncio.gather(*puts, return_exceptions=True)
        assert {type(result) for result in ended} <= {type(None), asyncio.CancelledError}
        assert [
            number for number in range(60) if ended[number] is None and cache.find(str(number), ALWAYS) is None
        ] == []
        assert all(cache.find(f"after {number}", ALWAYS) for number in range(0, 60, 3))


async def test_leaving_waits_for_a_write_that_was_cancelled(path):
    """The connection is not closed under the thread that uses it."""
    for _ in range(20):
        async with Cache(path) as cache:
            putting = asyncio.create_task(cache.put("key", Response(200, (), os.urandom(2_000_000), FETCHED_AT)))
            for _ in range(3):
                await asyncio.sleep(0)
            putting.cancel()
        async with Cache(path) as cache:
            assert cache.find("key", ALWAYS)


async def test_a_failed_write_fails_everyone_whose_answer_was_in_it(path):
    """No put returns as if its answer were safe."""
    async with Cache(path) as cache:
        cache._writer.execute("PRAGMA query_only = ON")
        ended = await asyncio.gather(*(cache.put(str(number), ANSWER) for number in range(5)), return_exceptions=True)
        assert [type(error) for error in ended] == [DiskFailed] * 5
        assert str(path) in str(ended[0])


def test_answers_survive_the_death_of_the_process(path):
    """What a put has returned for is there after kill -9."""
    program = f"""
import asyncio, os, signal
from pathlib import Path
from fetcher.fetch.cache import Cache, Label
from fetcher.fetch.columns import About, columns
from fetcher.fetch.stored import Stored
from fetcher.model import Response

async def story():
    async with Cache(Path({str(path)!r})) as cache:
        await asyncio.gather(*(cache.put(str(n), Response(200, (), b"%d" % n, 1.0)) for n in range(50)))
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(story())
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL

    async def story():
        async with Cache(path) as cache:
            found = [cache.find(str(number), ALWAYS) for number in range(50)]
            assert [kept.body for kept in found if kept] == [b"%d" % n for n in range(50)]

    asyncio.run(story())


async def enter(path):
    async with Cache(path):
        pass


def foreign(path):
    """A database of another program."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE cookies (name TEXT)")


def of_a_later_version(path):
    """A cache that a later version has written."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA application_id = 0x66746368")
        connection.execute("PRAGMA user_version = 99")


def with_other_columns(path):
    """A table of the same name that is about something else."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE answers (question TEXT, answer TEXT)")


def garbage(path):
    """Not a database, but long enough to look like one."""
    path.write_bytes(b"not a database" * 500)


def half_garbage(path):
    """A database's first bytes, and then none."""
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 5000)


@pytest.mark.parametrize("spoil", [foreign, of_a_later_version, with_other_columns, garbage, half_garbage])
async def test_a_file_that_is_no_cache_of_ours_is_set_aside(path, caplog, spoil):
    """Nothing but requests is lost with it, so the run goes on; its bytes stay, and the log says where."""
    spoil(path)
    before = path.read_bytes()
    async with Cache(path) as cache:
        assert cache.find("key", ALWAYS) is None
        await cache.put("key", ANSWER)
        assert cache.find("key", ALWAYS) == kept(ANSWER)
    assert path.with_name("cache.sqlite.set-aside").read_bytes() == before
    assert "set aside as cache.sqlite.set-aside" in caplog.text


@pytest.mark.parametrize("column", ["headers", "body"])
async def test_a_damaged_answer_is_none(path, caplog, column):
    """What cannot be read is asked for again, and replaced; the others stay."""
    async with Cache(path) as cache:
        await cache.put("key", ANSWER)
        await cache.put("sound", ANSWER)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE answers SET {column} = x'00ff' WHERE request_key = 'key'")
    async with Cache(path) as cache:
        assert cache.find("key", ALWAYS) is None
        assert "it is asked for again" in caplog.text
        assert cache.find("sound", ALWAYS) == kept(ANSWER)
        await cache.put("key", ANSWER)
        assert cache.find("key", ALWAYS) == kept(ANSWER)


@pytest.mark.parametrize("part", ["overwritten", "truncated"])
async def test_damage_that_is_met_on_the_way_sets_the_file_aside(path, caplog, part):
    """A file whose first page is whole and whose others are not: nothing it says is used, and what comes is kept."""
    async with Cache(path) as cache:
        for number in range(50):
            await cache.put(str(number), Response(200, (), os.urandom(4000), FETCHED_AT))
    content = path.read_bytes()
    path.write_bytes(content[:8192] if part == "truncated" else content[:4096] + b"\xff" * (len(content) - 4096))
    async with Cache(path) as cache:
        found = [cache.find(str(number), ALWAYS) for number in range(50)]
        assert found == [None] * 50
        await cache.put("new", ANSWER)
        assert cache.find("new", ALWAYS) == kept(ANSWER)
    assert "set aside" in caplog.text
    async with Cache(path) as cache:
        assert cache.find("new", ALWAYS) == kept(ANSWER)


async def test_a_file_of_the_first_version_keeps_its_answers(path):
    """The table gains columns; what was kept before is found, and may be replaced."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "CREATE TABLE answers (id INTEGER PRIMARY KEY, request_key TEXT NOT NULL UNIQUE, status INTEGER NOT NULL, "
            "headers BLOB NOT NULL, body BLOB NOT NULL, fetched_at REAL NOT NULL)"
        )
        row = columns("key", ANSWER, None, ("", "", 0.0))[:5]
        connection.execute("INSERT INTO answers VALUES (1, ?, ?, ?, ?, ?)", row)
    for _ in range(2):
        async with Cache(path) as cache:
            assert cache.find("key", ALWAYS) == kept(ANSWER)
    assert not path.with_name("cache.sqlite.set-aside").exists()


SECOND_VERSION = """
CREATE TABLE answers (id INTEGER PRIMARY KEY, request_key TEXT NOT NULL UNIQUE, status INTEGER NOT NULL,
    headers BLOB NOT NULL, body BLOB NOT NULL, fetched_at REAL NOT NULL, target TEXT, about BLOB, label TEXT,
    row_key TEXT, used_at REAL, size INTEGER);
CREATE INDEX answers_by_target ON answers (target) WHERE target IS NOT NULL;
PRAGMA application_id = 1718903656;
PRAGMA user_version = 2;
"""


async def test_a_file_of_the_second_version_keeps_its_answers(path):
    """What was found by a column of its own is found by its key; facts stay as they are."""
    values = columns("key", ANSWER, None, ("", "", 0.0))[:5]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SECOND_VERSION)
        for target, key in ((None, "key"), ("aa", "one"), ("aa", "two"), ("ab", "three")):
            about = msgspec.json.encode(About(FETCHED_AT, "", {"accept": key}))
            row = (key, *values[1:], target, about if target else None)
            connection.execute(
                "INSERT INTO answers (request_key, status, headers, body, fetched_at, target, about) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                row,
            )
    for _ in range(2):
        async with Cache(path) as cache:
            assert cache.find("key", ALWAYS) == kept(ANSWER)
            whole = [cache.whole(it) for it in cache.variants("aa")]
            assert [it.response for it in whole if it] == [kept(ANSWER)] * 2
            assert len(cache.variants("ab")) == 1
    async with Cache(path) as cache:
        await cache.put_variant("aa", Stored(ANSWER, FETCHED_AT, "", {"accept": "one"}))
    async with Cache(path) as cache:
        assert len(cache.variants("aa")) == 2
        await cache.forget("aa")
        assert not cache.variants("aa")
        assert len(cache.variants("ab")) == 1


@given(st.lists(st.tuples(st.integers(0, 150), st.integers(0, 3)), max_size=300))
def test_many_puts_at_once_are_kept_each_under_its_own_number(tmp_path_factory, puts):
    """Of equal variants the last; others of that target stay. The same while held in memory and from the file."""
    path = tmp_path_factory.mktemp("cache") / "cache.sqlite"

    def answer(place, variant):
        response = Response(200, (), f"{place}".encode(), FETCHED_AT)
        return Stored(response, FETCHED_AT, "", {"accept": str(variant)})

    async def story():
        wanted: dict[str, dict[str, bytes]] = {}
        numbered = [(place, f"t{target}", variant) for place, (target, variant) in enumerate(puts)]
        async with Cache(path) as cache:
            await asyncio.gather(*(cache.put_variant(target, answer(place, it)) for place, target, it in numbered))
            for place, target, variant in numbered:
                wanted.setdefault(target, {})[str(variant)] = str(place).encode()
            held = {target: found(cache, target) for target in wanted}
        async with Cache(path) as cache:
            assert held == {target: found(cache, target) for target in wanted} == wanted

    def found(cache, target):
        return {it.selecting["accept"]: cache.whole(it).response.body for it in cache.variants(target)}

    asyncio.run(story())


async def test_what_another_process_keeps_is_found_though_the_cache_began_empty(path):
    """It is known not to be there until somebody else has written."""
    async with Cache(path) as cache:
        assert cache.find("theirs", ALWAYS) is None
        async with Cache(path) as theirs:
            await theirs.put("theirs", ANSWER)
        await cache.put("mine", ANSWER)
        assert cache.find("theirs", ALWAYS) == kept(ANSWER)


@pytest.mark.parametrize("size", [10, 150_000])
async def test_an_answer_whose_number_was_another_s_has_its_own_body(path, size):
    """The number of a row that is gone is given out again."""
    old, new = (replace(ANSWER, body=letter * size) for letter in (b"o", b"n"))
    async with Cache(path) as cache:
        await cache.put_variant("theirs", Stored(old, FETCHED_AT, "", {}))
    async with Cache(path) as cache:
        assert [cache.whole(it) for it in cache.variants("theirs")]
        await cache.forget("theirs")
        await cache.put_variant("mine", Stored(new, FETCHED_AT, "", {}))
        whole = [cache.whole(it) for it in cache.variants("mine")]
        assert [it.response.body for it in whole if it] == [new.body]


async def test_a_large_answer_is_found_again(path):
    """It is not held in memory, and neither is that nothing was there."""
    large = replace(ANSWER, body=os.urandom(150_000))
    async with Cache(path) as cache:
        assert not cache.variants("target")
        await cache.put_variant("target", Stored(large, FETCHED_AT, "", {}))
        whole = [cache.whole(it) for it in cache.variants("target")]
        assert [it.response.body for it in whole if it] == [large.body]


@given(st.lists(st.text()), st.text())
def test_only_what_was_never_noted_is_absent(noted, asked):
    """A key that was noted is never said to be absent; another hardly ever is taken for one that was."""
    absent = Absent()
    for key in noted:
        was_absent = key in absent
        assert absent.note(key) == was_absent
    assert not [key for key in noted if key in absent]
    assert asked in noted or asked in absent


class Clock:
    """Goes on by a second each time that it is read."""

    def __init__(self):
        self.at = FETCHED_AT

    def __call__(self):
        self.at += 1.0
        return self.at


def random_answer(size=50_000):
    return Response(200, (), os.urandom(size), FETCHED_AT)


async def test_what_was_used_longest_ago_makes_room(path):
    """Within the limit after each put; what is found stays longer than what is not."""
    async with Cache(path, 1_000_000, now=Clock()) as cache:
        for number in range(60):
            await cache.put(str(number), random_answer())
            assert cache.find("0", ALWAYS)
            with closing(sqlite3.connect(path)) as reader:
                assert reader.execute("SELECT SUM(LENGTH(body)) FROM answers").fetchone()[0] <= 1_000_000
        left = [number for number in range(60) if cache.find(str(number), ALWAYS)]
    assert left[0] == 0
    assert left[1:] == list(range(60 - len(left) + 1, 60))
    assert len(left) >= 17


async def test_no_answer_goes_that_an_unfinished_row_needs(path, caplog):
    """However old it is, and though the limit is broken by that; once its row is settled it is like any other."""
    unfinished = {f"row {number}" for number in range(30)}
    async with Cache(path, 1_000_000, lambda keys: unfinished & set(keys), now=Clock()) as cache:
        for number in range(60):
            await cache.put(str(number), random_answer(), Label("GET", f"row {number}"))
        assert all(cache.find(str(number), ALWAYS) for number in range(30))
        assert caplog.text.count("rows that are not done need all of it") == 1
        unfinished.clear()
        await cache.put("last", random_answer())
        assert not cache.find("0", ALWAYS)
        assert cache.find("last", ALWAYS)


async def test_a_folder_that_is_not_there_is_a_disk_error(tmp_path):
    """Not a traceback."""
    with pytest.raises(DiskFailed, match="nowhere"):
        await enter(tmp_path / "nowhere" / "cache.sqlite")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o777])
@pytest.mark.parametrize("exists", [False, True])
async def test_only_the_owner_may_read_it(path, umask, exists):
    """Answers may be private: 0600 whatever the umask, the log beside the file and a file from before included."""
    if exists:
        path.touch()
        path.chmod(0o644)
    before = os.umask(umask)
    try:
        async with Cache(path) as cache:
            await cache.put("key", ANSWER)
            modes = {file.name: S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes["cache.sqlite"] == modes["cache.sqlite-wal"] == 0o600
    assert set(modes.values()) == {0o600}
