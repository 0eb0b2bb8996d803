"""How many rows are on their way at once."""

from fetcher.job.sections import Fetch
from fetcher.job.units import Rate

SPARE, MOST = 16, 4000
STALL_S, MOST_IN_STALL = 1.0, 250
"""Disks stand still for about so long now and then. Answers wait for them, and are asked for all the same."""


def carriers_of(fetch: Fetch) -> int:
    """As many again as are asked for wait, parse or are handed over, and those that are asked for while a disk stands
    still; each holds an answer at most."""
    limits, rows = fetch.limits, fetch.batch.size if fetch.batch else 1
    paces = [rate.starts / rate.per_s for rate in limits.rate if isinstance(rate, Rate)]
    meanwhile = min(MOST_IN_STALL, int(STALL_S * min(paces, default=0.0)))
    return max(rows, min((2 * limits.concurrency + meanwhile) * rows, MOST)) + SPARE
