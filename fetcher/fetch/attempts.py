"""A request on its way, over all its attempts: what is known of it from one to the next."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fetcher.fetch.auth import Placed
from fetcher.fetch.deadlines import Deadline
from fetcher.fetch.limits import Realm
from fetcher.fetch.redirects import Hop
from fetcher.fetch.windows import Start
from fetcher.model import Request


@dataclass(slots=True)
class Asking:
    """One request over all its attempts. Its `intend` is awaited once, when there is a connection at last.

    The `hop` is what is sent now, in that `realm`; `shown` is the credential that goes along, if it `is_signed`.
    Answers of `accepted` statuses count as they are. `asked_at` (epoch seconds) and `status` are of the last attempt;
    so many `answers` came that might be used. What is asked once more `is_again`: it was sent before.
    """

    request: Request
    intend: Callable[[], Awaitable[None]] | None
    is_repeatable: bool
    hop: Hop
    is_signed: bool = True
    deadline: Deadline = field(default_factory=Deadline)
    attempts: int = 0
    answers: int = 0
    is_reused: bool = False
    is_again: bool = False
    accepted: frozenset[int] = frozenset()
    asked_at: float = 0.0
    status: int | None = None
    start: Start = field(default_factory=lambda: Start(0.0))
    realm: Realm | None = None
    shown: Placed | None = None

    @property
    def was_sent(self) -> bool:
        """Whether anybody has been asked before."""
        return self.is_again or self.attempts > 0

    async def leave(self) -> None:
        """There is a connection, and nothing has gone out over it: one that is refused has sent nothing."""
        if self.intend:
            await self.intend()
            self.intend = None
