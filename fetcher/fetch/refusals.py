"""What the body of an answer says about waiting: problem types, and the fields and words that a job names. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from fetcher.fetch.policies import Fields
from fetcher.fetch.resets import seconds_until, words_s
from fetcher.job.hints import WaitRule
from fetcher.model import Response

LARGEST_JSON = 1 << 20
"""Bytes; a larger body is a result, and decoding it twice would be felt."""

LARGEST_TEXT = 4000
"""Bytes of a body that an expression is looked for in: refusals are short, and expressions can be slow."""

PROBLEM_TYPE = re.compile(r"https://(?:www\.)?iana\.org/assignments/http-problem-types#(?P<name>[a-z-]+)")


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem type of the RateLimit draft: its name, and the policies that were violated."""

    name: str = ""
    violated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RuledWait:
    """What one rule of the job found. A text that is found means a refusal; where it says no time, `least_s` holds."""

    wait_s: float | None
    least_s: float = 0.0
    is_refusal: bool = False


def problem(response: Response) -> Problem | None:
    """The problem of the RateLimit draft that a refusal states (RFC 9457); members of the wrong type are not there."""
    media_type = (response.header("Content-Type") or "").partition(";")[0].strip(" \t").lower()
    if response.status < 400 or media_type != "application/problem+json":
        return None
    members = _json(response.body)
    if not isinstance(members, dict) or not isinstance(members.get("type"), str):
        return None
    named = PROBLEM_TYPE.fullmatch(members["type"])
    violated = members.get("violated-policies")
    names = violated if isinstance(violated, list) else []
    return Problem(named["name"], tuple(name for name in names if isinstance(name, str))) if named else None


def ruled_waits(response: Response, fields: Fields, rules: Sequence[WaitRule], told_at: float) -> list[RuledWait]:
    """What each of the job's rules finds in an answer; those that find nothing are not among them."""
    is_answer = 200 <= response.status < 300
    found: list[RuledWait] = []
    for rule in rules:
        if rule.status and response.status not in rule.status:
            continue
        if rule.text is None:
            found += _in_value(response, fields, rule, told_at)
        elif rule.status or not is_answer:
            found += _in_text(response, rule, rule.text, told_at)
    return found


def _in_value(response: Response, fields: Fields, rule: WaitRule, told_at: float) -> list[RuledWait]:
    value = _json_at(rule.body, response) if rule.body else ", ".join(fields.get((rule.header or "").lower(), ()))
    wait_s = seconds_until(value, rule.kind, told_at)
    return [] if wait_s is None else [RuledWait(wait_s)]


def _in_text(response: Response, rule: WaitRule, pattern: re.Pattern[str], told_at: float) -> list[RuledWait]:
    match = pattern.search(response.body[:LARGEST_TEXT].decode("utf-8", "replace"))
    if match is None:
        return []
    text = match.groupdict().get("wait")
    if text is None:
        return [RuledWait(None, rule.least, is_refusal=True)]
    wait_s = seconds_until(text.rstrip(" .!"), rule.kind, told_at)
    if wait_s is None and rule.kind == "auto":
        wait_s = words_s(text, told_at)
    return [RuledWait(wait_s, rule.least, is_refusal=True)]


def _json_at(path: str, response: Response) -> object:
    import jmespath

    answer = _json(response.body)
    if answer is None:
        return None
    try:
        found: object = jmespath.search(path, answer)
    # ValueError: jmespath's own errors, and Python's.
    except (ArithmeticError, TypeError, ValueError, RecursionError):
        return None
    return found


def _json(body: bytes) -> object:
    if len(body) > LARGEST_JSON:
        return None
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return None
