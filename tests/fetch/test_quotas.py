"""The file that all jobs share: waits that outlive runs, and counts that nobody exceeds."""

import sqlite3
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.errors import Contradiction, DiskFailed
from fetcher.fetch.quotas import LONGEST_WAIT_S, Account, Quotas

NOW = 1.7e9
WAITS = st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e6)), min_size=1, max_size=5)


@pytest.fixture
def quotas(tmp_path):
    """A file that is not there yet."""
    return Quotas(tmp_path / "quotas.sqlite")


@settings(max_examples=20)
@given(WAITS)
def test_the_longest_wait_stays(waits):
    """Whoever comes later keeps it; another realm knows nothing of it."""
    with tempfile.TemporaryDirectory() as folder:
        quotas = Quotas(Path(folder) / "quotas.sqlite")
        for told_at, length_s in sorted(waits):
            quotas.keep_wait("api", "", NOW + told_at, NOW + told_at + length_s)
        after = NOW + 1e6
        assert quotas.begun("api", after) == max(NOW + told_at + length_s for told_at, length_s in waits)
        assert quotas.begun("other", after) == float("-inf")


def test_the_newest_word_by_a_name_rules(quotas):
    """An allowance that was used up, and is not any more, holds nobody back."""
    quotas.keep_wait("api", "daily", NOW, NOW + 100)
    quotas.keep_wait("api", "daily", NOW + 1, NOW + 1)
    assert quotas.begun("api", NOW + 2) == NOW + 1


@given(st.floats(1, 1e9), st.floats(0, 1e9))
@settings(max_examples=20)
def test_a_wait_that_a_clock_told_that_was_ahead_begins_anew(ahead_s, length_s):
    """It is never shorter than the server asked, and never longer than that from the moment the clock is right."""
    with tempfile.TemporaryDirectory() as folder:
        quotas = Quotas(Path(folder) / "quotas.sqlite")
        quotas.keep_wait("api", "", NOW + ahead_s, NOW + ahead_s + length_s)
        until = quotas.begun("api", NOW)
        assert until == pytest.approx(min(NOW + length_s, NOW + LONGEST_WAIT_S), abs=1e-3)
        assert quotas.begun("api", NOW + 1) == until


def test_many_who_take_at_once_take_exactly_what_there_is(quotas):
    """Whoever comes too late gets nothing, and what is given back can be had again."""
    account = Account("api day 2024-05-01 UTC", 100, NOW)
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(lambda _: Quotas(quotas._path).reserve(account, 3, 7), range(40)))
    assert sum(got) in range(98, 101)
    assert quotas.reserve(account, 3, 7) == 0
    quotas.give_back(account, 10)
    assert quotas.reserve(account, 3, 7) == 7


def test_the_file_is_the_owners_alone(quotas, tmp_path):
    """0600, with a rollback journal: several processes write it."""
    quotas.begun("api", NOW)
    path = tmp_path / "quotas.sqlite"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()


def test_what_is_no_such_file_is_not_written_over(tmp_path):
    """Without it, nobody knows what was sent today; the message says so."""
    path = tmp_path / "quotas.sqlite"
    path.write_bytes(b"not a database, but long enough to look like something" * 20)
    with pytest.raises(Contradiction, match="not a readable file of quotas"):
        Quotas(path).begun("api", NOW)
    with pytest.raises(DiskFailed):
        Quotas(tmp_path / "missing" / "quotas.sqlite").begun("api", NOW)
