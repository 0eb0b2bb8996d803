"""Times, sizes and rates: every spelling that a job file may use, and what is said about the others."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.job.units import CalendarRate, Rate, parse_duration, parse_rate, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30 s", 30), ("25m", 1500), ("1 day", 86400), ("2 min", 120), ("1 h", 3600), ("500 ms", 0.5), ("0.5 s", 0.5)],
)
def test_a_time_is_a_number_and_a_unit(text, seconds):
    """ "25m" is minutes, as in `--for 25m`."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [("64 MB", 64 * 10**6), ("8 MiB", 8 * 2**20), ("128MB", 128 * 10**6), ("1 GB", 10**9), ("1.5 kB", 1500)],
)
def test_a_size_counts_thousands_unless_its_unit_has_an_i(text, size):
    """MB is 10^6 bytes, MiB 2^20."""
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("6/10 s", Rate(6, 10.0)),
        ("20/s", Rate(20, 1.0)),
        ("600/min", Rate(600, 60.0)),
        ("1000 / h", Rate(1000, 3600.0)),
        ("10/24 h", Rate(10, 86400.0)),
        ("5000/day", CalendarRate(5000, "day")),
        ("90000 / month", CalendarRate(90000, "month")),
    ],
)
def test_a_rate_is_starts_per_window(text, rate):
    """A window without a number is one of its unit."""
    assert parse_rate(text) == rate


@given(st.decimals(0, 10**6, places=3), st.sampled_from([("ms", "0.001"), ("s", "1"), ("min", "60"), ("h", "3600")]))
def test_a_time_is_its_number_times_its_unit_exactly(number, unit):
    """No rounding on the way: "300 ms" is the float nearest to 0.3."""
    name, factor = unit
    assert parse_duration(f"{number} {name}") == float(number * Decimal(factor))


@given(st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.none(), st.lists(st.integers())))
def test_whatever_stands_there_is_read_or_said_to_be_wrong(value):
    """Nothing but ValueError, which starts with what was expected, comes out of a value that cannot be read."""
    for parse in (parse_duration, parse_size, parse_rate):
        try:
            parse(value)
        except ValueError as error:
            assert str(error).startswith("expected a ")


@pytest.mark.parametrize(
    ("parse", "value", "message"),
    [
        (parse_duration, 30, 'got 30, which has no unit; write "30 s"'),
        (parse_duration, "30", "got '30', which has no unit; units are ms, s, min, h and day"),
        (parse_duration, "3 parsecs", "got '3 parsecs', whose unit 'parsecs' is unknown"),
        (parse_duration, "-3 s", "got '-3 s'"),
        (parse_duration, True, "got true"),
        (parse_size, 64, 'got 64, which has no unit; write "64 MB"'),
        (parse_size, "64 mb", "whose unit 'mb' is unknown; units are B, kB, MB"),
        (parse_size, "0.5 B", "not a whole number of bytes"),
        (parse_rate, "20", "expected a rate such as '20/s'"),
        (parse_rate, "0/s", "with a whole number from 1 to 1000000 before the '/'"),
        (parse_rate, "-5/s", "with a whole number from 1 to 1000000 before the '/'"),
        (parse_rate, "1.5/s", "with a whole number from 1 to 1000000 before the '/'"),
        (parse_rate, "6/0 s", "with a window from 1 ms to 24 h"),
        (parse_rate, "6/10", "which has no unit"),
        (parse_rate, "5000/2 days", "a window of the calendar is one day or one month"),
        (parse_rate, "5000/2 day", "a window of the calendar is one day or one month"),
        (parse_rate, "5000/week", "whose unit 'week' is unknown; windows are counted in ms, s, min or h"),
    ],
)
def test_what_is_wrong_is_said_with_what_was_expected(parse, value, message):
    """A message names what came and what would have been right."""
    with pytest.raises(ValueError) as caught:
        parse(value)
    assert message in str(caught.value)
