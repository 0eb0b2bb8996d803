"""What an answer means by the rules of the job. Pure; judged before an answer is kept.

A rule that matches stands above the status, and the first one decides. Nothing that a rule refuses is ever a result.
"""

import enum
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jmespath
import msgspec

from fetcher.errors import CredentialRefused, Refused, Stopped
from fetcher.fetch.hints import Hints
from fetcher.fetch.refusals import LARGEST_TEXT
from fetcher.fetch.resets import seconds_until, words_s
from fetcher.fetch.retries import AttemptFailed, excerpt, judged
from fetcher.job.expect import Expect
from fetcher.model import Response, is_true

UNREADABLE = object()


class Meaning(enum.Enum):
    """What an answer that counts is: records, the word that there are none, or that they are too many for one."""

    RECORDS = enum.auto()
    EMPTY = enum.auto()
    TOO_MANY = enum.auto()


MEANT = {"accept": Meaning.RECORDS, "empty": Meaning.EMPTY, "split": Meaning.TOO_MANY}


def rule_for(rules: Sequence[Expect], response: Response) -> Expect | None:
    """The first rule that matches."""
    answer: object = UNREADABLE
    for rule in rules:
        if rule.body and answer is UNREADABLE:
            answer = _json(response.body)
        if _matches(rule, response, answer):
            return rule
    return None


def looks_into_body(rules: Sequence[Expect]) -> bool:
    """Whether a rule wants the body to be decoded."""
    return any(rule.body for rule in rules)


def meaning(response: Response, said: Hints, rule: Expect | None, *, is_repeatable: bool = True) -> Meaning:
    """What an answer that counts is. Raises what any other means for the row: `AttemptFailed`, a `RowError`, or a
    `RunStopped`."""
    if rule is None:
        judged(response, said, is_repeatable)
        return Meaning.RECORDS
    if rule.action in MEANT:
        return MEANT[rule.action]
    reason = _reason(rule, response)
    match rule.action:
        case "retry":
            raise AttemptFailed(reason, told_wait_s(rule, response, said))
        case "cooldown":
            told_s = told_wait_s(rule, response, said)
            raise AttemptFailed(reason, rule.wait if told_s is None else told_s, is_guess=told_s is None)
        case "stop":
            raise Stopped(f"{reason}: a rule in fetch.expect ends the run here; run again when that is over")
        case "refresh_auth":
            raise CredentialRefused(f"{reason}: the credential is refused; check it, then run again")
        case _:
            raise Refused(reason)


def is_about_row(rule: Expect) -> bool:
    """Whether an answer under this rule is about what was asked, whatever its status says of the server."""
    return rule.action in MEANT or rule.action == "refuse"


def kept_meaning(response: Response, rule: Expect | None) -> Meaning | None:
    """What a kept answer is by the rules of today; None where they would not have kept it."""
    if rule is None:
        return Meaning.RECORDS if 200 <= response.status < 300 else None
    return MEANT.get(rule.action)


def told_wait_s(rule: Expect, response: Response, said: Hints) -> float | None:
    """How long the answer asks to wait: by the rule's group `wait`, else in one of the usual ways."""
    match = rule.text.search(_text(response)) if rule.text else None
    text = (match.groupdict().get("wait") or "").rstrip(" .!") if match else ""
    if text:
        told_s = seconds_until(text, "auto", response.fetched_at)
        told_s = words_s(text, response.fetched_at) if told_s is None else told_s
        if told_s is not None:
            return told_s
    return said.wait_s


def _matches(rule: Expect, response: Response, answer: object) -> bool:
    if rule.status and response.status not in rule.status:
        return False
    for name, pattern in rule.header.items():
        if not pattern.search(response.header(name) or ""):
            return False
    if rule.text and not rule.text.search(_text(response)):
        return False
    return not rule.body or (answer is not UNREADABLE and _is_found(rule.body, answer))


def _is_found(path: str, answer: object) -> bool:
    try:
        found = _compiled(path).search(answer)
    # ValueError: jmespath's own errors, and Python's.
    except (ArithmeticError, TypeError, ValueError, RecursionError):
        return False
    return is_true(found)


def _reason(rule: Expect, response: Response) -> str:
    found = None
    if rule.reason and (answer := _json(response.body)) is not UNREADABLE:
        try:
            found = _compiled(rule.reason).search(answer)
        except (ArithmeticError, TypeError, ValueError, RecursionError):
            found = None
    said = excerpt(response.body if found is None else str(found).encode())
    return f"HTTP {response.status} {said}".rstrip()


def _text(response: Response) -> str:
    return response.body[:LARGEST_TEXT].decode("utf-8", "replace")


def _json(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return UNREADABLE


@lru_cache
def _compiled(path: str) -> Any:
    return jmespath.compile(path)
