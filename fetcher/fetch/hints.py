"""What a server says about when to come back. Pure: headers in, seconds out; a malformed hint is no hint."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime

from fetcher.model import Response

NUMBER = re.compile(r"[0-9]+(\.[0-9]+)?")
FOR_EVER_S = 10.0 * 365 * 86400
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONTH = "|".join(MONTHS)
CLOCK = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
HTTP_DATES = tuple(
    re.compile(pattern, re.ASCII)
    for pattern in (
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>\d\d) (?P<month>{MONTH}) (?P<year>\d{{4}}) {CLOCK} GMT",
        rf"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>\d\d)-(?P<month>{MONTH})-(?P<year>\d\d) {CLOCK} GMT",
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?P<month>{MONTH}) (?P<day>[ \d]\d) {CLOCK} (?P<year>\d{{4}})",
    )
)


def retry_after_s(response: Response, now: float) -> float | None:
    """Seconds that `Retry-After` asks to wait, never negative; None where it says nothing usable.

    RFC 9110 section 10.2.3. A date counts from the answer's own `Date`, so that neither clock's error matters; `now`
    (epoch seconds) stands in where that is missing. Whole seconds are the grammar, fractions are tolerated. A
    number too long to mean anything reads as ten years: a wait is never cut short.
    """
    text = (response.header("Retry-After") or "").strip(" \t")
    if NUMBER.fullmatch(text):
        return min(float(text), FOR_EVER_S)
    until = http_date(text, now)
    if until is None:
        return None
    told_at = http_date(response.header("Date") or "", now)
    return min(max(0.0, until - (now if told_at is None else told_at)), FOR_EVER_S)


def http_date(text: str, now: float) -> float | None:
    """Epoch seconds of an HTTP date in any of the three forms that a recipient must accept (RFC 9110 section 5.6.7)."""
    match = next((found for form in HTTP_DATES if (found := form.fullmatch(text.strip(" \t")))), None)
    if match is None:
        return None
    part = match.groupdict()
    year = full_year(part["year"], datetime.fromtimestamp(now, UTC).year)
    leap = part["second"] == "60"  # a legal HTTP date and no legal datetime
    try:
        moment = datetime(
            year,
            MONTHS.index(part["month"]) + 1,
            int(part["day"]),
            int(part["hour"]),
            int(part["minute"]),
            59 if leap else int(part["second"]),
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return moment.timestamp() + leap


def full_year(text: str, this_year: int) -> int:
    """A year of two digits is the latest one that ends in them and is not more than 50 years ahead."""
    if len(text) == 4:
        return int(text)
    furthest = this_year + 50
    return furthest - (furthest - int(text)) % 100


def as_http_date(epoch_s: float) -> str:
    """`Sun, 06 Nov 1994 08:49:37 GMT`, the form that senders must use."""
    return format_datetime(datetime.fromtimestamp(epoch_s, UTC), usegmt=True)
