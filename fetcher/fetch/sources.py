"""What the client and what keeps answers hand to each other."""

import enum
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from fetcher.fetch.expectations import Meaning
from fetcher.fetch.stored import target_of
from fetcher.model import Request, Response


@dataclass(slots=True)
class Fetched:
    """A response, the attempts that it took (none when it came from the cache), and what it means.

    `asked_at` is when the request that it answers was made (epoch seconds).
    """

    response: Response
    attempts: int
    meaning: Meaning = Meaning.RECORDS
    asked_at: float = 0.0


class Source(enum.Enum):
    """Where an answer may come from. `OFFLINE` is what may be used of what is kept, `KEPT_ONLY` all that is."""

    __hash__ = object.__hash__  # Enum's own is written in Python
    KEPT_FIRST = enum.auto()
    API_ONLY = enum.auto()
    KEPT_ONLY = enum.auto()
    OFFLINE = enum.auto()


KEPT = (Source.KEPT_ONLY, Source.OFFLINE)
"""Sources that send nothing."""


@dataclass(slots=True)
class Wanted:
    """A request and where its answer may come from; one that was kept before `since` (epoch seconds) is none.

    The answer is needed until the row `row_key` is settled.
    """

    request: Request
    source: Source = Source.KEPT_FIRST
    since: float = float("-inf")
    row_key: str = ""
    _key: str = field(default="", init=False)
    _target: str = field(default="", init=False)

    @property
    def key(self) -> str:
        """The request's key, made once."""
        if not self._key:
            self._key = self.request.key
        return self._key

    @property
    def target(self) -> str:
        """What all answers to its URL are found by, made once."""
        if not self._target:
            self._target = target_of(self.request)
        return self._target


Ask = Callable[[Request, frozenset[int]], Awaitable[Fetched]]
"""Asks the API, with all retries; answers of these statuses are taken as they are, whatever they mean."""

Judge = Callable[[Response], Awaitable[Meaning | None]]
"""What a kept answer means by the rules of today; None where they would not have kept it."""


class Keeping(Protocol):
    """A way to keep answers: as facts, or as HTTP says."""

    async def fetch(self, wanted: Wanted, ask: Ask) -> Fetched:
        """The answer, kept or asked for. Raises `NotKept`, or what asking raises."""
        ...

    async def kept(self, wanted: Wanted) -> Fetched | None:
        """The answer to exactly this request, where one is kept that may be used."""
        ...

    async def keep(self, wanted: Wanted, response: Response) -> None:
        """Keep an answer that was got in another way than by this very request, such as its part of a batch."""
        ...

    async def close(self) -> None:
        """Leave off whatever goes on in the background."""
        ...
