"""X-RateLimit-Limit, -Remaining and -Reset, in all the ways in which they are spelled and meant.

There is no specification. A family with one part that cannot be read, or with a negative one (-1 for "no limit"), is
ignored whole.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

from fetcher.fetch.policies import REQUESTS, Fields, Malformed, ToldLimit, policy_quotas
from fetcher.fetch.resets import seconds_until
from fetcher.fetch.structured import list_items
from fetcher.job.hints import ResetKind, WindowRule
from fetcher.job.units import Rate

PART = re.compile(
    r"(?P<family>(?:x-)?rate-?limit)-(?P<part>limit|remaining|reset-after|reset|interval)(?:-(?P<counted>.+))?"
)
COUNT = re.compile(r"(?P<whole>[0-9]{1,18})(?:\.[0-9]{1,18})?")
FILLING = re.compile(r"(?P<used>[0-9]{1,12}) ?/ ?(?P<size>[0-9]{1,12})")

Parts = Mapping[str, Sequence[str]]
"""{part of a family: the lines of its header}."""


def family_limits(fields: Fields, kind: ResetKind, told_at: float) -> list[ToldLimit]:
    """Every limit that headers of the usual names tell of; `kind` is how they write the reset.

    `-tokens` at the end of a name counts tokens, `-requests` or nothing counts requests, and anything else is a unit
    of its own.
    """
    families: dict[tuple[str, str], dict[str, Sequence[str]]] = {}
    for name, lines in fields.items():
        if "limit-" in name and (part := PART.fullmatch(name)):
            family = families.setdefault((part["family"], part["counted"] or REQUESTS), {})
            family[part["part"]] = lines
    found = []
    for (prefix, unit), parts in families.items():
        name = prefix if unit == REQUESTS else f"{prefix}-{unit}"
        with suppress(Malformed):
            found += _told(ToldLimit(name, unit), parts, partial(seconds_until, kind=kind, told_at=told_at))
    return found


def window_limits(fields: Fields, rules: Sequence[WindowRule], told_at: float) -> list[ToldLimit]:
    """Every limit that headers of the API's own tell of, as the job describes them."""
    found = []
    for rule in rules:
        named = {"remaining": rule.remaining, "reset": rule.reset, "limit": rule.limit, "interval": rule.interval}
        parts = {part: lines for part, name in named.items() if name and (lines := fields.get(name.lower()))}
        blank = ToldLimit((rule.remaining or rule.filling or rule.limit or "").lower(), rule.unit)
        with suppress(Malformed):
            if rule.filling is not None:
                found += _bucket(blank, fields.get(rule.filling.lower()), rule.refill)
            else:
                found += _told(blank, parts, partial(seconds_until, kind=rule.kind, told_at=told_at))
    return found


def _told(blank: ToldLimit, parts: Parts, read: Callable[[str], float | None]) -> list[ToldLimit]:
    """What the parts of one family say, and the further quotas that its limit lists. Raises Malformed."""
    remaining = _count(parts["remaining"]) if "remaining" in parts else None
    reset_s = None
    if "reset-after" in parts:
        reset_s = _when(parts["reset-after"], partial(seconds_until, kind="seconds", told_at=0.0))
    elif "reset" in parts:
        reset_s = _when(parts["reset"], read)
    quota, quotas = _limit(parts.get("limit", ()))
    per_s = max((other.per_s for other in quotas if other.per_s and other.quota == quota), default=None)
    if "interval" in parts:
        per_s = _when(parts["interval"], partial(seconds_until, kind="auto", told_at=0.0)) or None
    return [replace(blank, remaining=remaining, reset_s=reset_s, quota=quota, per_s=per_s), *quotas]


def _bucket(blank: ToldLimit, lines: Sequence[str] | None, refill: Rate | None) -> list[ToldLimit]:
    """A leaky bucket, `32/40`: the next request has room once one has run out. Raises Malformed."""
    if not lines:
        return []
    filling = FILLING.fullmatch(_one(lines))
    if filling is None:
        raise Malformed
    size = int(filling["size"])
    reset_s = refill.per_s / refill.starts if refill else None
    return [replace(blank, remaining=max(0, size - int(filling["used"])), reset_s=reset_s)]


def _limit(lines: Sequence[str]) -> tuple[int | None, list[ToldLimit]]:
    """The limit and the quotas that drafts up to 06 list behind it: `100, 100;w=60`.

    A limit in words is passed over, for nothing depends on it. Raises Malformed where it is negative.
    """
    items = list_items(lines) if lines else None
    if not items or isinstance(items[0][0], bool) or not isinstance(items[0][0], int):
        return None, []
    if items[0][0] < 0:
        raise Malformed
    return items[0][0], policy_quotas(items)


def _count(lines: Sequence[str]) -> int:
    count = COUNT.fullmatch(_one(lines))
    if count is None:
        raise Malformed
    return int(count["whole"])


def _when(lines: Sequence[str], read: Callable[[str], float | None]) -> float:
    found = read(_one(lines))
    if found is None:
        raise Malformed
    return found


def _one(lines: Sequence[str]) -> str:
    """The value of a header that must not have two."""
    values = {line.strip(" \t") for line in lines}
    if len(values) != 1:
        raise Malformed
    return values.pop()
