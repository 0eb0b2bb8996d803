"""What a person reads: the live line and the summary, word for word."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import ApiDown
from fetcher.launch import Report
from fetcher.model import SETTLED, Outcome, RowState
from fetcher.progress import RATE_OVER_S, Speed, counted, local_time, on_screen, progress_line, summary
from fetcher.selection import RunOptions
from fetcher.tally import Tally


def report(tally: Tally, **end: Any) -> Report:
    """A run that ended."""
    return Report("air", Path("data/air"), tally, 12.34, **end)


@pytest.mark.parametrize(
    ("options", "ahead"),
    [
        (RunOptions(offline=True), ""),
        (
            RunOptions(reparse=True),
            ", by the old rules; run --as-is --refresh asks for every row again, run --as-is leaves these as they are",
        ),
        (
            RunOptions(reparse=True, offline=True),
            "; run --reparse without --offline asks what annotators have never asked",
        ),
    ],
)
def test_rows_without_a_kept_answer_and_the_ways_on(options, ahead):
    """A reparse that lacks answers is to be continued, and says how."""
    tally = Tally(rows_read=3, is_read_whole=True, not_kept=1, settled_before=Counter({RowState.DONE: 3}))
    ended = report(tally, options=options)
    assert f"  1 row has no kept answer, and stays as before{ahead}" in summary(ended).splitlines()
    assert ended.exit_code == (75 if options.reparse else 0)


def busy() -> Tally:
    """A tally with something of everything."""
    tally = Tally(
        rows_read=3000,
        settled_before=Counter({RowState.DONE: 1200, RowState.EMPTY: 3}),
        requests=1650,
        records=15_000,
        commits=8,
        commit_s=0.3085,
        retries=41,
        cache_hits=12,
        statuses=Counter({200: 1600, 429: 41, 404: 9}),
    )
    for number in range(1500):
        tally.settle(Outcome(str(number), RowState.DONE))
    for number in range(9):
        tally.settle(Outcome(str(number), RowState.REFUSED, "404 Not Found"))
    tally.settle(Outcome("x", RowState.GAVE_UP, "500 after 8 attempts"))
    return tally


def test_the_live_line():
    """Rows carried so far, records, requests and their speed; caches and failures where there are any."""
    assert progress_line("air", Tally(), 0.0) == "air: 0 of 0+ rows · 0 records · 0 requests, 0.0/s"
    one = Tally(rows_read=2, is_read_whole=True, requests=1, records=1)
    one.settle(Outcome("a", RowState.DONE))
    assert progress_line("air", one, 0.25) == "air: 1 of 2 rows · 1 record · 1 request, 0.2/s"
    assert progress_line("air", busy(), 19.84) == (
        "air: 2,713 of 3,000+ rows · 15,000 records · 1,650 requests, 19.8/s · 12 from the cache · 10 failed"
    )


def test_the_summary_of_a_good_run():
    """Three lines say that all is well."""
    tally = Tally(
        rows_read=1, is_read_whole=True, requests=1, records=1, commits=1, commit_s=0.05, statuses=Counter({200: 1})
    )
    tally.settle(Outcome("a", RowState.DONE))
    assert summary(report(tally)) == (
        "air: 1 row = 1 done\n"
        "  1 record added to data/air in 12.3 s; 1 commit took 0.4% of it\n"
        "  1 request (0 retries), 0 answers from the cache\n"
        "  answers: 1 x 200"
    )


def test_the_summary_of_nothing():
    """A job without rows is not an error."""
    assert summary(report(Tally())) == (
        "air: 0 rows = nothing to do\n"
        "  0 records added to data/air in 12.3 s\n"
        "  0 requests (0 retries), 0 answers from the cache"
    )


def test_the_summary_of_a_run_with_something_of_everything():
    """The sum first, then what it took, then why rows failed, then what to do."""
    tally = busy()
    tally.settle(Outcome("w", RowState.WAITING, not_before=1_700_000_000.0))
    assert summary(report(tally, signal=15)) == (
        "air: 3,000 rows = 2,700 done + 3 empty + 9 refused + 1 gave up + 287 waiting"
        " (1,203 of them in earlier runs)\n"
        "  15,000 records added to data/air in 12.3 s; 8 commits took 2.5% of it\n"
        "  1,650 requests (41 retries), 12 answers from the cache\n"
        "  answers: 1,600 x 200, 9 x 404, 41 x 429\n"
        "  9 x refused: 404 Not Found\n"
        "  1 x gave up: 500 after 8 attempts\n"
        f"  what waits is allowed again later: run again after {local_time(1_700_000_000.0)}\n"
        "  interrupted: everything received is committed; run again to go on"
    )


def test_the_summary_tells_of_the_tables_beside_the_main_one():
    """What each got, and how many of its records were there already."""
    tally = Tally(rows_read=1, is_read_whole=True, commits=1, commit_s=0.1)
    tally.write({"records": 2, "units": 0, "stations": 1200}, {"records": 1, "units": 3, "stations": 0})
    tally.settle(Outcome("a", RowState.DONE))
    assert summary(report(tally)) == (
        "air: 1 row = 1 done\n"
        "  2 records and 1,200 of stations, 0 of units added to data/air in 12.3 s; 1 commit took 0.8% of it\n"
        "  0 requests (0 retries), 0 answers from the cache\n"
        "  1 repeat by write.key, not written again\n"
        "  3 repeats by write.tables.units.key, not written again"
    )


@pytest.mark.parametrize(
    ("worker_s", "own_s", "line"),
    [
        (15.6, 4.4, "CPU: 78% in 2 workers: 1.6 times as fast as one process; 4.5 times at most with more"),
        (24.0, 0.4, "CPU: 98% in 2 workers: 2.0 times as fast as one process; 61.0 times at most with more"),
        (4.0, 2.0, "CPU: 67% in 2 workers, and the run waited longer than it worked"),
        (0.6, 12.0, None),
        (0.0, 12.0, None),
    ],
)
def test_the_summary_tells_what_workers_were_good_for(worker_s, own_s, line):
    """And what more of them could be, where they did anything that matters."""
    tally = Tally(own_s=own_s)
    tally.worked(2, worker_s)
    found = [text for text in summary(report(tally)).splitlines() if "CPU" in text]
    assert found == ([f"  {line}"] if line else [])


def test_the_summary_of_a_run_that_was_stopped():
    """The reason is the last line."""
    assert summary(report(Tally(), stopped=ApiDown("nobody answers"))).endswith("\n  stopped: nobody answers")


@pytest.mark.parametrize(
    ("reasons", "last"), [(5, "  1 x refused: e"), (6, "  and 1 more reason"), (9, "  and 4 more reasons")]
)
def test_only_the_commonest_reasons_are_shown(reasons, last):
    """Five, and how many more there are."""
    tally = Tally(rows_read=reasons)
    for number in range(reasons):
        tally.settle(Outcome(str(number), RowState.REFUSED, "abcdefghi"[number]))
    assert summary(report(tally)).splitlines()[-1] == last


def test_reasons_that_quote_their_record_are_one_line():
    """A thousand values that a function cannot take are one fault of it."""
    tally = Tally(rows_read=1000)
    for number in range(1000):
        tally.settle(Outcome(str(number), RowState.QUARANTINED, f"ValueError: bad value '{number}' (clean.py, line 2)"))
    (line,) = [line for line in summary(report(tally)).splitlines() if "ValueError" in line]
    assert line == "  1,000 x quarantined, such as: ValueError: bad value '0' (clean.py, line 2)"


@given(
    st.lists(st.sampled_from(RowState)),
    st.dictionaries(st.sampled_from(sorted(SETTLED)), st.integers(0, 10**6)),
    st.integers(0, 10**6),
)
def test_the_summary_adds_up(states, before, unsettled):
    """The states printed sum to the rows printed, whatever happened."""
    tally = Tally(rows_read=len(states) + sum(before.values()) + unsettled, settled_before=Counter(before))
    for number, state in enumerate(states):
        tally.settle(Outcome(str(number), state))
    first = summary(report(tally)).splitlines()[0].replace(",", "").partition(" (")[0]
    rows, sums = re.sub(r"^air: (\d+) rows? = ", r"\1 = ", first).split(" = ")
    assert int(rows) == sum(int(number) for number in re.findall(r"\d+", sums))


@given(st.text(), st.integers(1, 500))
def test_a_reason_cannot_move_the_cursor(text, times):
    """Reasons quote servers: they are one line, of bounded length, without control characters."""
    shown = on_screen(text * times)
    assert len(shown) <= 203
    assert shown.isprintable()


def test_a_server_cannot_write_on_the_terminal():
    """The summary shows what is left of an escape sequence as text."""
    tally = Tally(rows_read=1)
    tally.settle(Outcome("a", RowState.REFUSED, "\x1b]0;owned\x07\nair: 9 rows = 9 done"))
    assert summary(report(tally)).splitlines()[-1] == "  1 x refused:  ]0;owned  air: 9 rows = 9 done"


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 retries"), (1, "1 retry"), (2, "2 retries"), (1000, "1,000 retries")]
)
def test_numbers_take_the_form_of_their_noun(number, text):
    """One retry, two retries."""
    assert counted(number, "retry", "retries") == text


@given(st.lists(st.tuples(st.floats(0.01, 5), st.integers(0, 100)), min_size=1))
def test_the_speed_is_that_of_the_last_seconds(steps):
    """Never negative, never more than what was sent divided by the shortest step, and 0 when nothing was sent."""
    speed, now, requests = Speed(), 0.0, 0
    assert speed.over(0, 0.0) == 0.0
    for step, sent in steps:
        now, requests = now + step, requests + sent
        assert 0.0 <= speed.over(requests, now) <= requests / 0.0099
    assert speed.over(requests, now + RATE_OVER_S + 1) == 0.0


def test_the_speed_of_a_steady_run_is_its_rate():
    """Twenty a second are twenty a second, also long after a slow start."""
    speed = Speed()
    speed.over(0, 0.0)
    for second in range(100, 200):
        shown = speed.over(20 * (second - 100), float(second))
    assert shown == 20.0
