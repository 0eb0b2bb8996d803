"""What a kept answer may be used for now (RFC 9111 section 4, RFC 5861), for a cache that serves one user. Pure.

Everything here is a function over a request, a kept answer and the time in epoch seconds. Where a directive is
malformed the answer is stale.
"""

import enum

from fetcher.fetch.ages import age_s, lifetime_s
from fetcher.fetch.directives import Directives, directives, request_directives, seconds, seconds_told
from fetcher.fetch.stored import Stored
from fetcher.model import Request, Response


class Use(enum.Enum):
    """What a request may have of a kept answer: it as it is, it while it is asked for anew, or it once confirmed."""

    AS_IT_IS = enum.auto()
    WHILE_ASKED_ANEW = enum.auto()
    CONFIRMED = enum.auto()


def use_of(request: Request, stored: Stored, now: float, may_guess: bool = False) -> Use:
    """Whether the answer does for this request, which it matches."""
    asked, said = request_directives(request.headers), directives(stored.response.headers)
    if "no-cache" in asked or "no-cache" in said or "no-store" in asked:
        return Use.CONFIRMED
    age, lifetime = age_s(stored.response, stored.asked_at, now), lifetime_s(stored.response, may_guess)
    if "immutable" in said and age < lifetime:  # a younger one would say the same (RFC 8246 section 2)
        asked = {name: arguments for name, arguments in asked.items() if name != "max-age"}
    if not is_young_enough(asked, age, lifetime):
        return Use.CONFIRMED
    if age < lifetime:
        return Use.AS_IT_IS
    if "must-revalidate" in said:
        return Use.CONFIRMED
    if is_stale_welcome(asked, age - lifetime):
        return Use.AS_IT_IS
    window = seconds_told(said, "stale-while-revalidate")
    is_within = window is not None and age - lifetime < window and "max-age" not in asked and "min-fresh" not in asked
    return Use.WHILE_ASKED_ANEW if is_within else Use.CONFIRMED


def is_young_enough(asked: Directives, age: float, lifetime: float) -> bool:
    """Whether the answer is as young, and as far from stale, as the request wants it (sections 5.2.1.1, 5.2.1.3)."""
    most, spare = seconds_told(asked, "max-age"), seconds_told(asked, "min-fresh")
    if spare is not None and lifetime - age < spare:
        return False
    return most is None or age <= most or (age >= lifetime and is_stale_welcome(asked, age - lifetime))


def is_stale_welcome(asked: Directives, stale_s: float) -> bool:
    """Whether the request takes an answer that has been stale for so long (section 5.2.1.2)."""
    arguments = asked.get("max-stale", ())
    if None in arguments:
        return stale_s != float("inf")
    times = [seconds(argument) for argument in arguments]
    return bool(times) and all(time is not None and stale_s <= time for time in times)


def does_on_error(request: Request, stored: Stored, now: float, may_guess: bool = False) -> bool:
    """Whether the answer may stand in for an error (RFC 5861 section 4); must-revalidate forbids it on every path."""
    asked, said = request_directives(request.headers), directives(stored.response.headers)
    if is_confirmation_due(said) or "no-cache" in asked:
        return False
    windows = [seconds_told(directive, "stale-if-error") for directive in (asked, said)]
    stale_s = age_s(stored.response, stored.asked_at, now) - max(0.0, lifetime_s(stored.response, may_guess))
    return any(window is not None and stale_s < window for window in windows)


def does_offline(stored: Stored, now: float) -> bool:
    """Whether the answer may be used, however old, where nothing may be asked (section 4.2.4)."""
    is_dated = stored.response.fetched_at <= now
    return is_dated and not is_confirmation_due(directives(stored.response.headers))


def is_confirmation_due(said: Directives) -> bool:
    """Whether a stale answer is of no use before it is confirmed."""
    return "must-revalidate" in said or "no-cache" in said


def aged(stored: Stored, now: float, url: str = "") -> Response:
    """The answer as a cache gives it to a request for `url`, its age in it (section 5.1)."""
    age = min(age_s(stored.response, stored.asked_at, now), 2.0**31)
    it = stored.response
    kept = [pair for pair in it.headers if pair[0].lower() != "age"]
    return Response(it.status, (*kept, ("Age", str(int(age)))), it.body, it.fetched_at, from_cache=True, url=url)
