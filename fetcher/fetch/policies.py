"""RateLimit and RateLimit-Policy: draft-ietf-httpapi-ratelimit-headers-10, and the forms of its forerunners.

A field with anything malformed in it is ignored whole. What a server says may be hostile: nothing here bounds how
fast a job goes, it can only slow it down.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fetcher.fetch.resets import LONGEST_RESET_S
from fetcher.fetch.structured import Item, dictionary, list_items

REQUESTS = "requests"
CONTENT_BYTES = "content-bytes"
CONCURRENT = "concurrent-requests"
TOKENS = "tokens"
PARTITION = ";pk="
UNITS = {"request": REQUESTS}
"""The draft's text says `requests` and its registry `request`."""

Fields = Mapping[str, Sequence[str]]
"""{name of a header in lower case: its lines in order}."""


@dataclass(frozen=True, slots=True)
class ToldLimit:
    """What one answer says of one limit, counted in `unit`; what it does not say is None.

    `remaining` may be used within the next `reset_s` seconds; `quota` is what any `per_s` seconds allow.
    """

    name: str
    unit: str = REQUESTS
    remaining: int | None = None
    reset_s: float | None = None
    quota: int | None = None
    per_s: float | None = None


class Malformed(ValueError):
    """The field is not what the draft says."""


Key = tuple[str, bytes | None]


def draft_limits(fields: Fields) -> list[ToldLimit]:
    """Every limit that these two fields tell of, one for each policy and partition; none where they are malformed."""
    policies = _policies(fields.get("ratelimit-policy", ()))
    lines = fields.get("ratelimit", ())
    found = _draft_7(lines, policies) if _is_draft_7(lines) else _service_limits(lines, policies)
    spoken_of = {limit.name for limit in found}
    return found + [policy for policy in policies.values() if policy.name not in spoken_of]


def policy_quotas(items: Sequence[Item]) -> list[ToldLimit]:
    """Quotas as drafts up to 07 list them: `10;w=1, 50;w=60`. Raises Malformed."""
    return [
        ToldLimit(f"{quota};w={window_s:.0f}", quota=_whole({"q": quota}, "q"), per_s=window_s)
        for quota, parameters in items
        if isinstance(quota, int) and (window_s := _window_s(parameters)) is not None
    ]


def _policies(lines: Sequence[str]) -> dict[Key, ToldLimit]:
    items = list_items(lines) if lines else None
    if not items:
        return {}
    try:
        if all(isinstance(value, int) for value, _ in items):
            return {(limit.name, None): limit for limit in policy_quotas(items)}
        return _merged([_policy(item) for item in items])
    except Malformed:
        return {}


def _service_limits(lines: Sequence[str], policies: Mapping[Key, ToldLimit]) -> list[ToldLimit]:
    items = list_items(lines) if lines else None
    if not items:
        return []
    try:
        limits = _merged([_service_limit(item) for item in items])
    except Malformed:
        return []
    return [_with_policy(limit, policies.get(key) or policies.get((key[0], None))) for key, limit in limits.items()]


def _policy(item: Item) -> tuple[Key, ToldLimit]:
    key, parameters = _key(item)
    unit = parameters.get("qu", REQUESTS)
    quota = _whole(parameters, "q")
    if quota is None or not isinstance(unit, str):
        raise Malformed
    per_s = _window_s(parameters)
    return key, ToldLimit(_label(key), UNITS.get(unit, unit), quota=quota, per_s=per_s)


def _service_limit(item: Item) -> tuple[Key, ToldLimit]:
    key, parameters = _key(item)
    remaining, reset_s = _whole(parameters, "r"), _whole(parameters, "t")
    if remaining is None or (reset_s or 0) > LONGEST_RESET_S:
        raise Malformed
    return key, ToldLimit(_label(key), remaining=remaining, reset_s=reset_s)


def _with_policy(limit: ToldLimit, policy: ToldLimit | None) -> ToldLimit:
    return replace(limit, unit=policy.unit, quota=policy.quota, per_s=policy.per_s) if policy else limit


def _merged(found: Sequence[tuple[Key, ToldLimit]]) -> dict[Key, ToldLimit]:
    """Of several items with one key, the most restrictive values."""
    merged: dict[Key, ToldLimit] = {}
    for key, limit in found:
        other = merged.get(key, limit)
        merged[key] = replace(
            limit,
            remaining=_least(limit.remaining, other.remaining),
            reset_s=_most(limit.reset_s, other.reset_s),
            quota=_least(limit.quota, other.quota),
            per_s=_most(limit.per_s, other.per_s),
        )
    return merged


def _least(one: int | None, other: int | None) -> int | None:
    return min((value for value in (one, other) if value is not None), default=None)


def _most(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)


def _key(item: Item) -> tuple[Key, Mapping[str, object]]:
    name, parameters = item
    partition = parameters.get("pk")
    if not isinstance(name, str) or not (partition is None or isinstance(partition, bytes)):
        raise Malformed
    return (name, partition), parameters


def _label(key: Key) -> str:
    name, partition = key
    return name if partition is None else f"{name}{PARTITION}{base64.b64encode(partition).decode()}"


def _whole(parameters: Mapping[str, object], name: str) -> int | None:
    """A number of units or seconds, None where it is absent; a Boolean is not one."""
    value = parameters.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise Malformed
    return value


def _window_s(parameters: Mapping[str, object]) -> float | None:
    window_s = _whole(parameters, "w")
    if window_s == 0:
        raise Malformed
    return None if window_s is None or window_s > LONGEST_RESET_S else float(window_s)


def _is_draft_7(lines: Sequence[str]) -> bool:
    return any(line.lstrip(" \t").startswith(("limit=", "remaining=", "reset=")) for line in lines)


def _draft_7(lines: Sequence[str], policies: Mapping[Key, ToldLimit]) -> list[ToldLimit]:
    """`limit=100, remaining=50, reset=30`: draft 07, still sent by widespread middleware."""
    members = dictionary(lines) or {}
    try:
        told = {name: _whole({name: value}, name) for name, (value, _) in members.items()}
    except Malformed:
        return []
    remaining, reset_s = told.get("remaining"), told.get("reset")
    if remaining is None or (reset_s or 0) > LONGEST_RESET_S:
        return []
    quota = told.get("limit")
    per_s = next((policy.per_s for policy in policies.values() if policy.quota == quota), None)
    return [ToldLimit("ratelimit", remaining=remaining, reset_s=reset_s, quota=quota, per_s=per_s)]
