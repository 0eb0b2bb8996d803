import time
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fetcher.fetch.http_dates import as_http_date
from fetcher.fetch.resets import LONGEST_RESET_S, duration_s, seconds_until, words_s

NOW = datetime(2024, 1, 31, 12, 0, 0, tzinfo=UTC).timestamp()
KINDS = ["auto", "seconds", "milliseconds", "epoch", "epoch milliseconds", "duration", "date"]
NO_NUMBERS: list[object] = [-1, -0.5, float("nan"), float("inf"), 10**400, True, None, [], {}, b"5"]
NUMBERS = st.from_regex(r"[0-9]{1,25}(\.[0-9]{1,20})?", fullmatch=True)
ANYTHING = st.one_of(st.text(max_size=120), NUMBERS, st.integers(), st.floats(), st.none(), st.booleans())


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        ("0", 0.0),
        ("30", 30.0),
        (" 30\t", 30.0),
        ("64.57", 64.57),
        ("600000", 600_000.0),
        (f"{NOW + 30:.0f}", 30.0),
        (f"{NOW + 30.5:.3f}", 30.5),
        (f"{(NOW + 30) * 1000:.0f}", 30.0),
        (f"{NOW - 30:.0f}", 0.0),
        ("1000000000", 0.0),
        ("1s", 1.0),
        ("20ms", 0.02),
        ("6m0s", 360.0),
        ("1m4.296s", 64.296),
        ("1h30m", 5400.0),
        ("1d", 86400.0),
        (as_http_date(NOW + 30), 30.0),
        ("Wednesday, 31-Jan-24 12:00:30 GMT", 30.0),
        ("2024-01-31T12:00:30Z", 30.0),
        ("2024-01-31T12:00:30.250Z", 30.25),
        ("2024-01-31T14:00:30+02:00", 30.0),
        ("2024-01-31T14:00:30+0200", 30.0),
        ("2024-01-31 12:00:30", 30.0),
        ("2024-01-31 12:00:30 UTC", 30.0),
        ("2024-01-31 12:00:30 +0000", 30.0),
        ("2024-01-31T12:01", 60.0),
        ("2024-02-01", 43200.0),
        ("2023-12-31", 0.0),
        (f"{LONGEST_RESET_S:.0f}", LONGEST_RESET_S),
        ("1000000000000", 0.0),
        ("1s" * 50, 50.0),
        (30, 30.0),
        (2.5, 2.5),
        (NOW + 30, 30.0),
        ((NOW + 30) * 1000, 30.0),
    ],
)
def test_a_reset_is_known_by_its_looks(value, wait_s):
    """From 1e12 on milliseconds of an epoch, from 1e9 on seconds of one, else what is left; durations; dates."""
    assert seconds_until(value, "auto", NOW) == pytest.approx(wait_s, abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "value", "wait_s"),
    [
        ("milliseconds", "600000", 600.0),
        ("milliseconds", "374", 0.374),
        ("milliseconds", 1500, 1.5),
        ("seconds", "1000000", 1_000_000.0),
        ("epoch", f"{NOW + 5:.0f}", 5.0),
        ("epoch", "30", 0.0),
        ("epoch milliseconds", f"{(NOW + 5) * 1000:.0f}", 5.0),
        ("duration", "8.64s", 8.64),
        ("date", "2024-01-31T12:00:05Z", 5.0),
        ("date", as_http_date(NOW + 5), 5.0),
    ],
)
def test_a_kind_that_was_named_is_not_guessed(kind, value, wait_s):
    """Milliseconds that are left cannot be told from seconds: the job says it."""
    assert seconds_until(value, kind, NOW) == pytest.approx(wait_s, abs=1e-3)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *(("auto", value) for value in ["", " ", "-1", "+5", "-30", "nan", "inf", "1e9", "1_000", "0x10", "٣٠", "²"]),
        *(("auto", value) for value in ["soon", "5 s", "1.5.2", "s", "ms", "6m0", "1h-5m", "12:00:30", "5, 5"]),
        *(
            ("auto", value)
            for value in ["2024-02-30", "2024-01-31T25:00", "31.01.2024", "2024-W05-3", "20240131T120030"]
        ),
        *(("auto", value) for value in NO_NUMBERS),
        *(("auto", value) for value in [f"{LONGEST_RESET_S + 1:.0f}", "1s" * 51]),
        *(("auto", value) for value in ["9" * 18, "1" * 30, "1706702430000000", "9999-12-31", "400d", "9" * 5000]),
        *(("seconds", value) for value in ["6m0s", "2024-02-01", "1706702430"]),
        *(("duration", value) for value in ["30", "2024-02-01", 30]),
        *(("date", value) for value in ["30", "30s", 30]),
    ],
)
def test_what_cannot_be_read_is_no_reset(kind, value):
    """Negative sentinels, other kinds, what is more than a year away (microseconds, read as milliseconds)."""
    assert seconds_until(value, kind, NOW) is None


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="no zone can be set here")
def test_a_date_without_a_zone_is_in_utc_wherever_we_are(monkeypatch):
    """Where the program runs says nothing about the server."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        found = seconds_until("2024-01-31 12:00:30", "auto", NOW)
    time.tzset()
    assert found == 30.0


@given(ANYTHING, st.sampled_from(KINDS), st.floats(0, 2.5e11))
def test_nothing_breaks_it(value, kind, told_at):
    """Whatever a server writes: None, or a wait that is neither negative nor endless."""
    wait_s = seconds_until(value, kind, told_at)
    assert wait_s is None or 0 <= wait_s <= LONGEST_RESET_S


@given(st.integers(0, 10**6), st.integers(-86400, 86400), st.sampled_from(["epoch", "ms", "http", "iso", "left"]))
def test_a_servers_wrong_clock_does_not_matter(wait_s, wrong_s, dialect):
    """Every dialect counts from the moment at which the server said it, by its own clock."""
    told_at = NOW + wrong_s
    until = told_at + wait_s
    text = {
        "epoch": f"{until:.0f}",
        "ms": f"{until * 1000:.0f}",
        "http": as_http_date(until),
        "iso": datetime.fromtimestamp(until, UTC).isoformat(),
        "left": str(wait_s),
    }[dialect]
    assert seconds_until(text, "auto", told_at) == wait_s


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_a_duration_is_the_sum_of_its_parts(hours, minutes, seconds, millis):
    """As Go prints it, with or without the parts that are zero."""
    total_s = hours * 3600 + minutes * 60 + seconds + millis / 1000
    assert duration_s(f"{hours}h{minutes}m{seconds}.{millis:03}s") == pytest.approx(total_s)
    assert duration_s(f"{hours}h{minutes}m{seconds}s{millis}ms") == pytest.approx(total_s)


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("20 seconds", 20.0),
        ("20 seconds.", 20.0),
        ("1 second", 1.0),
        ("1.5 seconds", 1.5),
        ("500 milliseconds", 0.5),
        ("500 msecs", 0.5),
        ("500 ms", 0.5),
        ("366 days", LONGEST_RESET_S),
        ("1 s," * 25, 25.0),
        ("20s", 20.0),
        ("30 min", 1800.0),
        ("5m", 300.0),
        ("one minute", 60.0),
        ("a minute", 60.0),
        ("two s, three s and four s", 9.0),
        ("five s, six s, ten s, thirty s", 51.0),
        ("an hour", 3600.0),
        ("One Hour", 3600.0),
        ("2 hours and 30 minutes", 9000.0),
        ("1 hour, 5 minutes and 3 seconds", 3903.0),
        ("1 day", 86400.0),
        ("2 weeks", 1_209_600.0),
        ("next minute", 60.0 - NOW % 60),
        ("the next hour", 3600.0 - NOW % 3600),
        ("next day", 43200.0),
        ("tomorrow", 43200.0),
        ("Tomorrow.", 43200.0),
    ],
)
def test_english_words_are_understood(text, wait_s):
    """Numbers and units, some numbers in words, and what the calendar of UTC says."""
    assert words_s(text, NOW) == pytest.approx(wait_s)


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "soon", "a while", "seconds", "20", "20 parsecs", "-5 seconds", "in 5 seconds", "5 seconds or so"),
        *("next century", "9999 days", "366 days and 1 ms", "1 s," * 26, "5 seconds " * 20, "and", "as", "a" * 10**6),
    ],
)
def test_other_words_are_none(text):
    """What is not wholly understood is not half understood."""
    assert words_s(text, NOW) is None


@example("next hour", 3599.999)
@example("tomorrow", 0.0)
@given(st.text(max_size=110) | st.sampled_from(["next minute", "next hour", "next day"]), st.floats(0, 2.5e11))
def test_words_never_break_it(text, told_at):
    """None, or a wait that is neither negative nor endless."""
    wait_s = words_s(text, told_at)
    assert wait_s is None or 0 <= wait_s <= LONGEST_RESET_S
