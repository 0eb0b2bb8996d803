"""Times, sizes and rates as people write them: "30 s", "64 MB", "6/10 s". A number without its unit is an error.

"m" is a minute, because that is what `--for 25m` means; sizes know both families (kB = 1000, KiB = 1024).
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Annotated, Literal

from fetcher.job.kinds import Kind, text_schema
from fetcher.job.wording import shown

_SECONDS = {
    **dict.fromkeys(("ms",), Decimal("0.001")),
    **dict.fromkeys(("s", "sec", "second", "seconds"), Decimal(1)),
    **dict.fromkeys(("m", "min", "minute", "minutes"), Decimal(60)),
    **dict.fromkeys(("h", "hour", "hours"), Decimal(3600)),
    **dict.fromkeys(("d", "day", "days"), Decimal(86400)),
}
_BYTES = {
    "B": 1,
    **{"kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12},
    **{"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40},
}
_CALENDAR: dict[str, Literal["day", "month"]] = {"d": "day", "day": "day", "month": "month"}
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,9})?"
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*([A-Za-z]*)\s*")
_RATE = re.compile(rf"\s*(-?{_NUMBER})\s*/\s*((?:{_NUMBER})?)\s*([A-Za-z]*)\s*")
_MOST_STARTS = 1_000_000
_LONGEST_WINDOW_S = 86_400.0
_A_TIME = "expected a time such as '30 s' or '2 min'"
_A_SIZE = "expected a size such as '64 MB' or '8 MiB'"
_A_RATE = "expected a rate such as '20/s', '6/10 s' or '5000/day'"
_TIME_UNITS = "units are ms, s, min, h and day"
_SIZE_UNITS = "units are B, kB, MB, GB, TB, KiB, MiB, GiB and TiB"
_RATE_UNITS = "windows are counted in ms, s, min or h, or are one day or one month of the calendar"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `starts` requests begin within any `per_s` seconds."""

    starts: int
    per_s: float


@dataclass(frozen=True, slots=True)
class CalendarRate:
    """At most `starts` requests begin within one day or month of the calendar."""

    starts: int
    unit: Literal["day", "month"]


def parse_duration(value: object) -> float:
    """Seconds. Raises ValueError saying what was expected."""
    quantity = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if quantity is None:
        raise ValueError(f"{_A_TIME}, got {shown(value)}{_unit_hint(value, 's')}")
    amount, unit = quantity.groups()
    if unit not in _SECONDS:
        raise ValueError(f"{_A_TIME}, got {shown(value)}, {_unit_fault(unit)}; {_TIME_UNITS}")
    return float(Decimal(amount) * _SECONDS[unit])


def parse_size(value: object) -> int:
    """Bytes, a whole number of them. Raises ValueError saying what was expected."""
    quantity = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if quantity is None:
        raise ValueError(f"{_A_SIZE}, got {shown(value)}{_unit_hint(value, 'MB')}")
    amount, unit = quantity.groups()
    if unit not in _BYTES:
        raise ValueError(f"{_A_SIZE}, got {shown(value)}, {_unit_fault(unit)}; {_SIZE_UNITS}")
    size = Decimal(amount) * _BYTES[unit]
    if size != int(size):
        raise ValueError(f"{_A_SIZE}, got {shown(value)}, which is not a whole number of bytes")
    return int(size)


def parse_rate(value: object) -> Rate | CalendarRate:
    """So many starts in each window of seconds, or of the calendar. Raises ValueError saying what was expected."""
    if isinstance(value, Rate | CalendarRate):
        return value
    rate = _RATE.fullmatch(value) if isinstance(value, str) else None
    if rate is None:
        raise ValueError(f"{_A_RATE}, got {shown(value)}")
    amount, length, unit = rate.groups()
    if unit not in _SECONDS and unit not in _CALENDAR:
        raise ValueError(f"{_A_RATE}, got {shown(value)}, {_unit_fault(unit)}; {_RATE_UNITS}")
    starts = Decimal(amount)
    if starts != int(starts) or not 1 <= starts <= _MOST_STARTS:
        raise ValueError(f"{_A_RATE} with a whole number from 1 to {_MOST_STARTS} before the '/', got {shown(value)}")
    if unit in _CALENDAR or unit == "days":
        if unit not in _CALENDAR or Decimal(length or 1) != 1:
            raise ValueError(f"{_A_RATE}, got {shown(value)}; a window of the calendar is one day or one month")
        return CalendarRate(int(starts), _CALENDAR[unit])
    per_s = float(Decimal(length or 1) * _SECONDS[unit])
    if not 0.001 <= per_s <= _LONGEST_WINDOW_S:
        raise ValueError(f"{_A_RATE} with a window from 1 ms to 24 h, got {shown(value)}")
    return Rate(int(starts), per_s)


def parse_elapsed_rate(value: object) -> Rate:
    """`starts` in each window of `per_s` seconds. Raises ValueError for days and months of the calendar, too."""
    rate = parse_rate(value)
    if isinstance(rate, CalendarRate):
        raise ValueError(f"{_A_RATE}, got {shown(value)}; a {rate.unit} of the calendar is no pace")
    return rate


def duration_between(least: str, most: str) -> Kind:
    """Times from `least` to `most`, both included and written as in a job file."""
    return Kind(partial(_duration_within, least=least, most=most), _DURATION_SCHEMA)


def size_between(least: str, most: str) -> Kind:
    """Sizes from `least` to `most`, both included and written as in a job file."""
    return Kind(partial(_size_within, least=least, most=most), _SIZE_SCHEMA)


def _duration_within(value: object, least: str, most: str) -> float:
    seconds = parse_duration(value)
    if not parse_duration(least) <= seconds <= parse_duration(most):
        raise ValueError(f"expected a time from {least} to {most}, got {shown(value)}")
    return seconds


def _size_within(value: object, least: str, most: str) -> int:
    size = parse_size(value)
    if not parse_size(least) <= size <= parse_size(most):
        raise ValueError(f"expected a size from {least} to {most}, got {shown(value)}")
    return size


def _unit_fault(unit: str) -> str:
    return f"whose unit '{unit}' is unknown" if unit else "which has no unit"


def _unit_hint(value: object, unit: str) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f', which has no unit; write "{shown(value)} {unit}" if that is what you mean' if is_number else ""


_DURATION_SCHEMA = text_schema(
    rf"\s*{_NUMBER}\s*(?:{'|'.join(_SECONDS)})\s*", "500 ms", "30 s", "2 min", "1 h", "1 day"
)
_SIZE_SCHEMA = text_schema(rf"\s*{_NUMBER}\s*(?:{'|'.join(_BYTES)})\s*", "64 MB", "8 MiB", "1 GB")
_WINDOWS = "|".join([*(unit for unit in _SECONDS if unit not in {"d", "day", "days"}), *_CALENDAR])
RATE_PATTERN = rf"\s*[0-9]+\s*/\s*(?:{_NUMBER})?\s*(?:{_WINDOWS})\s*"

ElapsedRateText = Annotated[Rate, Kind(parse_elapsed_rate, text_schema(RATE_PATTERN, "2/s", "100/min"))]
"""A Rate whose window is no day or month of the calendar."""

RateText = Annotated[
    Rate | CalendarRate, Kind(parse_rate, text_schema(RATE_PATTERN, "6/10 s", "20/s", "1000/h", "5000/day"))
]
"""A Rate or a CalendarRate, written as starts per window."""
