"""How long one request may take over all its attempts and the waits between them."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Deadline:
    """So many seconds from the first attempt's permitted start on, for ever where `most_s` is None.

    Waiting for that first start is not the request's fault. `now` gives monotonic seconds.
    """

    most_s: float | None = None
    now: Callable[[], float] = time.monotonic
    _ends: float = float("inf")

    def begin(self) -> None:
        """An attempt may start now; the first one counts."""
        if self.most_s is not None and self._ends == float("inf"):
            self._ends = self.now() + self.most_s

    def left_s(self) -> float:
        """Seconds that are left, never negative."""
        return max(0.0, self._ends - self.now())
