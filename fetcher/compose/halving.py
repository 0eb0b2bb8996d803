"""Windows that hold too much are halved, and the halves asked for one after the other. Pure.

A half is named by the way to it: `""` is the whole window, `"0"` its first half, `"01"` the second half of that. So a
place in the ledger says all that is needed to go on.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta

from fetcher.errors import Incomplete
from fetcher.model import Value

DAY = timedelta(days=1)


def window_of(values: Mapping[str, Value]) -> tuple[datetime, datetime]:
    """The moments at which a row's window begins and ends; days begin at midnight and end with the next one."""
    first = values.get("start", values.get("date"))
    last = values.get("until")
    if last is None:
        last = values.get("end", values.get("date"))
        last = last + DAY if type(last) is date else last
    if not isinstance(first, date) or not isinstance(last, date):
        raise Incomplete("this row has no window that could be halved: read.dates gives rows with one")
    return _moment(first), _moment(last)


def half(window: tuple[datetime, datetime], way: str, least: timedelta) -> tuple[datetime, datetime]:
    """The part of a window that a way leads to; its borders lie whole steps of `least` from the window's beginning."""
    begin, end = window
    for turn in way:
        middle = begin + (end - begin) // least // 2 * least
        begin, end = (begin, middle) if turn == "0" else (middle, end)
    return begin, end


def deeper(window: tuple[datetime, datetime], way: str, least: timedelta) -> str:
    """The way to the first half of a part that holds too much. Raises `Incomplete` where it cannot be halved."""
    begin, end = half(window, way, least)
    if (end - begin) // least < 2:
        raise Incomplete(
            f"from {begin} to {end} there is more than the API gives at once, and fetch.pages.least forbids halving"
        )
    return way + "0"


def beside(way: str) -> str | None:
    """The way to the part that comes next; None after the last one."""
    turned = way.rstrip("1")
    return f"{turned[:-1]}1" if turned else None


def halved_values(values: Mapping[str, Value], way: str, least: timedelta) -> Mapping[str, Value]:
    """A row's values at a part of its window: `start`, `until` and `end`, which is `least` before `until`.

    They are days where all borders are those of days. The whole window is asked for as the row has it.
    """
    if not way:
        return values
    begin, until = half(window_of(values), way, least)
    end = until - least
    if least % DAY == timedelta(0) and begin.time() == time.min:
        return {**values, "start": begin.date(), "end": end.date(), "until": until.date()}
    return {**values, "start": begin, "end": end, "until": until}


def _moment(value: date) -> datetime:
    return value if isinstance(value, datetime) else datetime.combine(value, time.min)
