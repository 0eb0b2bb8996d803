"""Whose turn it is: what rows bring is handed over in the order in which they were read, whichever is done first.

What brings no records has no place in that order, and waits for nobody: how a row fails, or goes on at the server. The
rest waits here for the rows before it, bounded by rows and by bytes; the row that all wait for is always carried on.
Nothing here is a promise to keep: what waits when a run ends is asked for again, from the cache where it was kept.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fetcher.model import Outcome

MOST_ROWS = 4096
"""Rows that are begun before the one that all wait for has ended; those whose carriers have them come on top."""

MOST_BYTES = 32 << 20
"""Bytes that wait; beyond them a row is not left before it is handed over."""


@dataclass(slots=True, eq=False)
class Turn:
    """One row's. `put` its outcomes, then `end` it. Where it `is_left` on its way, no row behind it is handed over.

    Once an outcome of a row `is_dropped`, none that follows is told: it would settle the row without that one.
    """

    _turns: "Turns"
    waiting: list[Outcome] = field(default_factory=list)
    is_over: bool = False
    is_left: bool = False
    is_dropped: bool = False
    _handed_over: asyncio.Event | None = None

    async def put(self, outcome: Outcome, let_go: Callable[[], None] | None = None) -> None:
        """Hand an outcome over when it is its turn; waits for that only where too much waits already, or where what
        the row asks next has to be on record behind it. `let_go` is called before it waits: a stop drops it then."""
        turns = self._turns
        if self.is_dropped:
            return
        if not (outcome.size or self.waiting):
            await turns.put(outcome)
            return
        self.waiting.append(outcome)
        turns.added(self, outcome.size)
        if turns.held_bytes > turns.most_bytes or (turns.goes_on_record and not outcome.is_end):
            self._handed_over = asyncio.Event()
            if let_go:
                let_go()
            await self._handed_over.wait()

    def end(self, *, is_left: bool) -> None:
        """The row has no further outcome in this run."""
        self.is_over, self.is_left = True, is_left
        self._turns.added(self, 0)

    def handed_over(self) -> int:
        """Its first outcome is with whoever gets it: how many bytes wait no more."""
        outcome = self.waiting.pop(0)
        if not self.waiting and self._handed_over:
            self._handed_over.set()
        return outcome.size


class Turns:
    """`take` a turn for each row, in order, while `serve` runs as a task; `finish` ends it once every turn is over.

    `put` gets the outcomes. A job that `goes_on_record` with what it asks, before it asks it, has the pages of a row
    wait for each other.
    """

    def __init__(
        self,
        put: Callable[[Outcome], Awaitable[None]],
        *,
        goes_on_record: bool = False,
        most_rows: int = MOST_ROWS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.put = put
        self.goes_on_record = goes_on_record
        self.most_bytes = most_bytes
        self.held_bytes = 0
        self._order: asyncio.Queue[Turn | None] = asyncio.Queue(most_rows)
        self._first: Turn | None = None
        self._news = asyncio.Event()

    async def take(self) -> Turn:
        """The turn of the next row; waits while too many rows wait for an earlier one."""
        turn = Turn(self)
        await self._order.put(turn)
        return turn

    async def finish(self) -> None:
        """No turn follows."""
        await self._order.put(None)

    async def serve(self) -> None:
        """Hand over row after row. Behind one that was left nothing is: it would come before what that one lacks."""
        is_open = True
        while turn := await self._order.get():
            self._first = turn
            while turn.waiting or not turn.is_over:
                if not turn.waiting:
                    self._news.clear()
                    await self._news.wait()
                    continue
                if is_open:
                    await self.put(turn.waiting[0])
                else:
                    turn.is_dropped = True
                self.held_bytes -= turn.handed_over()
            is_open = is_open and not turn.is_left

    def added(self, turn: Turn, size: int) -> None:
        """There is something new of a row, so many bytes of it."""
        self.held_bytes += size
        if turn is self._first:
            self._news.set()
