"""A client that has its answers already: examples are carried through a run's own stations, and nothing is sent."""

import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from fetcher.errors import GaveUp, NotKept
from fetcher.fetch.budget import Budget
from fetcher.fetch.client import Client
from fetcher.fetch.expectations import meaning, rule_for
from fetcher.fetch.hints import hints
from fetcher.fetch.retries import AttemptFailed, Retries
from fetcher.fetch.sources import Fetched
from fetcher.job.cache import CacheSection
from fetcher.job.load import LoadedJob
from fetcher.model import Outcome, Request, Response, Row
from fetcher.rehearsal import Rehearsal, rehearsal
from fetcher.stations import batches_about, batches_of
from fetcher.tally import Tally
from fetcher.write.segments import Layout


class Playback(Client):
    """Answers requests with what is `left` of answers, in order, and notes the `requests`; others may share both."""

    def __init__(self, job: LoadedJob, left: list[Response], requests: list[Request]) -> None:
        super().__init__(job.fetch, None, Retries(job.fetch.retries, random.Random(0), time.time), Tally())
        self._job = job
        self._left = left
        self._requests = requests

    async def ask(
        self,
        request: Request,
        accepted: frozenset[int] = frozenset(),
        *,
        intend: Callable[[], Awaitable[None]] | None = None,
        is_again: bool = False,
    ) -> Fetched:
        """The next answer, judged as the client would. A failure that it would ask again after gives the row up."""
        self._requests.append(request)
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

    outcomes: list[Outcome]
    requests: list[Request]
    unasked: int


@asynccontextmanager
async def stage(job: LoadedJob) -> AsyncIterator[Rehearsal]:
    """A run's stations, in a folder of their own that is gone afterwards; nothing is kept, nobody is waited for."""
    job = replace(job, fetch=job.fetch.model_copy(update={"cache": CacheSection(keep="none")}))
    with tempfile.TemporaryDirectory() as name:
        async with rehearsal(job, Layout(Path(name), Path(name)), None) as rehearsed:
            yield Rehearsal(replace(rehearsed.stations, pause=at_once), [])


async def played(staged: Rehearsal, row: Row, answers: Sequence[Response]) -> Played:
    """Carry a row that is answered so, as far as the answers reach. Raises what would end a run, such as `Stopped`."""
    job, left, requests = staged.stations.job, list(answers), list[Request]()
    client = Playback(job, left, requests)
    askers = []
    for asker in staged.stations.askers:
        asking = Playback(asker.job, left, requests)
        batches = batches_about(asker.job, asker.asked, asking, Budget(), attempts=1)
        askers.append(replace(asker, client=asking, batches=batches))
    stations = replace(staged.stations, client=client, batches=batches_of(job, client), askers=tuple(askers))
    looked = await Rehearsal(stations, []).look(row, len(answers))
    return Played(looked.outcomes, requests, len(left))


async def at_once(_: float) -> bool:
    """A wait that is none."""
    return True
