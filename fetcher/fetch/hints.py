"""What a server says about when to come back and how much is left. Pure: an answer in, `Hints` out.

A malformed hint is no hint, and none makes a job faster than it declares. What wins over what:

1. `Retry-After` (`retry-after-ms` before it) and what the job's rules find: the longest of them.
2. Without `Retry-After`, the latest reset of the limits that are used up. RateLimit is believed before the
   X-RateLimit families, whose meaning has to be guessed; windows that the job describes always count.
3. Nothing usable: None, and the job's own back-off decides.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from fetcher.fetch.families import family_limits, window_limits
from fetcher.fetch.policies import (
    CONCURRENT,
    CONTENT_BYTES,
    PARTITION,
    REQUESTS,
    TOKENS,
    Fields,
    ToldLimit,
    draft_limits,
)
from fetcher.fetch.refusals import Problem, RuledWait, problem, ruled_waits
from fetcher.fetch.retry_after import asked_s, fields_of, is_aged, moment_told
from fetcher.job.hints import HintsSection
from fetcher.model import Response

CAP = re.compile(r"[0-9]{1,9}")
THROTTLING = frozenset({429, 503})
THROTTLED_AT_LEAST_S = 60.0
ABUSE_WAIT_S = 3600.0
"""Longer than any run waits by default, so that a run which is taken for abuse parks everything and ends."""

ABUSE = "abnormal-usage-detected"
SHOULD_RETRY = ("x-should-retry", "stripe-should-retry")
KNOWN_UNITS = frozenset({REQUESTS, CONTENT_BYTES, TOKENS})


@dataclass(frozen=True, slots=True)
class ToldAllowance:
    """No more than `remaining` further requests (or whatever `unit` counts) within the next `reset_s` seconds."""

    name: str
    remaining: int
    reset_s: float
    unit: str = REQUESTS


@dataclass(frozen=True, slots=True)
class Quota:
    """At most `units` in any `per_s` seconds, by the server's account of its policy."""

    name: str
    units: int
    per_s: float
    unit: str = REQUESTS


@dataclass(frozen=True, slots=True)
class Hints:
    """What one answer says. `wait_s` is how long the realm must be left alone: None where nothing usable was said,
    0 where only "later" was.

    `allowances` count requests and nothing else; `budgets` count tokens, bytes or units unknown to us. `concurrency`
    is how many requests may be under way at once. `is_guess`: the wait is our own floor, and has to grow while it does
    not help. `should_retry` overrules the status. `is_throttled`: a refusal that means "later", whatever its status.
    `is_abuse`: the server takes us for an attacker. `violated` names the policies that it refused for.
    """

    wait_s: float | None = None
    allowances: tuple[ToldAllowance, ...] = ()
    budgets: tuple[ToldAllowance, ...] = ()
    quotas: tuple[Quota, ...] = ()
    concurrency: int | None = None
    should_retry: bool | None = None
    is_throttled: bool = False
    is_guess: bool = False
    is_abuse: bool = False
    violated: tuple[str, ...] = ()


NOTHING = Hints()


@dataclass(frozen=True, slots=True)
class _Heard:
    """The parts of one answer that say something, before it is decided which of them wins."""

    status: int
    asked_s: float | None
    limits: Sequence[ToldLimit]
    ruled: Sequence[RuledWait]
    problem: Problem


def hints(response: Response, settings: HintsSection, now: float) -> Hints:
    """Everything that an answer says about waits and allowances; `now` is epoch seconds. Nothing for a kept answer."""
    if response.from_cache:
        return NOTHING
    fields = fields_of(response)
    if _is_silent(response, fields, settings):
        return NOTHING
    told_at = moment_told(fields, now)
    limits = _limits(fields, settings, told_at)
    heard = _Heard(
        response.status,
        asked_s(fields, now),
        limits,
        ruled_waits(response, fields, settings.waits, told_at) if settings.waits else (),
        problem(response) or Problem(),
    )
    wait_s, is_guess = _wait(heard)
    return Hints(
        wait_s=wait_s,
        allowances=_allowances(heard, [limit for limit in limits if limit.unit == REQUESTS]),
        budgets=_allowances(heard, [limit for limit in limits if limit.unit not in (REQUESTS, CONCURRENT)]),
        quotas=tuple(_quotas(limits)),
        concurrency=_concurrency(limits, fields.get(settings.concurrency.lower(), ())),
        should_retry=_should_retry(fields) if settings.should_retry else None,
        is_throttled=_is_throttled(heard),
        is_guess=is_guess,
        is_abuse=heard.problem.name == ABUSE,
        violated=heard.problem.violated,
    )


def _is_silent(response: Response, fields: Fields, settings: HintsSection) -> bool:
    """Most answers say nothing, and reading their dates would cost three times what finding that out does."""
    if response.status >= 400 or settings.waits or settings.windows or settings.concurrency.lower() in fields:
        return False
    return not any("limit" in name or "retry" in name for name in fields)


def _limits(fields: Fields, settings: HintsSection, told_at: float) -> list[ToldLimit]:
    if is_aged(fields):
        return []
    limits = draft_limits(fields) if "ratelimit" in fields or "ratelimit-policy" in fields else []
    is_told = any(limit.remaining is not None for limit in limits)
    if settings.reset != "ignored" and not is_told:
        limits += family_limits(fields, settings.reset, told_at)
    return limits + window_limits(fields, settings.windows, told_at)


def _wait(heard: _Heard) -> tuple[float | None, bool]:
    """The wait in seconds, and whether it is a guess of ours."""
    waits = [found.wait_s for found in heard.ruled if found.wait_s is not None]
    if heard.asked_s is not None:
        waits.append(heard.asked_s)
    if not heard.asked_s:
        waits += _until_more(heard)
    if heard.problem.name == ABUSE:
        waits.append(ABUSE_WAIT_S)
    wait_s = max(waits, default=None)
    floors = [found.least_s for found in heard.ruled if found.wait_s is None]
    if heard.status == 403 and _is_used_up(heard):
        floors.append(THROTTLED_AT_LEAST_S)
    return (wait_s, False) if wait_s or not floors else (max(floors), True)


def _until_more(heard: _Heard) -> list[float]:
    """How long each limit lasts that stands in the way of the next request."""
    return [
        wait_s
        for limit in heard.limits
        if _is_in_the_way(limit, heard) and (wait_s := _reset_s(limit)) is not None and limit.unit != CONCURRENT
    ]


def _is_in_the_way(limit: ToldLimit, heard: _Heard) -> bool:
    if limit.name.partition(PARTITION)[0] in heard.problem.violated:
        return True
    if limit.remaining is None:
        return heard.status in THROTTLING and limit.reset_s is not None
    # Whether our requests use up a unit that nobody has heard of shows when one is refused.
    return limit.remaining == 0 and (limit.unit in KNOWN_UNITS or heard.status >= 400)


def _is_used_up(heard: _Heard) -> bool:
    return any(limit.remaining == 0 and limit.unit in KNOWN_UNITS for limit in heard.limits)


def _is_throttled(heard: _Heard) -> bool:
    if any(found.is_refusal for found in heard.ruled):
        return True
    if heard.status == 403 and _is_used_up(heard):
        return True
    return heard.status >= 400 and bool(heard.ruled or heard.problem.name)


def _reset_s(limit: ToldLimit) -> float | None:
    """When there is more; of a limit that does not say, its whole window."""
    return limit.per_s if limit.reset_s is None else limit.reset_s


def _allowances(heard: _Heard, limits: Sequence[ToldLimit]) -> tuple[ToldAllowance, ...]:
    """What may still be used, and until when. `Retry-After` stands in for the reset of what is used up (section 7)."""
    return tuple(
        ToldAllowance(limit.name, limit.remaining, reset_s, limit.unit)
        for limit in limits
        if limit.remaining is not None
        and (reset_s := limit.reset_s if limit.remaining else _reset_s(limit))
        and not (heard.asked_s and limit.remaining == 0)
    )


def _quotas(limits: Sequence[ToldLimit]) -> list[Quota]:
    return [
        Quota(limit.name, limit.quota, limit.per_s, limit.unit)
        for limit in limits
        if limit.quota and limit.per_s and limit.unit != CONCURRENT
    ]


def _concurrency(limits: Sequence[ToldLimit], lines: Sequence[str]) -> int | None:
    """The smallest cap that is told; one request may always be under way, or nothing would ever be asked again."""
    caps = [limit.quota for limit in limits if limit.unit == CONCURRENT and limit.quota is not None]
    caps += [int(line) for line in lines if CAP.fullmatch(line.strip(" \t"))]
    return max(1, min(caps)) if caps else None


def _should_retry(fields: Fields) -> bool | None:
    said = {line.strip(" \t").lower() for name in SHOULD_RETRY for line in fields.get(name, ())}
    return {"true": True, "false": False}.get(said.pop()) if len(said) == 1 else None
