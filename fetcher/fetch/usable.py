"""Answers that can be used, beyond being answers: what a model says may be no label."""

from collections.abc import Callable
from dataclasses import dataclass

from fetcher.errors import Quarantined
from fetcher.fetch.retries import AttemptFailed
from fetcher.model import Response


@dataclass(frozen=True, slots=True)
class Usable:
    """`fault` says of a body why it cannot be used, and nothing where it can. One that cannot is asked for again,
    `attempts` times in all."""

    fault: Callable[[bytes], str]
    attempts: int

    def check(self, response: Response, answers: int) -> None:
        """Raise `AttemptFailed` where the last of so many answers cannot be used, `Quarantined` where no more are asked
        for."""
        fault = self.fault(response.body)
        if fault and answers >= self.attempts:
            raise none_usable(fault, answers)
        if fault:
            raise AttemptFailed(fault)


def none_usable(fault: str, answers: int) -> Quarantined:
    """What ends a question after so many answers, the last of which has that fault."""
    return Quarantined(f"{fault}; {answers} answer{'' if answers == 1 else 's'}, none of which can be used")
