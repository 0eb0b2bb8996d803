"""Windows of the calendar: which day or month of a time zone a moment lies in, and when that ends. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from fetcher.job.units import CalendarRate

EDGE_S = 1.0
"""A request that starts this near to the end of a day may be counted in the next one, so it counts in both."""


@dataclass(frozen=True, slots=True)
class Period:
    """One day or month: its name (`day 2024-03-31 Europe/Berlin`), and the epoch second at which the next begins."""

    name: str
    ends: float


def period_of(rate: CalendarRate, timezone: str, moment: float) -> Period:
    """The day or month in which a moment (epoch seconds) lies; days are 23 or 25 hours long where clocks change."""
    zone = ZoneInfo(timezone)
    local = datetime.fromtimestamp(moment, UTC).astimezone(zone)
    if rate.unit == "day":
        name, following = f"{local:%Y-%m-%d}", local.date() + timedelta(1)
    else:
        name, following = f"{local:%Y-%m}", (local.date().replace(day=1) + timedelta(32)).replace(day=1)
    # Where the clocks change at midnight there may be none: the moment named here is then the day's first all the same.
    ends = datetime(following.year, following.month, following.day, tzinfo=zone).timestamp()
    return Period(f"{rate.unit} {name} {timezone}", ends)


def periods_of(rate: CalendarRate, timezone: str, clocks: Iterable[float]) -> list[Period]:
    """Every period that a start may be counted in, by any of these clocks (epoch seconds), in order of their ends."""
    moments = [moment + edge for moment in clocks for edge in (-EDGE_S, EDGE_S)]
    return sorted({period_of(rate, timezone, moment) for moment in moments}, key=lambda period: period.ends)
