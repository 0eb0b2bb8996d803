"""Rows of dates: one row a day, or one a window of days, both ends inclusive, as the API's own calendar counts them."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from fetcher.job.days import Day, DayOffset
from fetcher.job.sections import Dates
from fetcher.model import Row


def date_rows(dates: Dates, now: datetime) -> Iterator[Row]:
    """Every day from `dates.from_` to `dates.to`, oldest first; `now` (aware) settles "today" in the feed's time zone.

    A step of one day fills {date}; a longer one fills {start} and {end}, the last window cut at `to`. Days are
    calendar days, so a change to or from daylight saving time neither skips nor repeats one.
    """
    today = now.astimezone(ZoneInfo(dates.timezone)).date()
    first, last = calendar_day(dates.from_, today), calendar_day(dates.to, today)
    # Ordinals, because the calendar may end within the last window.
    for ordinal in range(first.toordinal(), last.toordinal() + 1, dates.every):
        day = date.fromordinal(ordinal)
        if dates.every == 1:
            yield Row(key=day.isoformat(), values={"date": day})
        else:
            end = date.fromordinal(min(ordinal + dates.every - 1, last.toordinal()))
            yield Row(key=f"{day}/{end}", values={"start": day, "end": end})


def calendar_day(day: Day, today: date) -> date:
    """A day as the calendar has it; relative ones count from `today`."""
    return today + timedelta(days=day.days) if isinstance(day, DayOffset) else day
