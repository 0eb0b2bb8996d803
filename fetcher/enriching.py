"""Records that annotators ask about: each is a question, and its answer adds to it.

A row is done once all its questions are answered. One that fails is the row's failure; what was answered meanwhile is
kept, so the next run asks for the rest alone. A question that must not be asked twice is on record before it leaves,
in the position of its row, and nobody asks it again until somebody has said so.
"""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product

import msgspec

from fetcher.annotate.steps import Record
from fetcher.compose.pages import Place
from fetcher.compose.request import compose, with_idempotency_key
from fetcher.compose.skips import stated_answer
from fetcher.errands import SENT, Errand, position_of
from fetcher.errors import FetcherError, NotKept, Quarantined, Refused, RowError, RunStopped, Unknown
from fetcher.fetch.costs import told_cost
from fetcher.fetch.expectations import Meaning
from fetcher.fetch.judging import LARGEST_IN_LOOP
from fetcher.fetch.sources import Fetched, Source
from fetcher.job.model import ModelSection
from fetcher.job.sections import Fetch
from fetcher.model import Request, Response, Row, RowState, Value
from fetcher.parse.exact import Exact, verbatim
from fetcher.parse.formats import Format, decoded
from fetcher.parse.records import Answer, Parsed
from fetcher.prompts import with_tokens
from fetcher.provenance import add
from fetcher.stations import Asker, Stations
from fetcher.template import text_of

NAME_LETTERS = 16
"""Letters of a request's key that a question is known by."""

JSON_ANSWER = Format()
_RECORDS: msgspec.json.Decoder[dict[str, object]] = msgspec.json.Decoder(dict[str, object], float_hook=Exact)
_LINES = msgspec.json.Encoder(enc_hook=verbatim)

Parse = Callable[[Answer], Awaitable[Parsed]]


async def enriched(stations: Stations, asked: tuple[Errand, Place], parsed: Parsed, parse: Parse) -> tuple[Parsed, int]:
    """The records with what the annotators have added that ask, and those behind them; and how many requests that took.

    They are of one place of a row; `parse` reads them on behind an annotator. Raises a `RowError` that names the
    annotator, with what is in flight.
    """
    if not stations.askers:
        return parsed, 0
    errand, place = asked
    open_questions = set(errand.place.in_flight) if errand.is_lost else set()
    attempts = 0
    for stage, asker in enumerate(stations.askers, 1):
        if not parsed.records:
            break
        asking = Questions(stations, errand, place, asker, open_questions)
        try:
            lines = await asking.answered(records_of(parsed.lines))
            after = await parse(Answer(lines, {}, row_key=errand.row.key.partition("#")[0], stage=stage))
        except RowError as error:
            raise asking.told(error, attempts) from error
        attempts += asking.attempts
        parsed = replace(parsed, lines=after.lines, record_keys=after.record_keys)
    stations.owed.add(errand.row.key)  # all that was paid for is here
    return parsed, attempts


@dataclass(slots=True)
class Questions:
    """One annotator's questions about the records of one answer. `in_flight` are those of the row that may have been
    carried out, without an answer."""

    stations: Stations
    errand: Errand
    place: Place
    asker: Asker
    in_flight: set[str]
    attempts: int = 0
    failures: list[RowError] = field(default_factory=list)
    stopped: RunStopped | None = None
    at: dict["asyncio.Task[None] | None", str] = field(default_factory=dict)

    async def answered(self, records: list[dict[str, object]]) -> bytes:
        """The records, as lines, with what their answers add. Raises a `RowError`, or what ends the run."""
        job = self.stations.job
        if not self.in_flight and (job.fetch.cache.keep != "none" or not job.asks):
            self.stations.owed.discard(self.errand.row.key)  # a stop need not wait: nothing here is lost with it
        wanted = [record for record in records if self.asker.asked.wants(record)]
        if len(wanted) == 1:
            await self._work_through(iter(wanted))
        else:
            await self._side_by_side(wanted)
        if self.stopped:
            if self.in_flight:  # it is on record as it is, and stays so
                self.stations.owed.discard(self.errand.row.key)
            raise self.stopped
        if self.failures:
            raise min(self.failures, key=lambda error: not isinstance(error, Unknown))
        for record, name in product(records, self.asker.asked.drops):
            record.pop(name, None)
        return _LINES.encode_lines(records)

    async def _side_by_side(self, records: list[dict[str, object]]) -> None:
        """Ask about several at once, as many as the service is asked at once by two rows."""
        fetch, left = self.asker.job.fetch, iter(records)
        most = 2 * fetch.limits.concurrency * (fetch.batch.size if fetch.batch else 1)
        tasks = [asyncio.create_task(self._work_through(left)) for _ in range(min(len(records), most))]
        try:
            if tasks:
                await asyncio.wait(tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in tasks:
            if not (task.cancelled() and self.stopped):  # else one that nobody has asked for would be taken for done
                task.result()

    async def _work_through(self, records: Iterator[dict[str, object]]) -> None:
        """Ask about one after the other, until there is none left or one has failed. What is in flight is waited for
        all the same: it is paid for."""
        me = asyncio.current_task()
        for record in records:
            if self.failures or self.stopped:
                return
            try:
                added, cost = await self._added(record)
                add(record, added, self.asker.asked.origin, cost)
            except RowError as error:
                self.failures.append(error)
            except RunStopped as error:
                self.stopped = self.stopped or error
                for task, question in self.at.items():
                    if task and task is not me and question not in self.in_flight:
                        task.cancel()  # whoever has sent nothing would wait for ever
            finally:
                self.at.pop(me, None)

    async def _added(self, record: Record) -> tuple[Mapping[str, object], int | None]:
        """What the answer about a record adds to it, and what it has cost, where it tells that."""
        asked, fetch = self.asker.asked, self.asker.job.fetch
        row = Row(self.errand.row.key, slot_values(fetch, record))
        stated = stated_answer(fetch, row)
        if stated is not None:
            return asked.added(msgspec.json.decode(stated)) if stated else asked.nothing(), None
        request = self._request(row)
        name = self.at[asyncio.current_task()] = request.key[:NAME_LETTERS]
        fetched = await self._fetched(row, request, name)
        self.attempts += fetched.attempts
        response, cost = fetched.response, told_cost(fetched.response, fetch.limits)
        if fetched.meaning is Meaning.EMPTY or response.status == 204:
            return asked.nothing(), cost
        is_big = len(response.body) > LARGEST_IN_LOOP
        document = await asyncio.to_thread(document_of, response) if is_big else document_of(response)
        return asked.added(document), cost

    def _request(self, row: Row) -> Request:
        fetch, before = self.asker.job.fetch, self.errand.before
        request = compose(fetch, row)
        if isinstance(fetch, ModelSection):
            request = with_tokens(fetch, request)
        if not fetch.idempotency_key:
            return request
        answers = before.answers if before else 0  # each time that it is asked anew it is another request
        return with_idempotency_key(request, self.stations.job.name, str(answers))

    async def _fetched(self, row: Row, request: Request, name: str) -> Fetched:
        """The answer to a question, kept or asked for."""
        stations, asker = self.stations, self.asker
        is_sent_once = not (request.is_repeatable or asker.job.fetch.on_unknown == "retry")
        if is_sent_once and name in stations.lost and not self._is_released(name):
            return await self._looked_for(request, name)
        source = Source.OFFLINE if stations.is_offline else Source.KEPT_FIRST
        intent = partial(self._intend, name) if is_sent_once else None
        try:
            if asker.batches:
                fetched = await asker.batches.fetch(row, source, intent, stations.asks_since)
            else:
                fetched = await asker.client.fetch(
                    request, source, intent, kept_since=stations.asks_since, row_key=row.key
                )
        except Unknown:
            self.in_flight.add(name)
            stations.lost.add(name)
            raise
        except FetcherError:  # it has left and was answered, or it has not left
            self.in_flight.discard(name)
            raise
        self.in_flight.discard(name)
        return fetched

    def _is_released(self, name: str) -> bool:
        """Whether somebody has said that this row may ask it again."""
        return not self.errand.is_lost and name in self.errand.place.in_flight

    async def _looked_for(self, request: Request, name: str) -> Fetched:
        """The answer to a question that was sent before, if it was kept before it was lost."""
        before = self.errand.before
        since = before.settled_at if before and name in self.in_flight else float("-inf")
        try:
            kept = await self.asker.client.kept(request, Source.KEPT_ONLY, since)
        except NotKept as error:
            self.in_flight.add(name)
            raise Unknown(SENT) from error
        self.in_flight.discard(name)
        assert kept  # it is kept, or that was raised
        return kept

    async def _intend(self, name: str) -> None:
        """Put a question on record that is about to leave."""
        self.in_flight.add(name)
        self.stations.owed.add(self.errand.row.key)
        position = position_of(self._place(), self.stations.job)
        reason = f"{self.asker.asked.name}: {SENT}"
        await self.stations.settle(
            self.errand.outcome(RowState.UNKNOWN, reason=reason, position=position, is_end=False)
        )

    def _place(self) -> Place:
        return replace(self.place, is_here=True, in_flight=tuple(sorted(self.in_flight)))

    def told(self, error: RowError, attempts: int) -> RowError:
        """The same failure as the row's. While a question may have been carried out, that is what counts."""
        mine = copy.copy(error)  # others may share it
        is_mine = error in self.failures  # and not of an annotator behind it
        mine.args = (f"{self.asker.asked.name}: {error}" if is_mine else str(error),)
        if self.in_flight and not isinstance(mine, Unknown):
            mine = Unknown(str(mine))
        if isinstance(mine, Unknown):
            mine.on_unknown = self.asker.job.fetch.on_unknown
        mine.attempts = self.attempts + error.attempts + attempts
        mine.in_flight = tuple(sorted(self.in_flight))
        return mine


def records_of(lines: bytes) -> list[dict[str, object]]:
    """Records that were lines for a while, the digits of their numbers kept. Raises `Quarantined`."""
    try:
        return _RECORDS.decode_lines(lines)
    # ValueError: what is too large for a number was kept as it was written until now.
    except (ValueError, RecursionError) as error:
        raise Quarantined(f"a record cannot be read again: {error}") from error


def slot_values(fetch: Fetch, record: Record) -> dict[str, Value]:
    """What a record fills slots with. A model is told text. Raises `Refused` where there is nothing to tell it."""
    values: dict[str, Value] = {**record}  # type: ignore[dict-item]  # decoded from JSON, which has no other values
    if isinstance(fetch, ModelSection):
        for name in fetch.prompt_slots & values.keys():
            if values[name] is None:
                raise Refused(f"'{name}' of this record is empty, and the model is asked about it")
            values[name] = text_of(values[name])
    return values


def question_about(fetch: Fetch, row: Row) -> Request | None:
    """What is asked about a row that is a record; None where it has not all of the fields, which may be added to it.

    Raises `Refused`.
    """
    if not fetch.slots() <= row.values.keys():
        return None
    return compose(fetch, row._replace(values=slot_values(fetch, row.values)))


def document_of(response: Response) -> object:
    """The JSON of an answer. Raises `Quarantined`."""
    return decoded(JSON_ANSWER, response.body, response.header("Content-Type") or "")
