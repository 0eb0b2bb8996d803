"""How many rows are on their way at once."""

from fetcher.job.sections import Fetch, Limits
from fetcher.job.units import Rate

SPARE_ROWS, MOST_ROWS = 16, 4000
STALL_S, MOST_IN_STALL = 1.0, 250
"""For about so long a disk stands still now and then: answers wait for it, and requests should go on. Of a faster API
no more rows wait, for each may hold an answer."""


def carriers_of(fetch: Fetch) -> int:
    """Twice what is asked at once, as the other half waits, is parsed or handed over; what is asked for while a disk
    stands still; and a few."""
    rows, keys = fetch.batch.size if fetch.batch else 1, fetch.auth.count if fetch.auth else 1
    meanwhile = int(STALL_S * keys * _requests_per_s(fetch.limits))
    requests = 2 * fetch.limits.concurrency + min(MOST_IN_STALL, meanwhile)
    return max(rows, min(requests * rows, MOST_ROWS)) + SPARE_ROWS


def _requests_per_s(limits: Limits) -> float:
    """By the slowest of the limits of one key; none where no rate is declared, or rows tell what they cost."""
    if not isinstance(limits.cost, int):
        return 0.0
    paces = [rate.starts / rate.per_s / limits.cost for rate in limits.rate if isinstance(rate, Rate)]
    if limits.spacing:
        paces.append(1 / limits.spacing)
    return min(paces, default=0.0)
