"""One polite request, through what runs use: in the API's realm, with its waits, and never twice."""

import asyncio
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from fetcher.job.cache import CacheSection
from fetcher.job.load import LoadedJob
from fetcher.model import Response, Row
from fetcher.rehearsal import rehearsal
from fetcher.write.segments import Layout

LONGEST_WAIT_S = 10.0


@dataclass(frozen=True, slots=True)
class Probed:
    """The answer, where one came, and why it is no answer to learn from; secrets are left out of that."""

    response: Response | None
    reason: str = ""


def probe(job: LoadedJob, row: Row, user_state: Path) -> Probed:
    """Ask for one row once. Raises `ApiDown` where nobody is there, and what else would end a run."""
    retries = job.fetch.retries.model_copy(update={"attempts": 1, "max_wait": LONGEST_WAIT_S})
    fetch = job.fetch.model_copy(update={"retries": retries, "cache": CacheSection(keep="none")})
    return asyncio.run(_probed(replace(job, fetch=fetch), row, user_state))


async def _probed(job: LoadedJob, row: Row, user_state: Path) -> Probed:
    with tempfile.TemporaryDirectory() as folder:
        async with rehearsal(job, Layout(Path(folder), Path(folder)), user_state) as rehearsed:
            looked = await rehearsed.look(row, 1)
    response = looked.exchanges[-1].response if looked.exchanges else None
    if response and 200 <= response.status < 300:
        return Probed(response)
    return Probed(response, looked.outcomes[-1].reason if looked.outcomes else "nothing was answered")
