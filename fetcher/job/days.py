"""Days and steps of days as a job file writes them. "today" stays a word here: who resolves it knows the time."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from fetcher.job.kinds import Kind, text_schema
from fetcher.job.wording import guess, shown

_OFFSET = re.compile(r"-([0-9]{1,5}) ?days?")
_STEP = re.compile(r"\s*([0-9]{1,4})\s*(?:d|days?)\s*")
_A_DAY = "expected a date such as '2024-01-31', 'today', 'yesterday' or '-100 days'"
LONGEST_STEP_DAYS = 3660


@dataclass(frozen=True, slots=True, order=True)
class DayOffset:
    """A day counted from today: 0 is today, -1 yesterday."""

    days: int


Day = date | DayOffset


def parse_day(value: object) -> Day:
    """A date, or a day relative to today. Raises ValueError saying what was expected."""
    match value:
        case DayOffset():
            return value
        case date() if not isinstance(value, datetime):
            return value
        case "today":
            return DayOffset(0)
        case "yesterday":
            return DayOffset(-1)
        case str() if offset := _OFFSET.fullmatch(value):
            return DayOffset(-int(offset[1]))
        case str() if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            try:
                return date.fromisoformat(value)
            except ValueError as error:
                raise ValueError(f"{_A_DAY}, got {shown(value)}, which no calendar has") from error
        case _:
            raise ValueError(f"{_A_DAY}, got {shown(value)}")


def parse_step(value: object) -> int:
    """Whole days, at least one. Raises ValueError saying what was expected."""
    step = _STEP.fullmatch(value) if isinstance(value, str) else None
    if step is None or not 1 <= int(step[1]) <= LONGEST_STEP_DAYS:
        raise ValueError(
            f"expected whole days from '1 day' to '{LONGEST_STEP_DAYS} days', such as '7 days', got {shown(value)}"
        )
    return int(step[1])


def parse_timezone(value: object) -> str:
    """The name of a time zone that this machine knows. Raises ValueError with the nearest name."""
    if not isinstance(value, str):
        raise ValueError(f"expected a time zone such as 'Asia/Singapore' or 'UTC', got {shown(value)}")
    try:
        return ZoneInfo(value).key
    # A name that is a folder of the database, or no path at all, raises from the file system.
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        meant = guess(value, sorted(available_timezones()))
        hint = f"; did you mean '{meant}'?" if meant else ""
        raise ValueError(f"expected a time zone such as 'Asia/Singapore' or 'UTC', got {shown(value)}{hint}") from error


def order_fault(first: Day, last: Day) -> str | None:
    """What is wrong where `first` is certainly after `last`; a date and an offset can be compared only at run time."""
    match first, last:
        case (DayOffset(), DayOffset()):
            is_backwards = first > last
        case (date(), date()):
            is_backwards = first > last
        case _:
            return None
    return "'from' is after 'to', so there is no day to read" if is_backwards else None


_DAY_PATTERN = r"[0-9]{4}-[0-9]{2}-[0-9]{2}|today|yesterday|-[0-9]+ ?days?"
DayText = Annotated[Day, Kind(parse_day, text_schema(_DAY_PATTERN, "2024-01-01", "today", "yesterday", "-100 days"))]
StepText = Annotated[int, Kind(parse_step, text_schema(r"[0-9]+ *(?:d|days?)", "1 day", "7 days"))]
TimezoneText = Annotated[str, Kind(parse_timezone, lambda: {"type": "string", "examples": ["UTC", "Asia/Singapore"]})]
