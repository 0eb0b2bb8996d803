"""One polite request, through the client that runs use: in the API's realm, with its waits, and never twice."""

import asyncio
import random
import time
from pathlib import Path

from fetcher.compose.request import compose
from fetcher.fetch.client import Client, Source
from fetcher.fetch.limits import Realm
from fetcher.fetch.retries import Retries
from fetcher.job.load import LoadedJob
from fetcher.model import Response, Row
from fetcher.realms import shared_by
from fetcher.tally import Tally

LONGEST_WAIT_S = 10.0


def probe(job: LoadedJob, row: Row, user_state: Path) -> Response:
    """The API's answer to one row's request. Raises `RowError` or `ApiDown` where there is none."""
    return asyncio.run(_asked(job, row, user_state))


async def _asked(job: LoadedJob, row: Row, user_state: Path) -> Response:
    settings = job.fetch.retries.model_copy(update={"attempts": 1, "max_wait": LONGEST_WAIT_S})
    fetch = job.fetch.model_copy(update={"retries": settings})
    retries = Retries(settings, random.Random(), time.time)
    request = compose(fetch, row)
    realm = Realm(fetch.limits, time.monotonic, shared_by(job, user_state, time.time))
    async with realm, Client(fetch, None, retries, Tally(), realm=realm) as client:
        return (await client.fetch(request, Source.API_ONLY)).response
