"""How many rows are on their way at once."""

from fetcher.job.sections import Fetch, Limits
from fetcher.job.units import Rate

SPARE_ROWS, MOST_ROWS = 16, 4000
STALL_S, MOST_IN_STALL = 1.0, 250
"""Disks stand still for about so long now and then. Answers wait for them, and are asked for all the same."""


def carriers_of(fetch: Fetch) -> int:
    """Twice the concurrency, for as many as are asked for wait, parse or are handed over; as many as may be asked for
    while a disk stands still; and a few. Each carries a row, and holds an answer at most."""
    rows = fetch.batch.size if fetch.batch else 1
    requests = 2 * fetch.limits.concurrency + min(MOST_IN_STALL, int(STALL_S * _starts_per_s(fetch.limits)))
    return max(rows, min(requests * rows, MOST_ROWS)) + SPARE_ROWS


def _starts_per_s(limits: Limits) -> float:
    """By the slowest of the limits; none where no rate is declared."""
    paces = [rate.starts / rate.per_s for rate in limits.rate if isinstance(rate, Rate)]
    if limits.spacing:
        paces.append(1 / limits.spacing)
    return min(paces, default=0.0)
