"""Rows of dates: one row a day, or one a window of days, both ends inclusive, as the API's own calendar counts them."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from fetcher.job.days import Day, DayOffset
from fetcher.job.sections import Dates
from fetcher.model import Row


def date_rows(dates: Dates, now: datetime) -> Iterator[Row]:
    """Every day from `dates.from_` to `dates.to`; `now` (aware) settles "today" in the feed's time zone.

    A step of one day fills {date}; a longer one fills {start} and {end}, the last window cut at `to`. Days are
    calendar days, so a change to or from daylight saving time neither skips nor repeats one. Days of the `lookback`
    are recent, and so is a window that grows with the calendar.
    """
    today = now.astimezone(ZoneInfo(dates.timezone)).date()
    first, last = calendar_day(dates.from_, today), calendar_day(dates.to, today)
    fixed_before = today - timedelta(days=dates.lookback) if dates.lookback else date.max
    indexes = range(windows(first, last, dates.every))
    for index in indexes if dates.order == "oldest" else reversed(indexes):
        start = first + timedelta(days=index * dates.every)
        whole = start + timedelta(days=dates.every - 1)
        still_grows = whole > last and isinstance(dates.to, DayOffset)
        is_recent = still_grows or min(whole, last) >= fixed_before
        if dates.every == 1:
            yield Row(start.isoformat(), {"date": start}, is_recent)
        else:
            yield Row(f"{start}+{dates.every}d", {"start": start, "end": min(whole, last)}, is_recent)


def windows(first: date, last: date, every: int) -> int:
    """How many windows of `every` days it takes from the first to the last day, both included."""
    return max(0, -(-((last - first).days + 1) // every))


def calendar_day(day: Day, today: date) -> date:
    """A day as the calendar has it; relative ones count from `today`."""
    return today + timedelta(days=day.days) if isinstance(day, DayOffset) else day
