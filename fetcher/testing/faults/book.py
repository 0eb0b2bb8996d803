"""What the server has seen of its clients' manners: waits they kept, windows they kept, what was executed."""

from collections import Counter
from typing import TypedDict

GRACE_S = 0.05
"""A request that arrives this soon after a wait was asked for was under way already."""

KEYS = 10_000


class Manners(TypedDict):
    """`early` counts requests that came although the server had asked to wait; `exceeded` the requests beyond a limit.

    Both `exceeded` and `executions` have one count a key: a limit as the request wrote it, an Idempotency-Key.
    `faults` counts how often each fault was met; `tokens` what `/v1/token` gave out.
    """

    early: int
    faults: dict[str, int]
    exceeded: dict[str, int]
    executions: dict[str, int]
    tokens: int


class Book:
    """Counts. Times are seconds on any steady clock."""

    def __init__(self) -> None:
        self.faults: Counter[str] = Counter()
        self.exceeded: Counter[str] = Counter()
        self.executions: Counter[str] = Counter()
        self.tokens = 0
        self._early = 0
        self._waits: dict[str, tuple[float, float]] = {}

    def ask_to_wait(self, realm: str, now: float, wait_s: float) -> None:
        """Everybody who asks in that realm was told to come back after so long."""
        asked_at, until = self._waits.get(realm, (now, now))
        self._waits[realm] = (asked_at if now < until else now, max(until, now + wait_s))
        if len(self._waits) > KEYS:
            del self._waits[next(iter(self._waits))]

    def note_arrival(self, realms: list[str], now: float) -> None:
        """A request that concerns these realms has come."""
        waits = [self._waits[realm] for realm in realms if realm in self._waits]
        self._early += any(asked_at + GRACE_S <= now < until for asked_at, until in waits)

    def note_execution(self, key: str) -> None:
        """Something that must happen once has happened."""
        if key in self.executions or len(self.executions) < KEYS:
            self.executions[key] += 1

    def note_exceeded(self, limit: str) -> None:
        """A request came that a limit does not allow."""
        if limit in self.exceeded or len(self.exceeded) < KEYS:
            self.exceeded[limit] += 1

    def told(self) -> Manners:
        """For `/__stats`."""
        return {
            "early": self._early,
            "faults": dict(sorted(self.faults.items())),
            "exceeded": dict(sorted(self.exceeded.items())),
            "executions": dict(sorted(self.executions.items())),
            "tokens": self.tokens,
        }
