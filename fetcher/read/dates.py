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
    Days of the `lookback` are recent, and so is a window that grows with the calendar; it is final once a run could
    ask for the whole of it.
    """
    today = now.astimezone(ZoneInfo(dates.timezone)).date()
    first, last = calendar_day(dates.from_, today), calendar_day(dates.to, today)
    fixed_before = today - timedelta(days=dates.lookback) if dates.lookback else date.max
    # Ordinals, because the calendar may end within the last window.
    ends = first.toordinal(), last.toordinal()
    shift = ends[0] % dates.every if isinstance(dates.from_, DayOffset) else 0
    begins = range(ends[0] - shift, ends[1] + 1, dates.every)
    if dates.order == "newest":
        begins = begins[::-1]
    if dates.every == 1:
        for day in map(date.fromordinal, begins):
            yield Row(day.isoformat(), {"date": day}, day >= fixed_before)
        return
    for begin in begins:
        whole = begin + dates.every - 1
        start, end = date.fromordinal(max(begin, ends[0])), date.fromordinal(min(whole, ends[1]))
        key = f"{date.fromordinal(max(begin, 1))}+{dates.every}d"
        yield Row(key, {"start": start, "end": end}, end >= fixed_before, start.toordinal(), end.toordinal())


def calendar_day(day: Day, today: date) -> date:
    """A day as the calendar has it; relative ones count from `today`."""
    return today + timedelta(days=day.days) if isinstance(day, DayOffset) else day
