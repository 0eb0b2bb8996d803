"""How old an answer is, and how old it may become (RFC 9111 sections 4.2.1 to 4.2.3). Pure."""

from functools import lru_cache

from fetcher.fetch.directives import MOST_S, directives, lines_of, seconds, seconds_told
from fetcher.fetch.http_dates import http_date
from fetcher.model import Response

HEURISTIC = frozenset({200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501})
"""Statuses whose answers may be kept and guessed about without a word from the server (RFC 9110 section 15.1)."""

HEURISTIC_SHARE = 0.1
HEURISTIC_MOST_S = 86_400.0
NEVER = float("-inf")
YEAR_S = 31_556_952


def date_of(text: str, now: float) -> float | None:
    """Epoch seconds of a date, whatever the case of its letters (section 4.2)."""
    return _date_by_year(text, int(now // YEAR_S))


@lru_cache(256)
def _date_by_year(text: str, year: int) -> float | None:
    return http_date(text.strip(" \t").title().replace("Gmt", "GMT"), year * YEAR_S)


def told_date(response: Response) -> float:
    """When the server made the answer; when it came, where the server does not say."""
    lines = lines_of(response.headers, "date")
    date = date_of(lines[0], response.fetched_at) if len(lines) == 1 else None
    return response.fetched_at if date is None else date


def told_age_s(response: Response) -> int:
    """What the first member of `Age` says; 0 where that is no whole number of seconds (section 5.1)."""
    lines = lines_of(response.headers, "age")
    return (seconds(lines[0].partition(",")[0].strip(" \t")) or 0) if lines else 0


def age_s(response: Response, asked_at: float, now: float) -> float:
    """The age of a kept answer that was asked for at `asked_at`; all times are epoch seconds.

    One from the future was dated by a clock that was ahead: nobody knows its age, so it is older than anything.
    """
    resident_s = now - response.fetched_at
    if resident_s < 0:
        return float("inf")
    apparent_s = max(0.0, response.fetched_at - told_date(response))
    corrected_s = told_age_s(response) + max(0.0, response.fetched_at - asked_at)
    return max(apparent_s, corrected_s) + resident_s


def lifetime_s(response: Response, may_guess: bool) -> float:
    """How old the answer may become before it is stale; negative infinity where it does not say.

    With `may_guess`, a tenth of the time since it was last modified, a day at most, stands in for that.
    """
    said = directives(response.headers)
    if (told := seconds_told(said, "max-age")) is not None:
        return told
    if lines := lines_of(response.headers, "expires"):
        expires = date_of(lines[0], response.fetched_at) if len(set(lines)) == 1 else None
        return 0.0 if expires is None else min(expires - told_date(response), MOST_S)
    return guessed_s(response) if may_guess and (response.status in HEURISTIC or "public" in said) else NEVER


def guessed_s(response: Response) -> float:
    """A lifetime by heuristics (section 4.2.2)."""
    lines = lines_of(response.headers, "last-modified")
    modified = date_of(lines[0], response.fetched_at) if lines else None
    if modified is None:
        return NEVER
    return min(HEURISTIC_SHARE * (told_date(response) - modified), HEURISTIC_MOST_S)
