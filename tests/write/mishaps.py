"""What ends a run, and when."""

import enum
import random
from dataclasses import dataclass


class Kind(enum.StrEnum):
    """What ends a run."""

    CUT = "power cut"
    KILL = "kill -9"
    EIO = "EIO on fsync"
    ENOSPC = "ENOSPC on append"
    LEDGER = "the ledger's commit fails"
    STRANGER = "a stranger's file"
    NONE = "nothing"


CRASHES = (Kind.CUT, Kind.CUT, Kind.CUT, Kind.KILL)
ERRORS = (Kind.EIO, Kind.EIO, Kind.ENOSPC, Kind.LEDGER, Kind.STRANGER)
OPERATION_OF = {Kind.EIO: "sync", Kind.ENOSPC: "append", Kind.LEDGER: "commit", Kind.STRANGER: "append"}


def is_faulty(seed: int) -> bool:
    """Every fourth history has errors of the disk; the others have only crashes."""
    return seed % 4 == 3


@dataclass(slots=True)
class Mishap:
    """What ends a run, at which of its operations (of those that this kind is about)."""

    kind: Kind
    at: int
    seen: int = 0
    struck: str = ""

    def strikes(self, operation: str) -> bool:
        """Whether this is the operation; once."""
        if self.struck or not operation.startswith(OPERATION_OF.get(self.kind, "")):
            return False
        self.seen += 1
        if self.seen == self.at:
            self.struck = operation
        return bool(self.struck)


def make_mishaps(chance: random.Random, groups: int, faulty: bool) -> list[Mishap]:
    """One to three for a job of so many group commits: the first at any step, the others often while it recovers."""
    kinds = [chance.choice(CRASHES) for _ in range(chance.choice((1, 1, 2, 3)))]
    if faulty:
        kinds[chance.randrange(len(kinds))] = chance.choice(ERRORS)
    operations = {Kind.CUT: 8 + 6 * groups, Kind.KILL: 8 + 6 * groups}
    return [
        Mishap(kind, chance.randint(1, operations.get(kind, groups) if place == 0 or chance.random() < 0.4 else 3))
        for place, kind in enumerate(kinds)
    ]
