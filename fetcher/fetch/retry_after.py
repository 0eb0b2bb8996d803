"""Waits that are asked for outright, and the moment at which an answer says them. Pure; a malformed wait is none."""

import re

from fetcher.fetch.http_dates import http_date
from fetcher.fetch.policies import Fields
from fetcher.fetch.structured import LONGEST
from fetcher.model import Response

DELAY = re.compile(r"[0-9]{1,18}(?:\.[0-9]{1,18})?")
VERY_LONG = re.compile(r"[0-9]{19,}")
FOR_EVER_S = 10.0 * 365 * 86400
LAST_DATE = 253_370_764_800.0
"""The year 9999: what comes after it is no datetime."""

MALFORMED = "\0"
"""Fits no grammar, and makes a field malformed of which it is one line."""

MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")


def retry_after_s(response: Response, now: float) -> float | None:
    """Seconds that `Retry-After` asks to wait, never negative; None where it says nothing usable.

    RFC 9110 section 10.2.3. A date counts from the answer's own `Date`, so that neither clock's error matters; `now`
    (epoch seconds) stands in where that is missing, or where a cache on the way has kept the answer. Whole seconds
    are the grammar, fractions are tolerated. A number too long to mean anything reads as ten years: a wait is never
    cut short.
    """
    return _retry_after_s(fields_of(response), now)


def _retry_after_s(fields: Fields, now: float) -> float | None:
    told_at = moment_told(fields, now)
    waits = [_delay_s(line.strip(" \t"), now, told_at) for line in fields.get("retry-after", ())]
    return max((wait_s for wait_s in waits if wait_s is not None), default=None)


def _delay_s(text: str, now: float, told_at: float) -> float | None:
    if DELAY.fullmatch(text):
        return min(float(text), FOR_EVER_S)
    if VERY_LONG.fullmatch(text):
        return FOR_EVER_S
    until = http_date(text, now)
    return None if until is None else min(max(0.0, until - told_at), FOR_EVER_S)


def asked_s(fields: Fields, now: float) -> float | None:
    """The wait that was asked for outright; the vendors' milliseconds are the same wait, more exactly."""
    for name in MILLISECONDS:
        text = ", ".join(fields.get(name, ())).strip(" \t")
        if DELAY.fullmatch(text) and (wait_s := float(text) / 1000) > 0:
            return min(wait_s, FOR_EVER_S)
    return _retry_after_s(fields, now)


def fields_of(response: Response) -> Fields:
    """The headers of an answer, each name in lower case with its lines in order. An endless line reads as malformed."""
    fields: dict[str, list[str]] = {}
    for name, value in response.headers:
        fields.setdefault(name.lower(), []).append(value if len(value) <= LONGEST else MALFORMED)
    return fields


def moment_told(fields: Fields, now: float) -> float:
    """When the answer was given, by the clock of who gave it; our own clock where its `Date` does not say so."""
    dates = fields.get("date", ())
    told_at = http_date(dates[0], now) if dates and not is_aged(fields) else None
    return now if told_at is None or not 0 <= told_at < LAST_DATE else told_at


def is_aged(fields: Fields) -> bool:
    """Whether a cache on the way has kept the answer: what it says of limits is of another time, or of another."""
    age = ", ".join(fields.get("age", ())).strip(" \t")
    return bool(DELAY.fullmatch(age)) and float(age) > 0
