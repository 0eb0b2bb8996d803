"""What a value becomes where a job names its type. Nothing is rounded or guessed: what does not fit is an error."""

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial

import msgspec

from fetcher.parse.exact import Exact, written

Convert = Callable[[object], object]
"""From a value that is not null to another. Raises `ValueError` saying what was expected."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_WHOLE_WITH_POINT = re.compile(r"([+-]?\d+)\.0*", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_BOOLS = {"true": True, "yes": True, "y": True, "t": True, "1": True}
_BOOLS |= {"false": False, "no": False, "n": False, "f": False, "0": False}
_MOST_EXACT = 2**53
_MICROSECOND = timedelta(microseconds=1)


def converter(kind: str) -> Convert:
    """The conversion that a job calls `kind`; behind `date` and `time` a format may stand (`date %d.%m.%Y`)."""
    name, _, form = kind.partition(" ")
    if form:
        return partial(_formatted_time if name == "time" else _formatted_date, form=form)
    return CONVERSIONS[kind]


def to_int(value: object) -> int:
    """A whole number: from text, or from a float without a fraction."""
    match value:
        case bool():
            pass
        case int():
            return value
        case Exact() if (number := Decimal(value.text)) == number.to_integral_value():
            return int(number)
        case float() if value.is_integer() and abs(value) < _MOST_EXACT:
            return int(value)
        case str():
            text = value.strip()
            if _WHOLE.fullmatch(text):
                return int(text)
            if with_point := _WHOLE_WITH_POINT.fullmatch(text):
                return int(with_point[1])
    raise ValueError("expected a whole number")


def to_float(value: object) -> float | int:
    """A number: 24 becomes 24.0, so that a column has one type; only a whole one that no float can hold stays whole."""
    match value:
        case bool():
            pass
        case int():
            return float(value) if abs(value) <= _MOST_EXACT else value
        case float() if math.isfinite(value):
            return float(value)
        case str() if _NUMBER.fullmatch(value.strip()) and math.isfinite(number := float(value)):
            return number
    raise ValueError("expected a number")


def to_decimal(value: object) -> int | msgspec.Raw:
    """A number with all the digits it was written with."""
    to_float(value)
    if isinstance(value, int):
        return value
    return written(Decimal(value.text if isinstance(value, Exact) else str(value).strip()))


def to_text(value: object) -> str:
    """Numbers and flags as JSON writes them."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case Exact():
            return value.text
        case int() | float():
            return str(value)
        case date():
            return value.isoformat()
    raise ValueError("expected a text, a number or a flag")


def to_bool(value: object) -> bool:
    """true, false; 1, 0; and the words for them."""
    word = value.strip().lower() if isinstance(value, str) else str(value).lower() if isinstance(value, int) else ""
    if word in _BOOLS:
        return _BOOLS[word]
    raise ValueError("expected true or false")


def to_date(value: object) -> str:
    """The day of an ISO 8601 date or time, as it stands there: 2024-05-01."""
    return _parsed(value).date().isoformat()


def to_time(value: object) -> str:
    """An ISO 8601 time in UTC; one without a zone is in UTC already."""
    return iso_text(moment(value))


def from_epoch(value: object, per_s: int) -> str:
    """Seconds (or milliseconds) since 1970 as ISO 8601 in UTC; milliseconds are always written with three digits."""
    number = value.text if isinstance(value, Exact) else str(to_float(value)).strip()
    try:
        told = EPOCH + int(Decimal(number) * (1_000_000 // per_s)) * _MICROSECOND
    except (OverflowError, ArithmeticError) as error:
        raise ValueError("expected a time between the years 1 and 9999") from error
    return iso_text(told, least_digits=3 if per_s == 1000 else 0)


def to_epoch(value: object, per_s: int) -> int | msgspec.Raw:
    """An ISO 8601 time as seconds, or milliseconds, since 1970."""
    number = Decimal((moment(value) - EPOCH) // _MICROSECOND) * per_s / 1_000_000
    return int(number) if number == int(number) else written(number)


def moment(value: object) -> datetime:
    """The moment that an ISO 8601 text names. Raises `ValueError` for anything else."""
    told = _parsed(value)
    try:
        return told.astimezone(UTC) if told.tzinfo else told.replace(tzinfo=UTC)
    except OverflowError as error:
        raise ValueError("expected a time between the years 1 and 9999") from error


def iso_text(told: datetime, least_digits: int = 0) -> str:
    """`2024-05-01T12:00:00Z`, with as many digits behind the seconds as there are: none, three or six."""
    digits = 6 if told.microsecond % 1000 else 3 if told.microsecond else least_digits
    timespec = {0: "seconds", 3: "milliseconds", 6: "microseconds"}[digits]
    return told.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=timespec) + "Z"


def _parsed(value: object) -> datetime:
    if isinstance(value, date):
        value = value.isoformat()
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.strip())
        except ValueError:
            pass
    raise ValueError("expected a date or time such as '2024-05-01T12:00:00Z'")


def _formatted(value: object, form: str) -> datetime:
    try:
        return datetime.strptime(to_text(value).strip(), form)
    except ValueError as error:
        raise ValueError(f"expected a date or time written as '{form}'") from error


def _formatted_date(value: object, form: str) -> str:
    return _formatted(value, form).date().isoformat()


def _formatted_time(value: object, form: str) -> str:
    return to_time(_formatted(value, form))


CONVERSIONS: dict[str, Convert] = {
    "int": to_int,
    "float": to_float,
    "decimal": to_decimal,
    "text": to_text,
    "bool": to_bool,
    "date": to_date,
    "time": to_time,
    "epoch_s": partial(from_epoch, per_s=1),
    "epoch_ms": partial(from_epoch, per_s=1000),
    "to_epoch_s": partial(to_epoch, per_s=1),
    "to_epoch_ms": partial(to_epoch, per_s=1000),
}
