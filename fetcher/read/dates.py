"""Rows of dates: one row a day, or one a window of days, both ends inclusive, as the API's own calendar counts them."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from fetcher.job.days import Day, DayOffset
from fetcher.job.sections import Dates
from fetcher.model import Row


def date_rows(dates: Dates, now: datetime) -> Iterator[Row]:
    """Every day from `dates.from_` to `dates.to`; `now` (aware) settles "today" in the feed's time zone.

    A step of one day fills {date}; a longer one fills {start} and {end}, cut at the first and the last day. Windows
    begin where the job says, or, where its first day moves with the calendar, at days that do not move, so that a
    window keeps its key from run to run. Days are calendar days: daylight saving time neither skips nor repeats one.
    Days of the `lookback` are recent, and so is a window that grows with the calendar.
    """
    today = now.astimezone(ZoneInfo(dates.timezone)).date()
    first, last = calendar_day(dates.from_, today), calendar_day(dates.to, today)
    fixed_before = today - timedelta(days=dates.lookback) if dates.lookback else date.max
    # Ordinals, because the calendar may end within the last window.
    shift = first.toordinal() % dates.every if isinstance(dates.from_, DayOffset) else 0
    begins = range(first.toordinal() - shift, last.toordinal() + 1, dates.every)
    for begin in begins if dates.order == "oldest" else reversed(begins):
        whole = begin + dates.every - 1
        start = max(first, date.fromordinal(max(begin, 1)))
        end = date.fromordinal(min(whole, last.toordinal()))
        still_grows = whole > last.toordinal() and isinstance(dates.to, DayOffset)
        is_recent = still_grows or end >= fixed_before
        if dates.every == 1:
            yield Row(start.isoformat(), {"date": start}, is_recent)
        else:
            yield Row(f"{date.fromordinal(max(begin, 1))}+{dates.every}d", {"start": start, "end": end}, is_recent)


def calendar_day(day: Day, today: date) -> date:
    """A day as the calendar has it; relative ones count from `today`."""
    return today + timedelta(days=day.days) if isinstance(day, DayOffset) else day
