"""The ways in which servers write "when", turned into seconds from the moment at which they said it.

Pure. What cannot be read is None and never an error. `told_at` is that moment by the server's own clock (epoch
seconds), so that its being wrong does not matter.
"""

import math
import re
from datetime import UTC, datetime

from fetcher.fetch.http_dates import http_date
from fetcher.job.hints import ResetKind

LONGEST_RESET_S = 366.0 * 86400
"""No quota is known that takes longer. A later reset is a misunderstanding (microseconds?) or malice: it is no hint."""

LONGEST_TEXT = 100
EPOCH_S_FROM = 1e9
EPOCH_MS_FROM = 1e12
SCALES = {"seconds": 1.0, "milliseconds": 0.001, "epoch": 1.0, "epoch milliseconds": 0.001}
EPOCHS = frozenset({"epoch", "epoch milliseconds"})
NUMBER = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?")
UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
DURATION_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(ms|s|m|h|d)")
DURATION = re.compile(rf"(?:{DURATION_PART.pattern})+")
ISO = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?: ?(?:Z|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?)?"
)

_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "ten": 10, "thirty": 30}
_LONG_UNITS = r"milliseconds?|msecs?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?"
_COUNT = rf"(?P<count>[0-9]{{1,9}}(?:\.[0-9]{{1,9}})?\s?|(?:{'|'.join(_COUNTS)})\s)"
WORDS_PART = re.compile(rf"{_COUNT}(?P<unit>{_LONG_UNITS}|ms|s|m|h|d)\b", re.IGNORECASE)
WORDS_JOINT = re.compile(r"(?:\s|,|and)*", re.IGNORECASE)
NEXT = re.compile(r"(?:the )?(?:next|following) (?P<unit>minute|hour|day)|tomorrow", re.IGNORECASE)


def seconds_until(value: object, kind: ResetKind, told_at: float) -> float | None:
    """Seconds, never negative, until the moment that a header's text, or a number of a body, names.

    None where it is not of that kind, is negative, or lies more than a year away.
    """
    number = _number(value)
    if number is not None:
        found = _of_number(number, kind, told_at)
    elif isinstance(value, str) and len(value) <= LONGEST_TEXT and kind in ("auto", "duration", "date"):
        found = _of_text(value.strip(), kind, told_at)
    else:
        found = None
    return None if found is None or found > LONGEST_RESET_S else max(0.0, found)


def words_s(text: str, told_at: float) -> float | None:
    """Seconds that English words ask to wait: `20 seconds`, `1 hour and 5 minutes`, `one minute`, `next hour`.

    "Next hour", "next day" and "tomorrow" are when the server's clock, in UTC, has its next full hour or midnight.
    """
    text = text.strip(" \t\r\n.!")
    if len(text) > LONGEST_TEXT:
        return None
    if found := NEXT.fullmatch(text):
        whole_s = UNITS_S[(found["unit"] or "day")[0].lower()]
        return whole_s - told_at % whole_s
    total_s, at = 0.0, 0
    while at < len(text):
        if (part := WORDS_PART.match(text, at)) is None:
            return None
        total_s += _amount_s(part["count"].strip().lower(), part["unit"].lower())
        joint = WORDS_JOINT.match(text, part.end())
        at = joint.end() if joint else part.end()
    return total_s if text and total_s <= LONGEST_RESET_S else None


def duration_s(text: str) -> float | None:
    """Seconds of a duration as Go writes it: `6m0s`, `1m4.296s`, `20ms`."""
    if len(text) > LONGEST_TEXT or not DURATION.fullmatch(text):
        return None
    return sum(float(amount) * UNITS_S[unit] for amount, unit in DURATION_PART.findall(text))


def _amount_s(count: str, unit: str) -> float:
    amount = float(_COUNTS.get(count) or count)
    if unit.startswith("w"):
        return amount * 7 * 86400
    return amount * UNITS_S["ms" if unit.startswith(("ms", "milli")) else unit[0]]


def _number(value: object) -> float | None:
    """A number as a header or a body gives it. `float` alone would take signs, blanks, `nan` and `1_000` too."""
    if isinstance(value, str):
        text = value.strip(" \t")
        return float(text) if NUMBER.fullmatch(text) else None
    # bool is an int to Python. Beyond 10**18 nothing is meant, and float() may overflow.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**18:
        return None
    return float(value)


def _of_number(number: float, kind: ResetKind, told_at: float) -> float | None:
    if kind == "auto":
        kind = _guessed(number)
    if kind not in SCALES:
        return None
    return number * SCALES[kind] - (told_at if kind in EPOCHS else 0.0)


def _guessed(number: float) -> ResetKind:
    """Nobody waits 32 years, and no quota begins before 2001. Milliseconds that are left look like seconds."""
    if number >= EPOCH_MS_FROM:
        return "epoch milliseconds"
    return "epoch" if number >= EPOCH_S_FROM else "seconds"


def _of_text(text: str, kind: ResetKind, told_at: float) -> float | None:
    if kind != "date" and (found := duration_s(text)) is not None:
        return found
    if kind == "duration":
        return None
    until = http_date(text, told_at)
    if until is None:
        until = _iso(text)
    return None if until is None else until - told_at


def _iso(text: str) -> float | None:
    """Epoch seconds of an ISO 8601 date and time; without a zone it is taken for UTC."""
    if not ISO.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text.replace(" UTC", "Z").replace(" GMT", "Z").replace(" +", "+"))
        found = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None
