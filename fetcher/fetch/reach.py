"""Whether anybody is there at all. Pure: told what happened and when (monotonic seconds)."""

from dataclasses import dataclass

TRIES = 5
PATIENCE_S = 4.0


@dataclass(slots=True)
class Reach:
    """What connecting to an API has shown so far.

    An API that nobody has reached yet is down after a few tries over a few seconds, however slowly the job's rate
    lets them out. One that was reached may come back: there, each row's own attempts decide.
    """

    reached_at: float = float("-inf")
    failing_since: float = float("inf")
    failures: int = 0

    def reached(self, now: float) -> None:
        """A connection is open."""
        self.reached_at = now

    def failed(self, now: float) -> bool:
        """No connection could be made; returns whether the API has to be taken for down."""
        self.failures += 1
        self.failing_since = min(self.failing_since, now)
        was_never_reached = self.reached_at == float("-inf")
        return was_never_reached and self.failures >= TRIES and now - self.failing_since >= PATIENCE_S

    def is_since(self, moment: float) -> bool:
        """Whether somebody was reached at that moment or later."""
        return self.reached_at >= moment
