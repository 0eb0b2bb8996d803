"""How many retries are left to make, over all rows and all runs of a job.

An API that fails now and then gives back every retry that it takes; one that fails for everybody empties the budget,
and is then asked once for each row and no more. Kept over runs, so that a job which starts every five minutes does
not bring a fresh hundred retries each time.
"""

import re
from dataclasses import dataclass
from typing import Self

FULL_TENTHS = 1000
RETRY_TENTHS = 10
SUCCESS_TENTHS = 1


@dataclass(slots=True)
class Budget:
    """Retries in tenths, from 0 to 1000: whole numbers, so that ten tenths are one retry exactly."""

    tenths: int = FULL_TENTHS

    @classmethod
    def from_text(cls, text: str | None) -> Self:
        """The budget that `as_text` told of; a full one where nothing that can be read was kept."""
        if text is None or not re.fullmatch("[0-9]{1,4}", text):
            return cls()
        return cls(min(int(text), FULL_TENTHS))

    def as_text(self) -> str:
        """What to keep until the next run."""
        return str(self.tenths)

    def take(self) -> bool:
        """Whether one more retry may be made; if so, it is counted."""
        if self.tenths < RETRY_TENTHS:
            return False
        self.tenths -= RETRY_TENTHS
        return True

    def succeeded(self, was_retry: bool) -> None:
        """An attempt got its answer: a retry gives back what it took, a first attempt adds a tenth of that."""
        self.tenths = min(FULL_TENTHS, self.tenths + (RETRY_TENTHS if was_retry else SUCCESS_TENTHS))
