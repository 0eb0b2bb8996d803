"""Jobs of a few rows, small enough to be told thousands of times."""

import random
from dataclasses import dataclass

from fetcher.model import Outcome, RowState
from fetcher.write.writer import GROUP_S


@dataclass(frozen=True, slots=True)
class Rotate:
    """A rotation section."""

    bytes: int
    records: int | None
    every: float | None


@dataclass(frozen=True, slots=True)
class Settings:
    """A write section."""

    rotate: Rotate
    compress: str


@dataclass(frozen=True, slots=True)
class Work:
    """One row of the job: `failures` times it gives up before it is done; `pause_s` passes before it.

    `revised` is what it answers when it is asked again; None where nobody asks.
    """

    outcome: Outcome
    pause_s: float
    failures: int
    revised: Outcome | None


def make_work(chance: random.Random) -> list[Work]:
    """Three to twelve rows: some empty, some that give up first, some too large for a segment."""
    size = chance.choice((20, 60, 200))
    often = chance.random()
    return [
        Work(
            outcome(f"row-{number}", chance.choice((0, 1, 1, 2, 3, 6)), chance, size),
            5 * GROUP_S if chance.random() < often else 0.0,
            chance.choice((0,) * 9 + (1,)),
            revision(f"row-{number}", chance, size),
        )
        for number in range(chance.randint(3, 12))
    ]


def outcome(key: str, records: int, chance: random.Random, size: int) -> Outcome:
    """No two of its lines, nor of another row's, are equal."""
    lines = [
        b'{"row":"%s","n":%d,"x":"%s"}\n' % (key.encode(), n, b"x" * chance.randint(0, size)) for n in range(records)
    ]
    state = RowState.DONE if lines else RowState.EMPTY
    return Outcome(key, state, lines=b"".join(lines), records=len(lines), attempts=1)


def revision(key: str, chance: random.Random, size: int) -> Outcome | None:
    """What a row answers the second time: mostly nobody asks, else other records."""
    return outcome(f"{key}b", chance.choice((1, 2, 3)), chance, size) if chance.random() < 0.3 else None


def make_settings(chance: random.Random) -> Settings:
    """Mostly plain, because a packed segment is cut by records alone."""
    return Settings(make_rotation(chance), chance.choice(("none",) * 4 + ("gzip", "zstd")))


def make_rotation(chance: random.Random) -> Rotate:
    """Small enough that most histories have several segments."""
    return Rotate(
        chance.choice((100, 300, 1000, 1 << 20)), chance.choice((None, None, 1, 2, 5)), chance.choice((None, None, 8.0))
    )
