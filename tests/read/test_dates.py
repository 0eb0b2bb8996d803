from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fetcher.job.days import DayOffset
from fetcher.job.sections import Dates
from fetcher.read.dates import calendar_day, date_rows

NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)
DAYS = st.dates()
ZONES = ["UTC", "Asia/Singapore", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]


def rows(first, last, every="1 day", timezone="UTC", now=NOON):
    section = {"from": str(first), "to": str(last), "every": every, "timezone": timezone}
    return list(date_rows(Dates.model_validate(section), now))


def days(*told, **more):
    return [row.values["date"] for row in rows(*told, **more)]


def test_both_ends_are_included():
    """One row a day from the first to the last, oldest first; the key is the day."""
    made = rows("2024-02-28", "2024-03-01")
    assert [row.key for row in made] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert [row.values for row in made] == [
        {"date": date(2024, 2, 28)},
        {"date": date(2024, 2, 29)},
        {"date": date(2024, 3, 1)},
    ]


def test_a_single_day_is_one_row():
    """A range that begins where it ends is that day, and so is a window of it."""
    assert days("2024-01-01", "2024-01-01") == [date(2024, 1, 1)]
    assert [row.key for row in rows("2024-01-01", "2024-01-01", every="7 days")] == ["2024-01-01/2024-01-01"]


def test_a_range_that_begins_in_the_future_has_no_rows():
    """A job may be set up before its first day."""
    assert rows("2030-01-01", "yesterday") == []


@given(st.tuples(DAYS, st.integers(0, 400)), st.integers(1, 400))
@example((date(9999, 12, 31), 0), 1)
@example((date(9999, 12, 25), 6), 7)
@example((date(9999, 12, 1), 30), 400)
@example((date(1, 1, 1), 30), 7)
def test_windows_cover_every_day_once(span, every):
    """No day is left out or asked for twice; every window but the last has its full length; both ends are included."""
    first = span[0]
    last = first + timedelta(min(span[1], (date.max - first).days))
    made = rows(first.isoformat(), last.isoformat(), every=f"{every} days")
    covered = []
    for row in made:
        start, end = (row.values["date"],) * 2 if every == 1 else (row.values["start"], row.values["end"])
        assert row.key == (start.isoformat() if every == 1 else f"{start}/{end}")
        covered += [start + timedelta(number) for number in range((end - start).days + 1)]
    assert covered == [first + timedelta(number) for number in range((last - first).days + 1)]
    assert len(made) == -(-len(covered) // every)


@pytest.mark.parametrize("zone", ZONES)
@given(moment=st.datetimes(datetime(1990, 1, 1), datetime(2037, 12, 31)), offset_h=st.integers(-12, 14))
def test_today_is_the_day_on_the_apis_wall(zone, moment, offset_h):
    """Whatever zone the clock of this machine is in, and whatever daylight saving time did that night."""
    now = moment.replace(tzinfo=timezone(timedelta(hours=offset_h)))
    on_the_wall = now.astimezone(ZoneInfo(zone)).date()
    assert days("today", "today", timezone=zone, now=now) == [on_the_wall]
    assert days("-2 days", "yesterday", timezone=zone, now=now) == [
        on_the_wall - timedelta(2),
        on_the_wall - timedelta(1),
    ]


@pytest.mark.parametrize(
    ("zone", "now", "today"),
    [
        ("Asia/Singapore", "2024-03-14T15:59:59+00:00", "2024-03-14"),
        ("Asia/Singapore", "2024-03-14T16:00:00+00:00", "2024-03-15"),
        ("America/New_York", "2024-03-15T03:59:59+00:00", "2024-03-14"),
        ("America/New_York", "2024-03-15T04:00:00+00:00", "2024-03-15"),
        ("America/New_York", "2024-11-04T04:59:59+00:00", "2024-11-03"),
        ("Pacific/Apia", "2011-12-30T09:59:59+00:00", "2011-12-29"),
        ("Pacific/Apia", "2011-12-30T10:00:00+00:00", "2011-12-31"),
    ],
)
def test_a_day_begins_at_the_apis_midnight(zone, now, today):
    """To the second; on Samoa the day after 29 December 2011 was the 31st."""
    assert days("today", "today", timezone=zone, now=datetime.fromisoformat(now)) == [date.fromisoformat(today)]


@pytest.mark.parametrize(
    ("zone", "first"),
    [("Europe/Berlin", "2024-03-30"), ("Europe/Berlin", "2024-10-26"), ("Pacific/Apia", "2011-12-29")],
)
def test_a_change_of_the_clocks_neither_skips_nor_repeats_a_day(zone, first):
    """Rows are days of the calendar, also the one that Samoa never had: the API knows what it answers to that."""
    begin = date.fromisoformat(first)
    expected = [begin + timedelta(number) for number in range(4)]
    assert days(first, expected[-1], timezone=zone) == expected


@given(st.dates(date(1900, 1, 1)), st.integers(0, 99_999))
def test_an_offset_counts_back_from_today(today, back):
    """Whole days, of as many digits as a job file takes; a date is what it is."""
    assert calendar_day(DayOffset(-back), today) == today - timedelta(back)
    assert calendar_day(today, date(2000, 1, 1)) == today
