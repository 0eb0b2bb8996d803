"""Rows that are records already, a chunk at a time: off to a worker as lines, and back as outcomes in their order.

A chunk is worth some hundredths of a second, so that the hop costs little beside it and nothing waits for it.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import groupby
from types import TracebackType

import msgspec

from fetcher.annotate.from_job import steps_of
from fetcher.compose.pages import FIRST
from fetcher.compose.skips import record_of
from fetcher.engines.engine import Engine
from fetcher.engines.meanwhile import Meanwhile
from fetcher.engines.scales import Scales
from fetcher.errands import Errand, Step, came, errand_of, unread
from fetcher.errands import failed as failed_outcome
from fetcher.errors import Quarantined
from fetcher.job.fingerprints import origins_of, parse_fingerprint
from fetcher.job.load import LoadedJob
from fetcher.job.tables import Table
from fetcher.labelling import Labelled, Labelling, Lot, label, load
from fetcher.model import DoneRows, Outcome, Row
from fetcher.parse.records import Parsed
from fetcher.read.keys import Occurrences
from fetcher.read.tables import Unkeyed, row_keys, rows_of
from fetcher.repros import Repro, Repros, values_kept, versions
from fetcher.selection import Verdict
from fetcher.stations import Surroundings, engine_for
from fetcher.tabular.lines import Cells, Line

KINDS = ("rules", "function", "lookup")
"""Annotators whose rows go by the chunk: none asks anybody, and none has a file of its own for each record."""

FIRST_ROWS, FIRST_SLOW_ROWS, MOST_ROWS = 200, 8, 2000
CHUNK_S = 0.02
FRAMES_S = 0.25
"""With frames, whose use takes as long for one record as for some hundred."""

CHUNK_BYTES = 1 << 18
LARGE_BYTES = 1 << 23
GROWTH = 4
"""A chunk has at most so many times the rows of those before."""

CHUNKS_A_WORKER, SPARE_CHUNKS = 2, 4
"""On their way at once. With 32 of them a run took as long (300,000 rows: 6.3 s with 4 to 32), and 40 MB more."""

DIGEST_BYTES, KEY_BYTES = 32, 16


def is_in_chunks(job: LoadedJob) -> bool:
    """Whether rows are records already, to which something is added that nobody is asked for."""
    asks = job.asks or any(not any(getattr(section, kind) for kind in KINDS) for section in job.annotate)
    return not asks and not job.write.tables


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows that a run labels, in their order; `errands` are those of rows that were settled before, by key."""

    rows: Sequence[Row]
    errands: Mapping[str, Errand] = field(default_factory=dict)


Result = tuple[Labelled, dict[int, str]]
"""What came of a chunk, and {place: why} of its rows that were not labelled at all."""


class Labeller:
    """`async with Labeller(job, around)`; then `label` any number of chunks at once, best as many as are to be
    `under_way`, and ask for their `outcomes` in their order. `rows` is how many a chunk is to have that is made next.
    `let_go` of the workers once nothing more is to be labelled."""

    def __init__(self, job: LoadedJob, around: Surroundings) -> None:
        self._job = job
        self._around = around
        self._labelling = Labelling(steps_of(job.annotate, origins_of(job, around.now()), job.folder), job.write.key)
        longest_s = min(FRAMES_S, job.parse.timeout / 4)
        self._chunk_s = longest_s if self._labelling.has_frames else CHUNK_S
        is_trial = around.witness is not None
        self._repros = None if is_trial else Repros(around.layout.state, job.secrets)
        self._seen = Occurrences()
        self._ending: asyncio.Task[None] | None = None
        self.rows = FIRST_SLOW_ROWS if self._labelling.is_heavy else FIRST_ROWS

    async def __aenter__(self) -> "Labeller":
        work = partial(label, self._labelling), partial(load, self._labelling)
        spared = 0 if self._labelling.is_heavy else 1  # a processor reads the table meanwhile
        self._engine: Engine[Lot, Labelled] = engine_for(self._job.parse, work, Scales(), spared)
        if self._engine.workers and self.is_quick:
            self._engine = Meanwhile(self._engine, work[0], Lot(b""))
        await self._engine.__aenter__()
        if is_large(self._job.read.table):
            self._engine.warm_up()
        return self

    @property
    def is_quick(self) -> bool:
        """Whether it takes chunks as large as they come."""
        return not self._labelling.may_take_long

    @property
    def under_way(self) -> int:
        """So many chunks keep the workers busy."""
        return CHUNKS_A_WORKER * self._engine.workers + SPARE_CHUNKS

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.let_go()
        self._around.tally.worked(self._engine.workers, self._engine.busy_s)

    def let_go(self) -> "asyncio.Task[None]":
        """Begin to end the workers; done when they have ended."""
        self._ending = self._ending or asyncio.create_task(self._engine.__aexit__(None, None, None))
        return self._ending

    async def label(self, chunk: Chunk | Unkeyed) -> Result:
        """What workers make of a chunk. Raises `JobError`, `RunStopped`."""
        if isinstance(chunk, Unkeyed) and isinstance(chunk.lines, Cells):
            with suppress(Quarantined):  # to whom, is found out line by line
                return await self._once(Lot(cells=chunk.lines)), {}
        lines, failed = lines_of(chunk.each() if isinstance(chunk, Unkeyed) else chunk.rows)
        return await self._labelled(Lot(lines)), failed

    async def outcomes(self, chunk: Chunk | Unkeyed, result: Result) -> list[Outcome | DoneRows]:
        """How the rows of a chunk end that has been labelled, in their order."""
        labelled, failed = result
        if isinstance(chunk, Unkeyed):
            if labelled.row_digests and not (labelled.failed or labelled.record_keys):
                return [DoneRows(row_keys(labelled.row_digests, self._seen), labelled.lines, labelled.digests)]
            chunk = Chunk(rows_of(chunk.where, chunk.each(), (), self._seen))
        if labelled.failed:
            sent = [place for place in range(len(chunk.rows)) if place not in failed]
            failed |= {sent[at]: why for at, why in labelled.failed.items()}
            for at, why in labelled.failed.items():
                if not (self._repros and self._repros.has_room):
                    break
                await self._repros.keep(self._repro_of(chunk.rows[sent[at]], why))
        if not (failed or chunk.errands or labelled.record_keys):
            return [done_rows(chunk.rows, labelled.lines, labelled.digests)]
        return list(self._one_by_one(chunk, labelled, failed))

    async def _labelled(self, lot: Lot) -> Labelled:
        """A worker's answer, or what can be had where it was lost to some of the records: done again without those
        that it was at. Where it left no word of that, with one record at a time; where no word can be left, by halves.
        """
        culprits = list[tuple[int, str]]()
        while lot.lines:
            try:
                labelled = await self._once(lot)
                break
            except Quarantined as error:
                each = lot.lines.splitlines(keepends=True)
                if len(each) == 1 or error.record >= 0:
                    culprit = max(error.record, 0)
                    culprits.append((culprit, str(error)))
                    lot = replace(lot, lines=b"".join([*each[:culprit], *each[culprit + 1 :]]))
                elif self._engine.workers and not lot.is_singly:
                    lot = replace(lot, is_singly=True)
                else:
                    labelled = await self._by_halves(lot, each)
                    break
        else:
            labelled = Labelled()
        for culprit, why in reversed(culprits):
            labelled = labelled.without(culprit, why)
        return labelled

    async def _once(self, lot: Lot) -> Labelled:
        """A worker's answer. Raises `Quarantined` where it was lost to one of the records."""
        labelled = await self._engine.run(lot)
        if lot.lines:
            self._resize(len(labelled.digests) // DIGEST_BYTES + len(labelled.failed), len(lot.lines), labelled.took_s)
        return labelled

    async def _by_halves(self, lot: Lot, each: list[bytes]) -> Labelled:
        half = len(each) // 2
        parts = (b"".join(part) for part in (each[:half], each[half:]))
        first, second = [await self._labelled(replace(lot, lines=part)) for part in parts]
        return first.followed_by(second, half)

    def _resize(self, rows: int, size: int, took_s: float) -> None:
        """Have the next chunks take as long, and be as large, as they should."""
        worth = int(self._chunk_s * rows / max(took_s, 1e-6))
        fitting = int(CHUNK_BYTES * rows / size)
        self.rows = max(1, min(MOST_ROWS, GROWTH * self.rows, worth, fitting))

    def _one_by_one(self, chunk: Chunk, labelled: Labelled, failed: Mapping[int, str]) -> Iterator[Outcome | DoneRows]:
        lines, at = labelled.lines.splitlines(keepends=True), 0

        def is_alike(place: int) -> bool:
            return not (labelled.record_keys or place in failed or chunk.rows[place].key in chunk.errands)

        for are_alike, places in groupby(range(len(chunk.rows)), is_alike):
            rows = [(place, chunk.rows[place]) for place in places]
            if are_alike:
                end = at + len(rows)
                digests = labelled.digests[DIGEST_BYTES * at : DIGEST_BYTES * end]
                yield done_rows([row for _, row in rows], b"".join(lines[at:end]), digests)
                at = end
                continue
            for place, row in rows:
                errand = chunk.errands.get(row.key) or errand_of(row, Verdict.ASK, None, self._job.fetch)
                if place in failed:
                    yield unread(errand, self._job) if row.fault else self._failed(errand, failed[place])
                else:
                    key = labelled.record_keys[KEY_BYTES * at : KEY_BYTES * (at + 1)]
                    yield came(errand, Step(FIRST, None, Parsed(lines[at], 1, key), 0), self._job)
                    at += 1

    def _repro_of(self, row: Row, why: str) -> Repro:
        return Repro(
            *(row.key, why, "", self._around.now(), values_kept(row.values), "application/json"),
            body=record_of(row),
            parse_part=self._parse_part,
            versions=versions(),
        )

    @cached_property
    def _parse_part(self) -> str:
        return parse_fingerprint(self._job)

    def _failed(self, errand: Errand, why: str) -> Outcome:
        return failed_outcome(errand, Quarantined(why), FIRST, self._job)


def is_large(table: Table | None) -> bool:
    """Whether a worker will have come before a table is read."""
    files = table.files() if table else ()
    return sum(file.path.stat().st_size for file in files if file.path and file.path.exists()) > LARGE_BYTES


def lines_of(rows: Sequence[Row | Line]) -> tuple[bytes, dict[int, str]]:
    """The rows as JSON lines, without those that cannot be read or written: {place: why}."""
    failed = {place: row.fault for place, row in enumerate(rows) if row.fault}
    encoder = msgspec.json.Encoder()
    try:
        return encoder.encode_lines([row.values for row in rows if not row.fault]), failed
    except (TypeError, ValueError, msgspec.MsgspecError):
        lines = []
        for place, row in enumerate(rows):
            try:
                lines += [] if row.fault else [encoder.encode_lines([row.values])]
            except (TypeError, ValueError, msgspec.MsgspecError) as error:
                failed[place] = f"cannot be written as JSON: {error}"
        return b"".join(lines), failed


def done_rows(rows: Sequence[Row], lines: bytes, digests: bytes) -> DoneRows:
    """Rows that are done alike."""
    has_days = any(row.first_day for row in rows)
    days = ([row.first_day for row in rows], [row.last_day for row in rows]) if has_days else ()
    return DoneRows([row.key for row in rows], lines, digests, days)
