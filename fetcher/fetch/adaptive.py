"""How many of a realm's slots are in use. Pure: told how each call ended, and when (monotonic seconds).

Calls are judged in blocks, each against the recent best: the fast answers of it, the usual and the slow ones, each
against their like. Where all three take longer than twice that, the slots fall, by at most 30 % a block, to the share
that twice the best is of what was seen; where far more calls fail, to half. One of the three says little: an API that
answers half of its calls from a cache has no usual time, its median is the one or the other by chance.
They come back evenly over a minute. The best is slowly forgotten: an API that has become slow for good is as fast as
it gets, and fewer calls at once would only make the job longer.

What must stay true: never below one slot, never above the declared number, no rise at a failed call nor after a block
in which more calls failed than at the best of times.
"""

from dataclasses import dataclass, field

FEWEST_CALLS, ENOUGH_CALLS = 10, 40
CALLS_A_SLOT = 2
"""Of the calls that began together the fast ones end first; a block of those alone would be a best that never was."""

BLOCK_S = 1.0
"""So much time that a hiccup of a fast API does not fill a block."""

SLOWER = 2.0
SLACK_S = 0.05
"""An answer that takes this much longer may have waited in our own loop."""

LATENCIES_NEEDED = 5
QUANTILES = (0.2, 0.5, 0.8)
"""Of the answers of a block. Too few slots make all of them late, a mixture of fast and slow ones never all."""

USUAL = QUANTILES.index(0.5)
SLOW_FACTOR = 0.7

MORE_FAILED = 0.2
FAR_MORE_FAILED = 0.5
FAILED_FACTOR = 0.5

COMES_BACK_S = 60.0
LONGEST_STEP_S = 10.0
"""A pause of the run is no time in which the API has shown anything."""

BEST_DOUBLES_S = 240.0
ALL_FAILED_IS_USUAL_S = 600.0
LONGEST_FORGOTTEN_S = 60.0


@dataclass(slots=True)
class Block:
    """Calls that are judged together."""

    begun_at: float = float("-inf")
    calls: int = 0
    failed: int = 0
    latencies: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Adaptive:
    """The slots of one realm, `declared` at most; always all of them where `is_on` is false.

    `limit` is what is in use, `ceiling` how far it may rise by what the last answers took.
    """

    declared: int
    is_on: bool = True
    limit: float = field(init=False)
    ceiling: float = field(init=False)
    bests_s: list[float] = field(default_factory=lambda: [float("inf")] * len(QUANTILES))
    best_failed: float = 0.0
    may_rise: bool = True
    fell_at: float = float("-inf")
    told_at: float = float("inf")
    judged_at: float = float("inf")
    block: Block = field(default_factory=Block)

    def __post_init__(self) -> None:
        self.limit = self.ceiling = float(self.declared)

    @property
    def slots(self) -> int:
        """How many calls may be under way at once, from 1 to `declared`."""
        return int(self.limit)

    def declare(self, most: int) -> None:
        """From now on no more than `most` slots; where that is more than before they come back as after a fall."""
        self.ceiling = float(most) if self.ceiling >= self.declared else min(self.ceiling, float(most))
        self.declared = most
        self.limit = min(self.limit, float(most)) if self.is_on else float(most)

    def ended(self, begun_at: float, latency_s: float | None, now: float) -> None:
        """A call is over: `latency_s` after it began came the first byte of its answer; None where it failed.

        A call that nothing can be learned of (it was cancelled, it never left) is not told of.
        """
        if not self.is_on:
            return
        is_good = latency_s is not None
        # One that began before the slots last fell tells of the time when there were more of them.
        if begun_at >= self.fell_at:
            self._count(begun_at, latency_s, now)
        if is_good and self.may_rise and self.limit < self.ceiling:
            step_s = min(max(0.0, now - self.told_at), LONGEST_STEP_S)
            self.limit = min(self.ceiling, self.limit + self.declared * step_s / COMES_BACK_S)
        self.told_at = now

    def _count(self, begun_at: float, latency_s: float | None, now: float) -> None:
        block = self.block
        block.calls += 1
        if latency_s is not None:
            block.latencies.append(latency_s)
        else:
            block.failed += 1
            # A timeout says that an answer would have taken longer still; an error that came at once says nothing.
            if now - begun_at > still_well_s(self.bests_s[USUAL]):
                block.latencies.append(now - begun_at)
        if block.calls >= self._calls_of_a_block() and now - block.begun_at >= BLOCK_S:
            self._judge(block, now)
            self.block, self.judged_at = Block(now), now

    def _calls_of_a_block(self) -> float:
        """Fewer where few slots are in use: a slow API, too, must be seen to be well again within a minute."""
        return max(FEWEST_CALLS, min(ENOUGH_CALLS, 5 * self.limit), CALLS_A_SLOT * self.limit)

    def _judge(self, block: Block, now: float) -> None:
        passed_s = min(max(0.0, now - self.judged_at), LONGEST_FORGOTTEN_S)
        share_failed = block.failed / block.calls
        self.best_failed = min(share_failed, self.best_failed + passed_s / ALL_FAILED_IS_USUAL_S)
        self.may_rise = share_failed <= self.best_failed + MORE_FAILED
        if len(block.latencies) >= LATENCIES_NEEDED:
            self.ceiling = self._ceiling(sorted(block.latencies), passed_s)
        if share_failed > self.best_failed + FAR_MORE_FAILED:
            self._fall(max(1.0, FAILED_FACTOR * self.limit), now)
        elif self.limit > self.ceiling:
            self._fall(max(self.ceiling, SLOW_FACTOR * self.limit), now)

    def _ceiling(self, latencies: list[float], passed_s: float) -> float:
        seen_s = [latencies[int(share * len(latencies))] for share in QUANTILES]
        forgotten = 2.0 ** (passed_s / BEST_DOUBLES_S)
        self.bests_s = [min(new, best * forgotten) for new, best in zip(seen_s, self.bests_s, strict=True)]
        well = max(still_well_s(best) / max(new, SLACK_S) for new, best in zip(seen_s, self.bests_s, strict=True))
        return max(1.0, self.declared * min(1.0, well))

    def _fall(self, limit: float, now: float) -> None:
        self.limit, self.fell_at = limit, now


def still_well_s(best_s: float) -> float:
    """What answers may take without any harm being seen in it."""
    return SLOWER * best_s + SLACK_S
