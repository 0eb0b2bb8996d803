"""How well a realm is: what its calls have shown, put together. Pure.

The breaker says whether it is fit to be asked at all, the slots say by how many calls at once.
"""

from dataclasses import dataclass, field

from fetcher.fetch.adaptive import Adaptive
from fetcher.fetch.breaker import Breaker, Sign
from fetcher.fetch.windows import Start


@dataclass(slots=True)
class Health:
    """Told of every start and of its end."""

    breaker: Breaker
    adaptive: Adaptive
    under_way: int = 0
    most: int = field(init=False)

    def __post_init__(self) -> None:
        self.most = self.adaptive.declared

    def ready_at(self) -> float:
        """The earliest moment (monotonic seconds) for one more start; infinity while only the end of one tells."""
        is_full = self.under_way >= self.adaptive.slots
        return float("inf") if is_full else self.breaker.ready_at()

    def hopeless_at(self) -> float:
        """The moment from which nobody should wait any longer."""
        return self.breaker.hopeless_at()

    def begun(self, start: Start) -> None:
        """That start is made."""
        start.call = self.breaker.begin(start.at)
        self.under_way += 1

    def ended(self, start: Start, now: float) -> None:
        """That start is over; its `sign` says how, and its round trip how soon the answer began."""
        self.under_way -= 1
        if start.call:
            self.breaker.ended(start.call, start.sign, now)
        if start.sign is not Sign.NONE:
            latency_s = start.round_trip_s if start.sign is Sign.GOOD else None
            self.adaptive.ended(start.at, latency_s, now)

    def cap(self, concurrency: int) -> None:
        """The server allows no more calls at once than so many; its newest word rules, up to the job's own number."""
        self.adaptive.declare(max(1, min(self.most, concurrency)))


class Hopeless(Exception):
    """The realm has failed for so long that waiting for it has no sense in this run."""
