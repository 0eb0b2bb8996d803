"""Where work is cheaper: here, or in a worker after a hop. Weighed by what both have cost so far in this run.

Costs are processor time. What a hop takes of this process is pickling, three threads of pebble's and some wake-ups;
measured: 49 microseconds for an item of 2 kB, 81 for 16 kB, 186 for 64 kB, 595 for 200 kB.
"""

HOP_S = 45e-6
HOP_S_PER_BYTE = 2.6e-9
THREADS_S = 14e-6
THREADS_S_PER_BYTE = 1.5e-9
"""The part of it that can be measured beside everything else that goes on here: that of pebble's threads."""

DEARER = 3.0
"""Work goes out where it is worth so many hops: the worker pays for the hop too, and this process is often idle."""

LEAST_S = 0.0002
"""Nothing is gained below: a pool did less in the same time than a loop."""

LONGEST_S = 0.005
"""Work that takes longer goes out whatever it costs: starts of requests bunch up behind it."""

PLAIN_S_PER_BYTE = 10e-9
SHAPED_S_PER_BYTE = 40e-9
"""What JSON costs at first, taken as it is or taken apart; measured, and found out for anything else."""

REMEMBERED = 4_000_000
"""Bytes that an average goes back over."""


class Average:
    """Seconds a unit over the last so many units, as if the first ones had cost what is known `at_first`."""

    def __init__(self, at_first: float, remembered: float) -> None:
        self._remembered = remembered
        self._units = remembered / 4
        self._seconds = at_first * self._units

    def add(self, units: float, seconds: float) -> None:
        """One more observation; older ones fade by it."""
        rest = max(0.0, 1.0 - units / self._remembered)  # of what was known
        self._units, self._seconds = self._units * rest + units, self._seconds * rest + seconds

    @property
    def value(self) -> float:
        """At present."""
        return self._seconds / self._units


class Scales:
    """What work costs a byte, and what a hop costs; `s_per_byte` is what is taken for the former at first."""

    def __init__(self, s_per_byte: float = PLAIN_S_PER_BYTE) -> None:
        self._work = Average(s_per_byte, REMEMBERED)
        self._slowness = Average(1.0, REMEMBERED * THREADS_S_PER_BYTE)  # a second here for one where hops were measured

    def is_light(self, size: int) -> bool:
        """Whether work on so many bytes is cheaper here."""
        worth_s = DEARER * self._slowness.value * (HOP_S + size * HOP_S_PER_BYTE)
        return size * self._work.value < min(LONGEST_S, max(LEAST_S, worth_s))

    def worked(self, size: int, seconds: float) -> None:
        """Work on so many bytes took so long, here or in a worker."""
        if size:
            self._work.add(size, seconds)

    def hopped(self, items: int, size: int, threads_s: float) -> None:
        """Of the hop of so many items and bytes, pebble's threads had that part."""
        self._slowness.add(items * THREADS_S + size * THREADS_S_PER_BYTE, threads_s)
