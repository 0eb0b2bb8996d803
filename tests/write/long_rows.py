"""Rows of a model job that take more than one answer, or that must not be sent twice; and what must hold of them."""

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from fetcher.model import CAME, SETTLED, Outcome, RowState, Standing
from fetcher.write.writer import GROUP_S
from tests.write.small_jobs import outcome


class Desk(Protocol):
    """The part of a writer that rows are handed over to."""

    async def put(self, outcome: Outcome) -> None: ...
    async def put_now(self, outcome: Outcome) -> None: ...


@dataclass
class PagedRow:
    """A row whose records come in pages of `size`; `changed` are those of its second revision.

    The first passes break off at the pages in `breaks`, to be gone on with there or, where the page is negative, to be
    begun anew. `is_forgotten` is a server whose cursors do not survive: each pass begins at page 1, cuts its pages
    otherwise, and tells records apart by their keys.
    """

    key: str
    records: list[bytes]
    changed: list[bytes]
    size: int
    breaks: list[int]
    is_forgotten: bool
    pause_s: float
    passes: int = 0

    def lines(self, revision: int) -> list[bytes]:
        """All its records."""
        return self.changed if revision > 1 else self.records

    def pages(self, revision: int) -> list[list[bytes]]:
        """Page by page; there is always one."""
        lines = self.lines(revision)
        size = self.size + (self.passes % 3 if self.is_forgotten else 0)
        return [lines[at : at + size] for at in range(0, len(lines), size)] or [[]]

    async def feed(self, desk: Desk, before: Standing | None, is_asked_again: bool) -> None:
        """One pass, as far as it comes."""
        is_whole = before is not None and before.state in SETTLED and not before.position
        if is_whole and not is_asked_again:
            return
        self.passes += 1
        pages = self.pages(2 if before and before.digest else 1)
        position = int(before.position or 1) if before else 1
        for number in range(1 if self.is_forgotten else position, len(pages) + 1):
            if self.breaks and abs(self.breaks[0]) == number:
                place = str(number) if self.breaks.pop(0) > 0 else ""
                await desk.put(Outcome(self.key, RowState.GAVE_UP, "503", before=before, position=place))
                return
            await desk.put(self.outcome(number, pages, before))
            await asyncio.sleep(self.pause_s)

    def outcome(self, number: int, pages: list[list[bytes]], before: Standing | None) -> Outcome:
        """One page."""
        is_last = number == len(pages)
        done = RowState.DONE if any(pages) else RowState.EMPTY
        lines = pages[number - 1]
        return Outcome(
            self.key,
            done if is_last else RowState.WAITING,
            lines=b"".join(lines),
            records=len(lines),
            attempts=1,
            before=before,
            page=number,
            position="" if is_last else str(number + 1),
            begins_anew=number == 1 and not self.is_forgotten,
            is_end=is_last,
            record_keys=b"".join(map(key_of, lines)) if self.is_forgotten else b"",
        )


@dataclass
class PaidRow:
    """A row whose request costs money. `kept` is what survives of its answer: the cache."""

    answer: Outcome
    paid: int = 0
    is_kept: bool = False

    async def feed(self, desk: Desk, before: Standing | None, step: Callable[[str], None]) -> None:
        """Send it, unless it may have been sent; `step` is told of what happens, and may end the run."""
        key = self.answer.row_key
        if before and before.state in SETTLED:
            return
        if not (before and before.state is RowState.UNKNOWN):
            await desk.put_now(Outcome(key, RowState.UNKNOWN, "sent", before=before, is_end=False))
            step("send")
            self.paid += 1
            step("receive")
            self.is_kept = True
            step("keep")
        if self.is_kept:
            await desk.put(Outcome(key, self.answer.state, lines=self.answer.lines, records=1, before=before))

    def is_settled(self, state: str) -> bool:
        """Whether that is a state for it to end in: an answer that was lost stays unknown."""
        return state in SETTLED or (state == RowState.UNKNOWN and not self.is_kept)


@dataclass
class LongRows:
    """All of them."""

    paged: list[PagedRow] = field(default_factory=list)
    paid: list[PaidRow] = field(default_factory=list)


def key_of(line: bytes) -> bytes:
    """A record's key."""
    return hashlib.blake2b(line, digest_size=16).digest()


def make_long_rows(chance: random.Random) -> LongRows:
    """Up to three of each."""
    return LongRows(
        [make_paged(f"paged-{number}", chance) for number in range(chance.randint(0, 3))],
        [PaidRow(outcome(f"paid-{number}", 1, chance, 20)) for number in range(chance.randint(0, 3))],
    )


def make_paged(key: str, chance: random.Random) -> PagedRow:
    """A few pages, some of which another revision has otherwise."""
    records = record_lines(key, 1, chance.choice((0, 1, 2, 5, 9)))
    changed = [line for line in records if chance.random() < 0.8]
    if chance.random() < 0.5:
        changed += record_lines(key, 2, chance.randint(0, 3))
    breaks = [chance.choice((1, 2, 3, -2, -3)) for _ in range(chance.choice((0, 0, 1, 2)))]
    pause_s = chance.choice((0.0, 2 * GROUP_S))
    return PagedRow(key, records, changed, chance.choice((1, 2, 3)), breaks, chance.random() < 0.4, pause_s)


def record_lines(key: str, revision: int, count: int) -> list[bytes]:
    """No two are equal."""
    return [b'{"row":"%s","revision":%d,"n":%d}\n' % (key.encode(), revision, n) for n in range(count)]


Row = dict[str, object]


def page_problem(row: PagedRow, standing: Row, pieces: list[tuple[int, int, int, int]], lines: list[bytes]) -> str:
    """What is wrong with a paged row; `pieces` are (revision, page, first record, records), `lines` all there are."""
    complete = standing["revision"] if standing["digest"] else 0
    for revision in {piece[0] for piece in pieces} | ({complete} if complete else set()):
        assert isinstance(revision, int)
        held = [lines[at] for _, _, first, count in sorted(of(pieces, revision)) for at in range(first, first + count)]
        if Counter(held) - Counter(row.lines(revision)):
            return f"{row.key}: revision {revision} holds a record twice, or one that is not its own"
        if revision == complete and standing["state"] in CAME and not standing["position"]:
            expected = row.lines(revision)
            if sorted(held) != sorted(expected) or (not row.is_forgotten and held != expected):
                return f"{row.key}: revision {revision} is whole and does not hold its records"
    return ""


def of(pieces: list[tuple[int, int, int, int]], revision: int) -> list[tuple[int, int, int, int]]:
    """Those of one revision."""
    return [piece for piece in pieces if piece[0] == revision]
