"""Which rows a job lists, under the keys that its ledger knows them by."""

from collections.abc import Iterator
from datetime import UTC, datetime

from fetcher.job.fingerprints import fetch_fingerprint
from fetcher.job.load import LoadedJob
from fetcher.ledger import LedgerView
from fetcher.model import Row
from fetcher.read.dates import date_rows

CHUNK_ROWS = 200
"""So many rows are looked up in the ledger at once."""


def rows_of(job: LoadedJob, ledger: LedgerView, now: float) -> Iterator[Row]:
    """The job's rows at a time (epoch seconds), under the keys that the ledger knows them by."""
    generation = generation_of(ledger, fetch_fingerprint(job))
    for row in date_rows(job.read.dates, datetime.fromtimestamp(now, UTC)):
        yield row if generation == 1 else row._replace(key=f"{row.key}#{generation}")


def generation_of(ledger: LedgerView, fingerprint: str) -> int:
    """Which number the request part of the job has among all that this ledger has seen, from 1.

    Rows of another request are other rows: from the second generation on their keys end in `#2`, `#3`, ...
    """
    known = requests_seen(ledger)
    return known.index(fingerprint) + 1 if fingerprint in known else len(known) + 1


def requests_seen(ledger: LedgerView) -> list[str]:
    """The fingerprints of every request part that rows were fetched by, oldest first."""
    return (ledger.remembered("fetch") or "").split()
