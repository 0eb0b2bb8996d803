from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fetcher.fetch.http_dates import as_http_date
from fetcher.fetch.retry_after import FOR_EVER_S, retry_after_s
from fetcher.model import Response

NOW = datetime(2024, 1, 31, 12, 0, 0, tzinfo=UTC).timestamp()
MOMENTS = st.integers(0, 4_000_000_000)
ANYTHING = st.one_of(
    st.text(max_size=40),
    st.from_regex(r"[0-9]{1,40}(\.[0-9]{1,5})?", fullmatch=True),
    st.from_regex(r"[A-Z][a-z]{2}, [0-9]{2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{8} GMT", fullmatch=True),
    MOMENTS.map(as_http_date),
)


def told(retry_after, date=None, status=503):
    headers = [("retry-AFTER", retry_after)] if retry_after is not None else []
    headers += [("date", date)] if date is not None else []
    return Response(status, tuple(headers), b"", NOW)


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" \t120 ", 120.0),
        ("007", 7.0),
        ("1.5", 1.5),
        ("86400", 86400.0),
        ("1" * 30, FOR_EVER_S),
        ("9" * 5000, FOR_EVER_S),
        ("Wed, 31 Jan 2024 12:00:30 GMT", 30.0),
        ("Wednesday, 31-Jan-24 12:00:30 GMT", 30.0),
        ("Wed Jan 31 12:00:30 2024", 30.0),
        ("Thu Feb  1 12:00:00 2024", 86400.0),
        ("Wed, 31 Jan 2024 11:00:00 GMT", 0.0),
        ("Mon, 01 Jan 9999 00:00:00 GMT", FOR_EVER_S),
    ],
)
def test_a_wait_is_read_in_every_form(text, wait_s):
    """RFC 9110 section 10.2.3: seconds, or any of the three dates; a past date asks for nothing, never for less."""
    assert retry_after_s(told(text), NOW) == wait_s


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "soon",
        "-5",
        "+5",
        "1e9",
        "1_000",
        "0x10",
        "nan",
        "inf",
        ".5",
        "5.",
        "5 s",
        "5, 5",
        "٣٠",
        "²",
        "Wed, 31 Jan 2024 12:00:30 +0100",
        "Wed, 31 Jan 2024 12:00:30",
        "Wed, 31 Foo 2024 12:00:30 GMT",
        "Thu, 30 Feb 2024 12:00:30 GMT",
        "Wed, 31 Jan 2024 24:00:00 GMT",
        "Wed, 31 Jan 2024 12:00:61 GMT",
        "Wed, 31 Jan 0000 12:00:30 GMT",
        "Wed, ٣١ Jan 2024 12:00:30 GMT",
        "2024-01-31T12:00:30Z",
    ],
)
def test_a_malformed_wait_is_no_wait(text):
    """None, so that the job's own back-off decides."""
    assert retry_after_s(told(text), NOW) is None


@given(ANYTHING, st.none() | ANYTHING, MOMENTS)
def test_no_header_breaks_it(text, date, now):
    """Whatever a server sends: nothing raised, never negative, never beyond ten years."""
    wait_s = retry_after_s(told(text, date), now)
    assert wait_s is None or 0 <= wait_s <= FOR_EVER_S


@given(st.integers(0, 10**6), st.integers(-(10**8), 10**8))
@example(3, 3600)
@example(3, -3600)
def test_a_servers_wrong_clock_does_not_matter(wait_s, wrong_s):
    """A date counts from the answer's own Date, by which it was computed."""
    its_now = NOW + wrong_s
    assert retry_after_s(told(as_http_date(its_now + wait_s), as_http_date(its_now)), NOW) == wait_s


@pytest.mark.parametrize("date", ["", "yesterday", "31 Jan 2024"])
def test_an_unusable_date_is_replaced_by_our_own_clock(date):
    """A Date that cannot be read is as good as none."""
    assert retry_after_s(told("Wed, 31 Jan 2024 12:00:30 GMT", date), NOW) == 30.0


@given(st.tuples(MOMENTS, MOMENTS).map(sorted), st.none() | MOMENTS.map(as_http_date), MOMENTS)
def test_a_later_date_never_means_a_shorter_wait(untils, date, now):
    """The wait grows with the date."""
    sooner, later = (retry_after_s(told(as_http_date(until), date), now) for until in untils)
    assert sooner is not None
    assert later is not None
    assert sooner <= later


@given(st.tuples(st.integers(0, 10**25), st.integers(0, 10**25)).map(sorted))
def test_a_bigger_number_never_means_a_shorter_wait(numbers):
    """The wait grows with the number, of whatever length."""
    sooner, later = (retry_after_s(told(str(number)), NOW) for number in numbers)
    assert sooner is not None
    assert later is not None
    assert sooner <= later
