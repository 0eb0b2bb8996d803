"""A run's own stations without a run: nothing is settled, nothing is written but the cache, no log is left.

What is seen here is therefore what a run does, and counts in the realm as it does there.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from fetcher.errands import errand_of
from fetcher.fetch.judging import Witness
from fetcher.job.expect import Expect
from fetcher.job.load import LoadedJob
from fetcher.ledger import Ledger
from fetcher.model import Outcome, Request, Response, Row
from fetcher.pipeline import carry
from fetcher.selection import Verdict
from fetcher.stations import Stations, Surroundings, open_stations
from fetcher.tally import Tally
from fetcher.write.segments import Layout


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, its answer, and the rule of the job that the answer falls under."""

    request: Request
    response: Response
    rule: Expect | None


@dataclass(slots=True)
class Looked:
    """What became of a row: what was asked and answered for it, and its outcomes, one a page."""

    row: Row
    exchanges: list[Exchange] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)


@dataclass(slots=True)
class Rehearsal:
    """Stations that are open, and the exchanges that they have had since the last row."""

    stations: Stations
    exchanges: list[Exchange]

    async def look(self, row: Row, pages: int) -> Looked:
        """Carry a row as far as its first pages. Raises what would end a run."""
        found, self.exchanges[:] = Looked(row), []
        async with aclosing(carry(self.stations, errand_of(row, Verdict.ASK, None, self.stations.job.fetch))) as pieces:
            async for outcome in pieces:
                found.outcomes.append(outcome)
                if len(found.outcomes) >= pages:
                    break
        found.exchanges = list(self.exchanges)
        return found


@asynccontextmanager
async def rehearsal(job: LoadedJob, layout: Layout, user_state: Path | None) -> AsyncIterator[Rehearsal]:
    """The job's stations, its cache in `layout`; without a `user_state`, no other run is known of."""
    exchanges: list[Exchange] = []
    witness: Witness = lambda request, response, rule: exchanges.append(Exchange(request, response, rule))  # noqa: E731
    with surroundings(layout, user_state, witness) as around:
        async with AsyncExitStack() as stack:
            yield Rehearsal(await open_stations(job, around, forgotten, stack), exchanges)


@contextmanager
def surroundings(layout: Layout, user_state: Path | None, witness: Witness) -> Iterator[Surroundings]:
    """What is round a run that is none: a ledger that is gone at the end, in which no row was ever settled."""
    with tempfile.TemporaryDirectory() as folder, Ledger(Path(folder) / "ledger.sqlite") as ledger:
        yield Surroundings(
            *(layout, ledger, Tally(), time.time, random.Random(), asyncio.Event(), asyncio.Event()),
            user_state=user_state,
            witness=witness,
        )


async def forgotten(_: Outcome) -> None:
    """A rehearsal settles nothing."""
