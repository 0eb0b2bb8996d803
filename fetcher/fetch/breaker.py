"""Whether a realm is fit to be asked. Pure: told what became of each call, and when (monotonic seconds).

    closed  ── 12 failures without a good answer between, or one 429 that does not say when ──►  open
    open    ── its wait is over: the next call is the probe ──►  half-open, one call at a time
    half-open  ── the probe is answered ──►  closed          ── it fails ──►  open, for about twice as long

What must stay true: a realm that is dead from the beginning gets no more than `TRIALS` calls, or those that were under
way when the first of them failed; one that fails a fifth of its calls by chance stays closed (12 in a row: once in
300 million calls); no call that began before it opened changes anything afterwards, however late it times out.
"""

import enum
import random
from dataclasses import dataclass

TRIALS = 12
"""Failures in a row that open it; while there is doubt, failures and calls under way together are no more."""

DOUBTFUL_AFTER = 5
LONGEST_PROBE_WAIT_S = 30.0
"""Longer would spend too much of the two minutes in which a realm that came back is to be at its rate again."""

LONGEST_WAIT_IF_BROKEN_S = 4.0
"""A long stretch of rows that the server cannot answer is passed row by row, each of them a failed probe."""

STRAY_AFTER = 100
STRAYS_MOST = 5
GOODS_AT_FIRST = 5
STRAY_FACTOR = 0.02
"""One bare 429 for so many good answers is a request that came a moment early: its first wait is this share.

At 200 a second the whole wait is 75 requests; one such 429 in a thousand would cost 7 % of the rate. A machine that
stands still for a moment makes several of them one after the other, and one that has just begun is busy: the very first
needs few good answers before it, but some.
"""

PATIENCE_S = 3600.0
PATIENCE_UNPROVEN_S = 120.0


class Sign(enum.Enum):
    """What a call's end says about the realm."""

    GOOD = enum.auto()
    BAD = enum.auto()
    BROKEN = enum.auto()
    """Somebody is there and fails: at everything, or only at what this stretch of rows asks for."""
    STOP = enum.auto()
    """The server wants no more calls for now, and does not say for how long."""
    NONE = enum.auto()


class State(enum.Enum):
    """Whether calls go through: all, none, or one at a time."""

    CLOSED = enum.auto()
    OPEN = enum.auto()
    HALF_OPEN = enum.auto()


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call on its way. Its `generation` is how often the breaker had opened when it began."""

    begun_at: float
    generation: int


def sign_of(status: int, hint_s: float | None) -> Sign:
    """What an answer's status says. Timeouts and failures to connect are BAD, what never left is NONE."""
    if status == 429 and hint_s is None:
        return Sign.STOP
    if status == 500:
        return Sign.BROKEN
    # 501 and 505 are about the request: the server is well enough to refuse it.
    return Sign.BAD if status > 500 and status not in {501, 505} else Sign.GOOD


@dataclass(slots=True)
class Breaker:
    """Lets calls to one realm through, or holds them until a probe is due, at growing intervals of seconds.

    Before each call ask `ready_at` and `hopeless_at`; then `begin`; then, always, `ended`.
    """

    first_wait_s: float
    longest_wait_s: float
    chance: random.Random
    is_proven: bool = False
    failures: int = 0
    goods: int = STRAY_AFTER - GOODS_AT_FIRST
    last_failure: Sign = Sign.NONE
    under_way: int = 0
    generation: int = 0
    opened_at: float | None = None
    probe_at: float = float("-inf")
    failed_probes: int = 0
    probe: Call | None = None

    @property
    def state(self) -> State:
        """For those who show it; callers ask `ready_at`."""
        if self.opened_at is None:
            return State.CLOSED
        return State.OPEN if self.probe is None else State.HALF_OPEN

    def ready_at(self) -> float:
        """The earliest moment for one more call: minus infinity when now, infinity when only a call's end tells."""
        if self.opened_at is not None:
            return self.probe_at if self.probe is None else float("inf")
        is_doubtful = self.failures >= (DOUBTFUL_AFTER if self.is_proven else 1)
        return float("inf") if is_doubtful and self.failures + self.under_way >= TRIALS else float("-inf")

    def hopeless_at(self) -> float:
        """The moment from which a call that is not ready should not wait any longer."""
        if self.opened_at is None:
            return float("inf")
        is_somebody_there = self.is_proven or self.last_failure is not Sign.BAD
        return self.opened_at + (PATIENCE_S if is_somebody_there else PATIENCE_UNPROVEN_S)

    def begin(self, now: float) -> Call:
        """A call leaves; where the breaker is open it is the probe."""
        call = Call(now, self.generation)
        self.under_way += 1
        if self.opened_at is not None:
            self.probe = call
        return call

    def ended(self, call: Call, sign: Sign, now: float) -> None:
        """That call is over; whoever waits should ask again."""
        if call.generation != self.generation:
            return
        self.under_way -= 1
        if self.opened_at is not None:
            self.probe = None
        match sign:
            case Sign.GOOD:
                self.is_proven, self.failures, self.opened_at = True, 0, None
                self.goods = min(self.goods + 1, STRAYS_MOST * STRAY_AFTER)
            case Sign.NONE:
                # A probe that told nothing leaves its turn to the next call: its time has come already.
                pass
            case _:
                self._failed(sign, now)

    def _failed(self, sign: Sign, now: float) -> None:
        is_stray = sign is Sign.STOP and self.opened_at is None and self.goods >= STRAY_AFTER
        self.failures += 1
        self.goods = self.goods - STRAY_AFTER if is_stray else 0
        self.last_failure = sign
        if self.opened_at is not None:
            self.failed_probes += 1
        elif sign is Sign.STOP or self.failures >= TRIALS:
            self.opened_at, self.failed_probes = now, 0
            self.generation += 1
            self.under_way = 0
        else:
            return
        self.probe_at = now + self._probe_wait_s(sign) * (STRAY_FACTOR if is_stray else 1.0)

    def _probe_wait_s(self, sign: Sign) -> float:
        """Between half of the step and all of it; the step doubles with each failed probe."""
        step_s = self.first_wait_s * 2.0 ** min(self.failed_probes, 60)
        longest_s = LONGEST_WAIT_IF_BROKEN_S if sign is Sign.BROKEN else LONGEST_PROBE_WAIT_S
        return self.chance.uniform(0.5, 1.0) * min(self.longest_wait_s, longest_s, step_s)
