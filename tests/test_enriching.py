"""Questions about the records of several rows at once."""

import asyncio
from types import SimpleNamespace
from typing import Any

from fetcher.annotate.asked import Asked
from fetcher.batches import Batches
from fetcher.compose.pages import FIRST
from fetcher.enriching import Questions
from fetcher.errands import Errand
from fetcher.errors import Parked, Stopped
from fetcher.fetch.sources import Source
from fetcher.job.sections import Fetch
from fetcher.model import Row


class EndingTheRun:
    """A client whose first request is turned away with all others, once a second one is waiting to leave."""

    def __init__(self) -> None:
        self.asked, self.is_waiting = 0, asyncio.Event()

    async def kept(self, *_: object) -> None:
        """Nothing."""

    async def ask(self, *_: object, **__: object) -> None:
        """No answer, ever."""
        self.asked += 1
        if self.asked == 1:
            await self.is_waiting.wait()
            raise Stopped("quota")
        self.is_waiting.set()
        await asyncio.Future()


async def test_a_row_whose_questions_another_was_to_ask_is_not_done_when_that_is_stopped():
    """It goes without their answers to the next run, and not without them to disk."""
    told = {"base_url": "https://a.example", "url": "/", "json": ["{text}"], "method": "POST", "on_unknown": "retry"}
    fetch = Fetch.model_validate({**told, "batch": {"size": 4, "each": ["text"]}})
    assert fetch.batch
    client: Any = EndingTheRun()
    job = SimpleNamespace(fetch=fetch, asks=True, name="job")
    asker: Any = SimpleNamespace(asked=Asked("service", into="found"), job=job, client=client)
    asker.batches = Batches(fetch, fetch.batch, client)
    stations: Any = SimpleNamespace(job=job, owed=set(), lost=set(), is_offline=False, asks_since=0.0)

    def answered(key: str, records: int) -> Any:
        errand = Errand(Row(key, {}), Source.KEPT_FIRST, None)
        texts: list[dict[str, object]] = [{"text": f"{key}{number}"} for number in range(records)]
        return Questions(stations, errand, FIRST, asker, set()).answered(texts)

    async with asyncio.timeout(10):
        found = await asyncio.gather(answered("a", 5), answered("b", 3), return_exceptions=True)
    assert client.asked == 2
    assert [type(one) for one in found] == [Stopped, Parked]
