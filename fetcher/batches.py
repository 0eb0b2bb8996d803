"""Rows that are asked about together: gathered into requests, and the answers told apart.

Each row stays a row of its own, with its own request by which its answer is kept; so what was answered is never put
into a batch again, and rows that ask the same are one question. Whoever is carrying the first row of a batch sends it.

How rows share a request is another's affair: `Listed` is for services, `fetcher.prompts` for models.
"""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

import jmespath
import msgspec

from fetcher.compose.request import compose, compose_batch
from fetcher.errors import FetcherError, GaveUp, Parked, Quarantined, Refused, RowError, Unknown
from fetcher.fetch.budget import Budget
from fetcher.fetch.client import Client
from fetcher.fetch.expectations import Meaning, meaning, rule_for
from fetcher.fetch.hints import NOTHING
from fetcher.fetch.judging import LARGEST_IN_LOOP
from fetcher.fetch.retries import TOO_MUCH, AttemptFailed
from fetcher.fetch.sources import Fetched, Source
from fetcher.fetch.usable import none_usable
from fetcher.job.batch import Batch, Match
from fetcher.job.sections import Fetch
from fetcher.model import Request, Response, Row

LINGER_S = 0.05
"""So long a batch waits for one more row after the last that came: reading two hundred takes a tenth of that, where
the machine has nothing else to do."""

Intend = Callable[[], Awaitable[None]]
Part = Response | Quarantined | AttemptFailed
"""One row's own answer, or why it has none; after an `AttemptFailed` it is asked about again."""


class Sharing(Protocol):
    """How rows share a request, and which part of its answer is whose. A row is asked about `attempts` times at most
    whose parts cannot be used."""

    @property
    def attempts(self) -> int: ...

    def request(self, rows: Sequence[Row]) -> Request:
        """The request about these rows. Raises `Refused`."""
        ...

    def parts(self, response: Response, rows: Sequence[Row]) -> Sequence[Part]:
        """Each row's part of an answer. Raises `Quarantined`, or `AttemptFailed` where nothing of it can be used and
        fewer rows may do better."""
        ...


@dataclass(slots=True, eq=False)
class _Question:
    """One row's question, its answer to come, and what has to be on record before it is asked.

    It took so many `attempts`; so many `answers` came of which its part could not be used.
    """

    row: Row
    request: Request
    answer: asyncio.Future[Fetched]
    intends: list[Intend]
    has_left: bool = False
    attempts: int = 0
    answers: int = 0

    def fail(self, error: FetcherError) -> None:
        """There is no answer; nobody has to hear of it, for its row may be gone by now."""
        if self.attempts and isinstance(error, RowError):
            attempts, error = error.attempts + self.attempts, copy.copy(error)  # others may share it
            error.attempts = attempts
        self.answer.set_exception(error)
        self.answer.exception()

    def leave(self) -> None:
        """Whoever carried it is stopped. What has no answer is left to the next run, and not to be taken for done."""
        if self.answer.done():
            return
        if self.has_left:
            self.fail(Unknown("sent, and not waited for: only the server knows whether it was carried out"))
        else:
            self.fail(Parked("not asked before the run ended", 0.0))


@dataclass(slots=True, eq=False)
class _Group:
    """Questions that go into one request, once there are enough of them."""

    questions: list[_Question] = field(default_factory=list)
    is_full: asyncio.Event = field(default_factory=asyncio.Event)


class Batches:
    """Asks a client about rows, several in one request, as `sharing` says. Out of the `budget` rows are asked about
    again whose answers cannot be used."""

    def __init__(
        self,
        fetch: Fetch,
        batch: Batch,
        client: Client,
        *,
        sharing: Sharing | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._fetch = fetch
        self._batch = batch
        self._client = client
        self._sharing = sharing or Listed(fetch, batch)
        self._budget = budget or Budget()
        self._gathering: dict[tuple[str, ...], _Group] = {}
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
        kind = tuple(repr(question.row.values.get(name)) for name in self._same)  # 1 is no true, and lists have no hash
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
                question.leave()

    async def _send(self, questions: Sequence[_Question]) -> None:
        """Ask, and give every question its answer. Where one of them spoils the request for all, halves are asked."""
        try:
            again = await self._ask(questions)
        except Refused as error:
            if len(questions) == 1:
                questions[0].fail(error)
                return
            again = halves(questions)
        except FetcherError as error:
            for question in questions:
                question.fail(error)
            return
        for some in again:
            await self._send(some)

    async def _ask(self, questions: Sequence[_Question]) -> list[Sequence[_Question]]:
        """Ask, and give the questions their answers; those that are to be asked again, as they go together."""
        rows = [question.row for question in questions]
        request = self._sharing.request(rows)
        is_noted, is_again = any(question.intends for question in questions), questions[0].attempts > 0
        leaving = partial(_leaving, questions) if is_noted else None
        was_sent = is_again or questions[0].has_left  # in a batch that was refused
        fetched = await self._client.ask(request, intend=leaving, is_again=was_sent)
        for question in questions:
            question.attempts += fetched.attempts
        try:
            parts = await self._told_apart(fetched, rows)
        except AttemptFailed as failure:
            return [some for some in halves(questions) if self._may_ask_again(some, str(failure))]
        settling, failed = [], []
        for question, part in zip(questions, parts, strict=True):
            if isinstance(part, AttemptFailed):
                failed.append((question, str(part)))
            else:
                settling.append(self._settle(question, part, fetched))
        await asyncio.gather(*settling)
        self._give_back(len(settling), is_again=is_again)
        return self._asked_again(failed, is_all=len(failed) == len(questions))

    async def _told_apart(self, fetched: Fetched, rows: Sequence[Row]) -> Sequence[Part]:
        """Each question's own part of an answer."""
        response = fetched.response
        if fetched.meaning is not Meaning.RECORDS or response.status == 204:
            return [response] * len(rows)
        if len(response.body) > LARGEST_IN_LOOP:
            return await asyncio.to_thread(self._sharing.parts, response, rows)
        return self._sharing.parts(response, rows)

    def _asked_again(self, failed: Sequence[tuple[_Question, str]], *, is_all: bool) -> list[Sequence[_Question]]:
        """Of the questions whose parts cannot be used, those that are asked again: together, halved where they are all
        that was asked, and each alone the last time."""
        together, alone = list[_Question](), list[_Question]()
        for question, fault in failed:
            question.answers += 1
            if question.answers >= self._sharing.attempts:
                question.fail(none_usable(fault, question.answers))
            elif question.answers + 1 == self._sharing.attempts:
                alone.append(question)
            else:
                together.append(question)
        groups = [*(halves(together) if is_all else [together]), *([question] for question in alone)]
        fault = failed[0][1] if failed else ""
        return [some for some in groups if some and self._may_ask_again(some, fault)]

    def _may_ask_again(self, questions: Sequence[_Question], fault: str) -> bool:
        """Whether one more request may be sent about questions that were answered before; if not, they are told."""
        if self._budget.take():
            return True
        for question in questions:
            early = GaveUp(f"{fault}; {TOO_MUCH}")
            early.is_early = True
            question.fail(early)
        return False

    def _give_back(self, answered: int, *, is_again: bool) -> None:
        """Let rows that were answered count for what others may be asked again, as if each had been asked alone."""
        if is_again and answered:
            self._budget.succeeded(was_retry=True)
        for _ in range(answered if self._sharing.attempts > 1 else 0):
            self._budget.succeeded(was_retry=False)

    async def _settle(self, question: _Question, part: Response | Quarantined, fetched: Fetched) -> None:
        """Judge one row's part by the job's rules, keep it, and hand it to whoever waits for it."""
        try:
            if isinstance(part, Quarantined):
                raise part
            fetched = replace(fetched, response=part, attempts=question.attempts)
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
    """Put all that is asked on record, but what was before; whoever shares a question from now on does so by itself."""
    fresh = [question for question in questions if not question.has_left]
    for question in fresh:
        question.has_left = True
    await asyncio.gather(*(intend() for question in fresh for intend in question.intends))


def halves(questions: Sequence[_Question]) -> list[Sequence[_Question]]:
    """The one half of them, and the other; one is a half of itself."""
    middle = len(questions) // 2
    return [half for half in (questions[:middle], questions[middle:]) if half]


@dataclass(frozen=True, slots=True)
class Listed:
    """A request that lists its rows, and an answer with a list of theirs; `is_lines` where that is a line (JSON) for
    each."""

    fetch: Fetch
    batch: Batch
    is_lines: bool = False
    attempts: int = 1

    def request(self, rows: Sequence[Row]) -> Request:
        """The request about these rows. Raises `Refused`."""
        return compose_batch(self.fetch, rows)

    def parts(self, response: Response, rows: Sequence[Row]) -> list[Part]:
        """Each row's part of an answer. Raises `Quarantined`."""
        bodies = parts_of(self.batch, response.body, rows, is_lines=self.is_lines)
        nothing = Quarantined("the answer to the batch has nothing for this row")
        return [nothing if body is None else replace(response, body=body, url="") for body in bodies]


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
