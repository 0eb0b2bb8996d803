"""Rows of dates: one row a day, or one a window, both ends inclusive, as the API's own calendar counts them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from fetcher.job.days import Day, DayOffset
from fetcher.job.read import Dates
from fetcher.job.steps import Step
from fetcher.model import Row, Value

HOUR_S = 3600


class Window(NamedTuple):
    """A window before it is cut at the ends of the range: its first day (an ordinal), and that of the next one."""

    begin: int
    next: int


def date_rows(dates: Dates, now: datetime) -> Iterator[Row]:
    """Every day from `dates.from_` to `dates.to`; `now` (aware) settles "today" in the feed's time zone.

    A step of one day fills {date}; another one fills {start} and {end}, cut at the first and the last day; {until} is
    what comes next. Windows of days begin where the job says, or, where its first day moves with the calendar, at days
    that do not move, so that a window keeps its key from run to run; months are those of the calendar. Days are
    calendar days: daylight saving time neither skips nor repeats one. Days of the `lookback` are recent, and so is a
    window that grows with the calendar; it is final once a run could ask for the whole of it.
    """
    zone = ZoneInfo(dates.timezone)
    today = now.astimezone(zone).date()
    first, last = calendar_day(dates.from_, today), calendar_day(dates.to, today)
    fixed_before = today - timedelta(days=dates.lookback) if dates.lookback else date.max
    if dates.every.unit == "hour":
        yield from past_hours(dates, (first, last), now, fixed_before)
        return
    # Ordinals, because the calendar may end within the last window.
    ends = first.toordinal(), last.toordinal()
    for window in windows(dates, ends):
        start, end = max(window.begin, ends[0]), min(window.next - 1, ends[1])
        first_day, last_day = date.fromordinal(start), date.fromordinal(end)
        if dates.every == Step(1):
            values = {"date": first_day, "start": first_day, "end": first_day, **until(end)}
            yield Row(first_day.isoformat(), values, last_day >= fixed_before)
        else:
            values = {"start": first_day, "end": last_day, **until(end)}
            yield Row(window_key(window, dates.every), values, last_day >= fixed_before, start, end)


def windows(dates: Dates, ends: tuple[int, int]) -> Iterator[Window]:
    """The windows that have a day from the first to the last one (ordinals), in the order of the job."""
    step, is_newest_first = dates.every, dates.order == "newest"
    if step.unit == "month":
        months = [day.year * 12 + day.month - 1 for day in map(date.fromordinal, ends)]
        begins = range(months[0] // step.count * step.count, months[1] + 1, step.count)
        for month in reversed(begins) if is_newest_first else begins:
            yield Window(month_begin(month), month_begin(month + step.count))
        return
    shift = ends[0] % step.count if isinstance(dates.from_, DayOffset) else 0
    begins = range(ends[0] - shift, ends[1] + 1, step.count)
    for begin in reversed(begins) if is_newest_first else begins:
        yield Window(begin, begin + step.count)


def month_begin(month: int) -> int:
    """The first day (an ordinal) of a month, counted from the year 0; an end of the calendar
    where it has no such month."""
    year, number = divmod(month, 12)
    if year < 1:
        return 1
    return date(year, number + 1, 1).toordinal() if year <= date.max.year else date.max.toordinal() + 1


def window_key(window: Window, step: Step) -> str:
    """`2024-01-01+7d`, `2024-01-01+1mo`"""
    return f"{date.fromordinal(max(window.begin, 1))}+{step.count}{'mo' if step.unit == 'month' else 'd'}"


def until(end: int) -> dict[str, Value]:
    """The day after the last one; nothing at the end of the calendar."""
    return {"until": date.fromordinal(end + 1)} if end < date.max.toordinal() else {}


def past_hours(dates: Dates, ends: tuple[date, date], now: datetime, fixed_before: date) -> Iterator[Row]:
    """The windows of hours that are over, of the days from the first to the last."""
    days = range(ends[0].toordinal(), ends[1].toordinal() + 1)
    is_newest_first, zone = dates.order == "newest", ZoneInfo(dates.timezone)
    for day in map(date.fromordinal, reversed(days) if is_newest_first else days):
        over = [row for begins_next, row in hour_rows(dates.every, day, zone) if begins_next <= now.timestamp()]
        for row in reversed(over) if is_newest_first else over:
            yield row._replace(is_recent=day >= fixed_before)


def hour_rows(step: Step, day: date, zone: ZoneInfo) -> Iterator[tuple[int, Row]]:
    """The windows of a day, and when each is over (epoch seconds). Each is so many hours long, whatever the clocks do
    that day: then the last one is cut, or there is one more. {end} is their last second."""
    begin, end = midnight(day, zone), midnight(day + timedelta(1), zone)
    for start in range(begin, end, step.count * HOUR_S):
        after = min(start + step.count * HOUR_S, end)
        key = f"{datetime.fromtimestamp(start, UTC):%Y-%m-%dT%H:%MZ}+{step.count}h"
        moments = {"start": start, "end": after - 1, "until": after}
        yield after, Row(key, {name: datetime.fromtimestamp(moment, zone) for name, moment in moments.items()})


def midnight(day: date, zone: ZoneInfo) -> int:
    """When a day begins (epoch seconds); one that begins twice, or at one o'clock, begins the first time it can."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())


def calendar_day(day: Day, today: date) -> date:
    """A day as the calendar has it; relative ones count from `today`."""
    return today + timedelta(days=day.days) if isinstance(day, DayOffset) else day
