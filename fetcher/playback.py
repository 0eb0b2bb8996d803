"""A client that has its answers already: examples are carried through a run's own stations, and nothing is sent."""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from fetcher.errands import errand_of
from fetcher.errors import GaveUp, NotKept
from fetcher.fetch.client import Client, Fetched
from fetcher.fetch.expectations import meaning, rule_for
from fetcher.fetch.hints import hints
from fetcher.fetch.retries import AttemptFailed, Retries
from fetcher.job.load import LoadedJob
from fetcher.job.sections import CacheSection
from fetcher.ledger import Ledger
from fetcher.model import Outcome, Request, Response, Row
from fetcher.pipeline import carry
from fetcher.selection import Verdict
from fetcher.stations import Stations, Surroundings, batches_of, open_stations
from fetcher.tally import Tally
from fetcher.write.segments import Layout


class Playback(Client):
    """Answers requests with what it was given, in order; `requests` are those it met."""

    def __init__(self, job: LoadedJob, answers: Sequence[Response]) -> None:
        super().__init__(job.fetch, None, Retries(job.fetch.retries, random.Random(0), time.time), Tally())
        self._job = job
        self._left = list(answers)
        self.requests: list[Request] = []

    @property
    def unasked(self) -> int:
        """How many answers nobody asked for."""
        return len(self._left)

    async def ask(self, request: Request, intend: Callable[[], Awaitable[None]] | None = None) -> Fetched:
        """The next answer, judged as the client would. A failure that it would ask again after gives the row up."""
        self.requests.append(request)
        if not self._left:
            raise NotKept("no answer is left")
        response = replace(self._left.pop(0), url=request.url)
        fetch = self._job.fetch
        rule = rule_for(fetch.expect, response)
        said = hints(response, fetch.hints, response.fetched_at)
        try:
            return Fetched(response, 1, meaning(response, said, rule, is_repeatable=intend is None))
        except AttemptFailed as failure:
            raise GaveUp(str(failure)) from failure


@dataclass(slots=True)
class Played:
    """What became of a row that was answered so: its outcomes, one a page, the requests, and answers left over."""

    outcomes: list[Outcome] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    unasked: int = 0


@asynccontextmanager
async def stage(job: LoadedJob) -> AsyncIterator[Stations]:
    """A run's stations, in a folder of their own that is gone afterwards."""
    job = replace(job, fetch=job.fetch.model_copy(update={"cache": CacheSection(keep="none")}))
    with tempfile.TemporaryDirectory() as name:
        layout = Layout(Path(name), Path(name))
        with Ledger(Path(name) / "ledger.sqlite") as ledger:
            around = Surroundings(
                *(layout, ledger, Tally(), time.time, random.Random(0), asyncio.Event(), asyncio.Event()),
                witness=lambda _request, _response, _rule: None,
            )
            async with AsyncExitStack() as stack:
                yield await open_stations(job, around, forgotten, stack)


async def played(stations: Stations, row: Row, answers: Sequence[Response]) -> Played:
    """Carry a row that is answered so. Raises what would end a run, such as `Stopped`."""
    job = stations.job
    client = Playback(job, answers)
    stations = replace(stations, client=client, batches=batches_of(job, client))
    found = Played()
    async with aclosing(carry(stations, errand_of(row, Verdict.ASK, None, job.fetch))) as outcomes:
        async for outcome in outcomes:
            found.outcomes.append(outcome)
            if not client.unasked:
                break
    found.requests, found.unasked = client.requests, client.unasked
    return found


async def forgotten(_: Outcome) -> None:
    """Nothing of this is settled."""
