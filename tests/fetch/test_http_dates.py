from datetime import UTC, datetime

from hypothesis import example, given
from hypothesis import strategies as st

from fetcher.fetch.http_dates import as_http_date, full_year, http_date

NOW = datetime(2024, 1, 31, 12, 0, 0, tzinfo=UTC).timestamp()
MOMENTS = st.integers(0, 4_000_000_000)


@given(MOMENTS)
def test_a_date_that_was_written_is_read_again(moment):
    """All three forms of one moment read the same; the two-digit year for the fifty years either side."""
    at = datetime.fromtimestamp(moment, UTC)
    forms = [
        as_http_date(moment),
        at.strftime("%A, %d-%b-%y %H:%M:%S GMT"),
        f"{at:%a %b} {at.day:2} {at:%H:%M:%S %Y}",
    ]
    assert [http_date(form, moment) for form in forms] == [moment] * 3


def test_a_leap_second_is_not_cut_off():
    """23:59:60 is the moment before midnight's next second: it ends when the next day begins."""
    midnight = datetime(2017, 1, 1, tzinfo=UTC).timestamp()
    assert http_date("Sat, 31 Dec 2016 23:59:60 GMT", NOW) == midnight


@example(-49, 2024)
@example(50, 2024)
@given(st.integers(-49, 50), st.integers(1970, 2200))
def test_a_two_digit_year_is_never_more_than_fifty_years_away(away, this_year):
    """RFC 9110 section 5.6.7, over the turn of a century too: a wait from 2099 into 2100 stays one."""
    assert full_year(f"{(this_year + away) % 100:02}", this_year) == this_year + away
