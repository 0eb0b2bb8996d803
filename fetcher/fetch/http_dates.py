"""The dates of HTTP headers (RFC 9110 section 5.6.7), read in all three forms and written in the one. Pure."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime

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


def http_date(text: str, now: float) -> float | None:
    """Epoch seconds of an HTTP date in any of the three forms that a recipient must accept."""
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
