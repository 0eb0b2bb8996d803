"""Rows that are asked about together: gathered into requests, and the answers told apart.

Each row stays a row of its own, with its own request by which its answer is kept; so what was answered is never put
into a batch again, and rows that ask the same are one question. Whoever is carrying the first row of a batch sends it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

import jmespath
import msgspec

from fetcher.compose.request import compose, compose_batch
from fetcher.errors import FetcherError, GaveUp, Quarantined, Refused
from fetcher.fetch.client import Client
from fetcher.fetch.expectations import Meaning, meaning, rule_for
from fetcher.fetch.hints import NOTHING
from fetcher.fetch.judging import LARGEST_IN_LOOP
from fetcher.fetch.retries import AttemptFailed
from fetcher.fetch.sources import Fetched, Source
from fetcher.job.batch import Batch, Match
from fetcher.job.sections import Fetch
from fetcher.model import Request, Response, Row, Value

LINGER_S = 0.05
"""So long a batch waits for one more row after the last that came: reading two hundred takes a tenth of that, where
the machine has nothing else to do."""

Intend = Callable[[], Awaitable[None]]


@dataclass(slots=True, eq=False)
class _Question:
    """One row's question, its answer to come, and what has to be on record before it is asked."""

    row: Row
    request: Request
    answer: asyncio.Future[Fetched]
    intends: list[Intend]
    has_left: bool = False

    def fail(self, error: FetcherError) -> None:
        """There is no answer; nobody has to hear of it, for its row may be gone by now."""
        self.answer.set_exception(error)
        self.answer.exception()


@dataclass(slots=True, eq=False)
class _Group:
    """Questions that go into one request, once there are enough of them."""

    questions: list[_Question] = field(default_factory=list)
    is_full: asyncio.Event = field(default_factory=asyncio.Event)


class Batches:
    """Asks a client about rows, several in one request. `is_lines` where an answer has a line (JSON) for each row."""

    def __init__(self, fetch: Fetch, batch: Batch, client: Client, *, is_lines: bool = False) -> None:
        self._fetch = fetch
        self._batch = batch
        self._client = client
        self._parts_of = partial(parts_of, batch, is_lines=is_lines)
        self._gathering: dict[tuple[Value, ...], _Group] = {}
        self._same = sorted(fetch.slots() - set(batch.each))
        self._asked: dict[str, _Question] = {}

    async def fetch(self, row: Row, source: Source, intend: Intend | None, kept_since: float) -> Fetched:
        """The answer to a row, as if it had been asked alone. Raises as `Client.fetch` does."""
        request = compose(self._fetch, row)
        if kept := await self._client.kept(request, source, kept_since):
            return kept
        if same := self._asked.get(request.key):
            if intend and same.has_left:
                await intend()
            same.intends += [intend] if intend and not same.has_left else []
            return await asyncio.shield(same.answer)
        answer: asyncio.Future[Fetched] = asyncio.get_running_loop().create_future()
        question = _Question(row, request, answer, [intend] if intend else [])
        self._asked[request.key] = question
        try:
            if group := self._joined(question):
                await self._send_when_full(group)
            return await asyncio.shield(question.answer)
        finally:
            del self._asked[request.key]

    def _joined(self, question: _Question) -> _Group | None:
        """Put a question where its like are gathered; the group, for whoever is the first of it."""
        kind = tuple(question.row.values.get(name) for name in self._same)
        group = self._gathering.get(kind)
        is_first = group is None
        group = group or self._gathering.setdefault(kind, _Group())
        group.questions.append(question)
        if len(group.questions) == self._batch.size:
            del self._gathering[kind]
            group.is_full.set()
        return group if is_first else None

    async def _send_when_full(self, group: _Group) -> None:
        gathered = 0
        while gathered < len(group.questions) and not group.is_full.is_set():
            gathered = len(group.questions)
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await group.is_full.wait()
        if not group.is_full.is_set():
            self._gathering = {kind: other for kind, other in self._gathering.items() if other is not group}
        try:
            await self._send(group.questions)
        finally:
            for question in group.questions:
                question.answer.cancel()  # of those that have none, where this carrier is stopped

    async def _send(self, questions: Sequence[_Question]) -> None:
        """Ask, and give every question its answer. Where one of them spoils the request for all, halves are asked."""
        try:
            await self._ask(questions)
        except Refused as error:
            if len(questions) == 1:
                questions[0].fail(error)
                return
            middle = len(questions) // 2
            await self._send(questions[:middle])
            await self._send(questions[middle:])
        except FetcherError as error:
            for question in questions:
                question.fail(error)

    async def _ask(self, questions: Sequence[_Question]) -> None:
        request = compose_batch(self._fetch, [question.row for question in questions])
        is_noted = any(question.intends for question in questions)
        fetched = await self._client.ask(request, partial(_leaving, questions) if is_noted else None)
        if fetched.meaning is not Meaning.RECORDS or fetched.response.status == 204:
            items: list[Response | None] = [fetched.response] * len(questions)
        else:
            items = await self._told_apart(fetched.response, questions)
        parts = [replace(fetched, response=item) if item else None for item in items]
        await asyncio.gather(*map(self._settle, questions, parts))

    async def _told_apart(self, response: Response, questions: Sequence[_Question]) -> list[Response | None]:
        """Each question's own part of an answer; None where there is none for it."""
        rows = [question.row for question in questions]
        if len(response.body) > LARGEST_IN_LOOP:
            bodies = await asyncio.to_thread(self._parts_of, response.body, rows)
        else:
            bodies = self._parts_of(response.body, rows)
        return [None if body is None else replace(response, body=body, url="") for body in bodies]

    async def _settle(self, question: _Question, fetched: Fetched | None) -> None:
        """Judge one row's part by the job's rules, keep it, and hand it to whoever waits for it."""
        try:
            if fetched is None:
                raise Quarantined("the answer to the batch has nothing for this row")
            rule = rule_for(self._fetch.expect, fetched.response)
            meant = meaning(fetched.response, NOTHING, rule) if rule else fetched.meaning
            await self._client.keep(question.request, fetched.response, question.row.key)
        except AttemptFailed as failure:
            question.fail(GaveUp(f"its part of the batch: {failure}"))
        except FetcherError as error:
            question.fail(error)
        else:
            question.answer.set_result(replace(fetched, meaning=meant))


async def _leaving(questions: Sequence[_Question]) -> None:
    """Put all that is asked on record; whoever shares a question from now on does so by itself."""
    for question in questions:
        question.has_left = True
    await asyncio.gather(*(intend() for question in questions for intend in question.intends))


def parts_of(batch: Batch, body: bytes, rows: Sequence[Row], *, is_lines: bool = False) -> list[bytes | None]:
    """Each row's own part of a JSON answer, as it was written; None where nothing matches the row.

    Raises `Quarantined` where there is no list of answers, or one that is too short or too long for its order to say
    which is whose.
    """
    try:
        items = body.splitlines() if is_lines else _items(batch.answers, body)
        keys = [_key(batch.match, item) for item in items] if batch.match else []
    # ValueError: both libraries' own errors, and text that is not UTF-8.
    except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise Quarantined(f"the answer to the batch is no list of answers: {error}") from error
    if batch.match is None:
        if len(items) != len(rows):
            raise Quarantined(f"the batch asked about {len(rows):,} rows, and the answer has {len(items):,} for them")
        return list(items)
    by_key = dict(zip(keys, items, strict=True))
    return [by_key.get(batch.match.row.fill_text(row.values)) for row in rows]


def _items(path: str, body: bytes) -> list[bytes]:
    """The answers in an answer. One that stands alone, as some APIs answer a batch of one, is a list of one."""
    if path != "@":
        body = msgspec.json.encode(jmespath.search(path, msgspec.json.decode(body)))
    if body.lstrip()[:1] == b"{":
        return [body]
    return [bytes(item) for item in msgspec.json.decode(body, type=list[msgspec.Raw])]


def _key(match: Match, item: bytes) -> str:
    return str(jmespath.search(match.answer, msgspec.json.decode(item)))
