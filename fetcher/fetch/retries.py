"""When a failed attempt is made again, and after how long.

tenacity runs the loop, and only once a first attempt has failed: on the way of success it costs a quarter of what
the request itself does.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import tenacity

from fetcher.errors import CredentialRefused, GaveUp, Parked, Refused, Unknown
from fetcher.fetch.budget import Budget
from fetcher.fetch.deadlines import Deadline
from fetcher.fetch.hints import Hints
from fetcher.model import Response

Answer = TypeVar("Answer")

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504, *range(520, 525), 529})
UNASKED = frozenset({206, 304})
"""Part of an answer, or none because we have it, to somebody who asked for the whole: the next one may be it."""

RETRIED_IF_TOLD_WHEN = frozenset({403, 413})
"""With a wait they mean "not now" (GitHub throttles with 403); without one, "never"."""

TURNED_AWAY = frozenset({403, 408, 413, 425, 429, 503})
"""The server has not begun to do what was asked."""

ASKED_NEXT_RUN = frozenset({403, 407, 511})
"""The address, the network or what we may do is wrong, not the row: whoever mends it must not find its rows settled."""

TOO_MUCH = "too much has failed lately for more in this run"
HINT_JITTER = 0.1
HINT_JITTER_MOST_S = 30.0


class AttemptFailed(Exception):
    """One attempt failed in a way that asking again may mend. `hint_s` is the wait that the server asked for.

    `is_guess` where it asked for one without a time: the wait doubles while that goes on, up to the longest.
    """

    def __init__(self, reason: str, hint_s: float | None = None, is_guess: bool = False) -> None:
        self.reason = reason
        self.hint_s = hint_s
        self.is_guess = is_guess
        super().__init__(reason)


class RetrySettings(Protocol):
    """The part of a job that says how often, in attempts, and after how long, in seconds."""

    @property
    def attempts(self) -> int: ...
    @property
    def first_wait(self) -> float: ...
    @property
    def longest_wait(self) -> float: ...
    @property
    def max_wait(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Retries:
    """Retries by one job's settings, out of a budget that all rows share. `now` gives epoch seconds."""

    settings: RetrySettings
    chance: random.Random
    now: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    budget: Budget = field(default_factory=Budget)

    async def run(self, attempt: Callable[[], Awaitable[Answer]], deadline: Deadline | None = None) -> Answer:
        """The answer of the first attempt that succeeds.

        Raises `GaveUp` when all have failed, the budget is empty, or the next attempt would come after the deadline;
        `Parked` when the server asks for more than `max_wait`, or for more than is left; all tell the last reason.
        Whatever else an attempt raises passes through.
        """
        left_s = deadline.left_s if deadline else lambda: float("inf")
        try:
            answer = await attempt()
        except AttemptFailed as failure:
            wait_s = self._wait_s(failure, 1, left_s())
            if self.settings.attempts == 1 or not self.budget.take():
                raise self._given_up(failure, 1) from failure
            await self.sleep(wait_s)
        else:
            self.budget.succeeded(was_retry=False)
            return answer
        retrying = tenacity.AsyncRetrying(
            stop=self._is_enough,
            wait=lambda state: self._wait_of_state(state, left_s()),
            retry=tenacity.retry_if_exception_type(AttemptFailed),
            sleep=self.sleep,
        )
        try:
            answer = await retrying(attempt)
        except tenacity.RetryError as error:
            last = error.last_attempt
            raise self._given_up(last.exception(), 1 + last.attempt_number) from last.exception()
        self.budget.succeeded(was_retry=True)
        return answer

    def _is_enough(self, state: tenacity.RetryCallState) -> bool:
        return state.attempt_number >= self.settings.attempts - 1 or not self.budget.take()

    def _given_up(self, failure: BaseException | None, made: int, why: str = TOO_MUCH) -> GaveUp:
        said = f"{failure}; {made} attempt{'' if made == 1 else 's'}"
        if made >= self.settings.attempts:
            return GaveUp(said)
        early = GaveUp(f"{said}; {why}")
        early.is_early = True
        return early

    def _wait_of_state(self, state: tenacity.RetryCallState, left_s: float) -> float:
        failure = state.outcome.exception() if state.outcome else None
        assert isinstance(failure, AttemptFailed)
        return self._wait_s(failure, state.attempt_number + 1, left_s)

    def _wait_s(self, failure: AttemptFailed, failed: int, left_s: float) -> float:
        hint_s = failure.hint_s or 0.0
        if hint_s > min(self.settings.max_wait, left_s):
            raise Parked(f"{failure.reason}; the server asks to wait {hint_s:.0f} s", self.now() + hint_s)
        if failure.is_guess:
            hint_s = min(hint_s * 2.0 ** min(failed - 1, 60), self.settings.max_wait)
        wait_s = backoff_s(self.settings, failed, self.chance) + hinted_s(hint_s, self.chance)
        if wait_s >= left_s:
            raise self._given_up(failure, failed, "fetch.retries.deadline leaves no time for more in this run")
        return wait_s


def backoff_s(settings: RetrySettings, failed: int, chance: random.Random) -> float:
    """Full jitter: anything from nothing to the step, which doubles with each of the `failed` attempts (1, 2, ...)."""
    step = settings.first_wait * 2.0 ** min(failed - 1, 60)
    return chance.uniform(0.0, min(settings.longest_wait, step))


def hinted_s(hint_s: float, chance: random.Random) -> float:
    """The server's wait, never shorter, a tenth longer at most, so that all who wait do not return as one."""
    return hint_s + chance.uniform(0.0, min(HINT_JITTER * hint_s, HINT_JITTER_MOST_S))


def judged(response: Response, hint: Hints, is_repeatable: bool = True) -> Response:
    """The response if it is an answer; otherwise raises what its status and its hints mean for the row.

    A request that must not be sent twice is repeated only where the server has turned it away with a wait.
    """
    status = response.status
    if 200 <= status < 300 and status not in UNASKED and not hint.is_throttled:
        return response
    said = f"HTTP {status} {excerpt(response.body)}".rstrip()
    if _is_worth_another(status, hint):
        if not (is_repeatable or hint.should_retry):
            check_turned_away(status, hint, said)
        raise AttemptFailed(said, hint.wait_s, hint.is_guess)
    if status in RETRIED and not is_repeatable and status not in TURNED_AWAY:
        raise Unknown(f"{said}: only the server knows whether it was carried out")
    if status == 401:
        raise CredentialRefused(f"{said}: the credential is refused; put a good one into the job, then run again")
    if status in ASKED_NEXT_RUN or (status in RETRIED and hint.should_retry is False):
        raise GaveUp(said)
    if 300 <= status < 400:
        raise Refused(f"{said}: a redirect to {response.header('Location')!r}; name the final address in the job")
    raise Refused(said)


def check_turned_away(status: int, hint: Hints, said: str) -> None:
    """Raise `Unknown` where a request that must not be sent twice may have been carried out, `GaveUp` where it was not
    and the server does not say when to come back."""
    if status not in TURNED_AWAY and not hint.is_throttled:
        raise Unknown(f"{said}: only the server knows whether it was carried out")
    if hint.wait_s is None:
        raise GaveUp(f"{said}; not repeated within this run")


def _is_worth_another(status: int, hint: Hints) -> bool:
    if hint.should_retry is not None:
        return hint.should_retry
    if status in RETRIED or status in UNASKED or hint.is_throttled:
        return True
    return status in RETRIED_IF_TOLD_WHEN and hint.wait_s is not None


def excerpt(body: bytes) -> str:
    """The first 120 characters of an error's body on one line, none of which can do anything to a screen."""
    said = body[:480].decode("utf-8", "replace")
    text = " ".join("".join(letter if letter.isprintable() else " " for letter in said).split())
    return text if len(text) <= 120 else text[:117] + "..."
