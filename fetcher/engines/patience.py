"""How long workers are waited for, and when one is given up. Decided by what is seen of them; nothing here waits."""

from dataclasses import dataclass

from fetcher.engines.notes import Spot
from fetcher.errors import RunStopped

LOOK_EVERY_S = 1.0
LEAST_LOOK_S = 0.001
LATE_S = 1.0
"""Who looks so much later than it meant to was stopped, or had no processor; so had its workers, probably."""


class Died(Exception):
    """A worker died in the middle of a batch: at which spot, if it had begun, and with which exit code."""

    def __init__(self, spot: Spot | None, code: int) -> None:
        self.spot, self.code = spot, code
        super().__init__(spot, code)


class Hung(Exception):
    """An item had its time, and its worker is being stopped."""

    def __init__(self, spot: Spot) -> None:
        self.spot = spot
        super().__init__(spot)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker may use: seconds an item (or a record that it tells of), bytes in all (None: any), batches, seconds
    for its start."""

    timeout_s: float
    memory: int | None = None
    batches: int = 10_000
    load_s: float = 60.0


class Patience:
    """Whether an item has had its time. What passes while this process itself is stopped does not count."""

    def __init__(self, timeout_s: float, now: float) -> None:
        self._timeout_s = timeout_s
        self._since, self._stopped_s = now, 0.0
        self._look_in(min(LOOK_EVERY_S, timeout_s), now)

    def is_over(self, spot: Spot | None, now: float) -> bool:
        """Whether it is over at `now`; if not, look again in `until_look_s`. None is an item that has not begun."""
        late_s, since = now - self._look_at, spot.since if spot else now
        if since != self._since:
            self._since, self._stopped_s = since, 0.0
        if late_s > LATE_S:
            self._stopped_s += late_s
        left_s = self._timeout_s - (now - since - self._stopped_s)
        self._look_in(min(LOOK_EVERY_S, max(left_s, LEAST_LOOK_S)), now)
        return left_s <= 0

    def _look_in(self, seconds: float, now: float) -> None:
        self.until_look_s, self._look_at = seconds, now + seconds


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of a batch: where its worker is (None: it has not begun), whether one has taken it up, and who is at
    its start instead."""

    spot: Spot | None
    is_taken: bool = False
    at_start: Spot | None = None


class Watch:
    """Over one batch: raises `Hung`, `Died` or `RunStopped` when it is not to be waited for any more.

    pebble may forget a batch: a worker that is stopped for one when it has just taken up the next takes that along.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self._limits = limits
        self._work, self._start = Patience(limits.timeout_s, now), Patience(limits.load_s, now)
        self._was_left = False
        self._taken_at: float | None = None

    @property
    def until_look_s(self) -> float:
        """When to look again."""
        return min(self._work.until_look_s, self._start.until_look_s)

    def look(self, seen: Seen, now: float) -> None:
        """Judge by what is seen now."""
        is_over = self._work.is_over(seen.spot, now)
        if seen.spot and seen.spot.is_left:
            if self._was_left:
                raise Died(None, 0)
            self._was_left = True  # pebble has until the next look to tell how it ended
        elif seen.spot and is_over:
            raise Hung(seen.spot)
        if self._start.is_over(None if seen.spot else seen.at_start, now):
            raise RunStopped(
                f"a worker process was not ready after {self._limits.load_s:g} s: does the job's function wait for "
                "something when its file is loaded?"
            )
        if seen.spot is None and seen.is_taken:
            self._taken_at = self._taken_at or now
            if now - self._taken_at > self._limits.load_s:
                raise Died(None, 0)
