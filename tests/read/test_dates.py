from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from fetcher.job.days import DayOffset
from fetcher.job.read import Dates
from fetcher.read.dates import calendar_day, date_rows
from fetcher.template import Template

NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)
DAYS = st.dates()
ZONES = ["UTC", "Asia/Singapore", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]


def rows(first, last, every="1 day", timezone="UTC", now=NOON, **more):
    section = {"from": str(first), "to": str(last), "every": every, "timezone": timezone, **more}
    return list(date_rows(Dates.model_validate(section), now))


def days(*told, **more):
    return [row.values["date"] for row in rows(*told, **more)]


def test_both_ends_are_included():
    """One row a day from the first to the last, oldest first; the key is the day."""
    made = rows("2024-02-28", "2024-03-01")
    assert [row.key for row in made] == ["2024-02-28", "2024-02-29", "2024-03-01"]
    assert [row.values for row in made] == [
        {"date": day, "start": day, "end": day, "until": day + timedelta(1)}
        for day in (date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1))
    ]


def test_a_single_day_is_one_row():
    """A range that begins where it ends is that day, and so is a window of it."""
    assert days("2024-01-01", "2024-01-01") == [date(2024, 1, 1)]
    assert [row.key for row in rows("2024-01-01", "2024-01-01", every="7 days")] == ["2024-01-01+7d"]


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
        assert row.key == (start.isoformat() if every == 1 else f"{start}+{every}d")
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


def days_of(row):
    """The days that a row asks for."""
    start, end = row.values.get("start", row.values.get("date")), row.values.get("end", row.values.get("date"))
    return {start + timedelta(number) for number in range((end - start).days + 1)}


def at(day, timezone="UTC"):
    """Noon of that day, there."""
    return datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(timezone))


FIRSTS = st.sampled_from(["-100 days", "-30 days", "-7 days", "yesterday", "2024-01-03"])
LASTS = st.sampled_from(["today", "yesterday", "-3 days", "2024-06-01"])
TODAYS = st.dates(date(2024, 3, 1), date(2024, 12, 31))


@given(FIRSTS, LASTS, st.integers(1, 40), TODAYS, st.integers(0, 60))
def test_a_row_keeps_its_key_from_run_to_run(first, last, every, today, later):
    """Over two runs on different days: a key stands for the same days, but for those that one of the runs cuts off."""
    assume_runs(first, last)
    runs = [(now, rows(first, last, every=f"{every} days", now=at(now))) for now in (today, today + timedelta(later))]
    whole: dict[str, date] = {}
    for _, made in runs:
        for row in made:
            begin = date.fromisoformat(row.key.partition("+")[0])
            assert whole.setdefault(row.key, begin) == begin
            assert days_of(row) <= {begin + timedelta(number) for number in range(every)}
    shared = {row.key: row for row in runs[0][1]}.keys() & {row.key for row in runs[1][1]}
    for day in set().union(*map(days_of, runs[0][1])) & set().union(*map(days_of, runs[1][1])):
        (key,) = {row.key for _, made in runs for row in made if day in days_of(row)}
        assert key in shared


def assume_runs(first, last):
    """A range that runs backwards is a fault of the job."""
    assume(not (first == "yesterday" and last == "-3 days"))


@given(FIRSTS, st.sampled_from(["today", "yesterday", "-3 days"]), st.integers(2, 40), TODAYS, st.integers(0, 60))
def test_every_day_of_a_window_is_asked_for_however_seldom_the_job_runs(first, last, every, today, later):
    """A window that was cut at the last day of the calendar asks about more days later, and says so."""
    assume_runs(first, last)
    earlier = {row.key: row for row in rows(first, last, every=f"{every} days", now=at(today))}
    for row in rows(first, last, every=f"{every} days", now=at(today + timedelta(later))):
        before = earlier.get(row.key)
        if before and not days_of(row) <= days_of(before):
            assert row.first_day < before.first_day or row.last_day > before.last_day


def test_a_window_says_which_days_it_asks_about():
    """Also where the job says its last day: a job that is lengthened later must not lose the days between."""
    short, long = (rows("2024-01-01", last, every="7 days") for last in ("2024-01-10", "2024-01-20"))
    assert short[1].key == long[1].key == "2024-01-08+7d"
    assert (short[1].last_day, long[1].last_day) == (date(2024, 1, 10).toordinal(), date(2024, 1, 14).toordinal())


def test_windows_of_a_relative_range_lie_where_they_lay_yesterday():
    """Their keys are days that do not move; the first and the last are cut where the range ends."""
    before, after = (rows("-10 days", "yesterday", every="7 days", now=NOON + timedelta(day)) for day in (0, 1))
    assert [row.key for row in before] == ["2024-03-03+7d", "2024-03-10+7d"]
    assert [(str(row.values["start"]), str(row.values["end"])) for row in before] == [
        ("2024-03-05", "2024-03-09"),
        ("2024-03-10", "2024-03-14"),
    ]
    assert [row.key for row in after] == [row.key for row in before]
    assert not any(row.is_recent for row in before)


@given(st.integers(1, 30), st.integers(1, 40), st.sampled_from(["today", "yesterday", "-3 days"]), TODAYS)
def test_days_of_the_lookback_are_recent_and_no_others(lookback, every, last, today):
    """A row is asked for again as long as one of its days is."""
    made = rows("-100 days", last, every=f"{every} days", lookback=f"{lookback} days", now=at(today))
    for row in made:
        is_looked_back_at = any(day >= today - timedelta(lookback) for day in days_of(row))
        assert row.is_recent == is_looked_back_at


def test_without_a_lookback_no_day_is_recent():
    """A day that is done is done."""
    assert not any(row.is_recent for row in rows("-100 days", "today"))
    assert [row.key for row in rows("-9 days", "yesterday", lookback="3 days") if row.is_recent] == [
        "2024-03-12",
        "2024-03-13",
        "2024-03-14",
    ]


@given(FIRSTS, LASTS, st.integers(1, 40), TODAYS)
def test_newest_first_is_the_same_rows_the_other_way_round(first, last, every, today):
    """The order changes no row and no key."""
    assume_runs(first, last)
    told = {"every": f"{every} days", "now": at(today), "lookback": "3 days"}
    assert rows(first, last, order="newest", **told) == rows(first, last, **told)[::-1]


@pytest.mark.parametrize(
    ("every", "first", "last", "windows"),
    [
        ("1 month", "2024-01-15", "2024-03-10", ["2024-01-15/01-31", "2024-02-01/02-29", "2024-03-01/03-10"]),
        ("3 months", "2023-11-15", "2024-04-01", ["2023-11-15/12-31", "2024-01-01/03-31", "2024-04-01/04-01"]),
        ("1 year", "2023-11-15", "2024-04-01", ["2023-11-15/12-31", "2024-01-01/04-01"]),
    ],
)
def test_months_and_years_are_those_of_the_calendar(every, first, last, windows):
    """Cut at the first and the last day; what comes next is the day after."""
    made = rows(first, last, every=every)
    assert [f"{row.values['start']}/{row.values['end']:%m-%d}" for row in made] == windows
    assert [row.values["until"] for row in made] == [row.values["end"] + timedelta(1) for row in made]
    assert rows(first, last, every=every, order="newest") == made[::-1]


def test_a_month_keeps_its_key_while_it_grows():
    """And says how far it reaches."""
    (short,), (long,) = (rows("2024-01-15", last, every="1 month") for last in ("2024-01-20", "2024-01-31"))
    assert short.key == long.key == "2024-01-01+1mo"
    assert (short.last_day, long.last_day) == (date(2024, 1, 20).toordinal(), date(2024, 1, 31).toordinal())


@given(st.dates(), st.integers(0, 2000), st.integers(1, 40))
@example(date(9999, 12, 31), 0, 7)
@example(date(1, 1, 1), 0, 7)
def test_months_cover_every_day_once(first, length, count):
    """Up to both ends of the calendar."""
    last = first + timedelta(min(length, (date.max - first).days))
    covered = [day for row in rows(first, last, every=f"{count} months") for day in sorted(days_of(row))]
    assert covered == [first + timedelta(number) for number in range((last - first).days + 1)]


@pytest.mark.parametrize("zone", ZONES)
@given(day=st.dates(date(1990, 1, 1), date(2037, 12, 30)), hours=st.sampled_from([1, 2, 3, 4, 6, 8, 12, 24]))
@example(day=date(2024, 3, 31), hours=6)
@example(day=date(2024, 10, 27), hours=1)
@example(day=date(2011, 12, 29), hours=6)
def test_hours_cover_every_moment_once(zone, day, hours):
    """None is longer than was said, whatever the clocks do; each begins where the one before ends."""
    made = rows(day, day + timedelta(1), every=f"{hours} h", timezone=zone, now=datetime(2040, 1, 1, tzinfo=UTC))
    begins = [row.values["start"].timestamp() for row in made]
    untils = [row.values["until"].timestamp() for row in made]
    assert begins[1:] == untils[:-1]
    assert all(0 < until - begin <= hours * 3600 for begin, until in zip(begins, untils, strict=True))
    assert [row.values["end"].timestamp() for row in made] == [until - 1 for until in untils]
    midnights = (Template.parse("{d:epoch}").in_zone(zone).fill({"d": day + timedelta(days)}) for days in (0, 2))
    assert [begins[0], untils[-1]] == list(midnights)
    assert len({row.key for row in made}) == len(made)


def test_hours_are_listed_once_they_are_over():
    """A window that goes on cannot be had yet; its text is local, its key is not."""
    made = rows("yesterday", "today", every="6 h", timezone="Asia/Singapore")
    assert made[-1].key == "2024-03-15T04:00Z+6h"
    assert str(made[-1].values["until"]) == "2024-03-15 18:00:00+08:00"
    assert len(made) == 7
    assert rows("yesterday", "today", every="6 h", timezone="Asia/Singapore", order="newest") == made[::-1]
