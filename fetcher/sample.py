"""A job tried on its first rows, as many as one wants: what would become of them, counted. Nothing is written but the
answers' cache.

The rows are those of `read.table.sample`, and go through a run's own pipeline up to its writer.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, TypeGuard

import msgspec

from fetcher.errors import FetcherError
from fetcher.job.load import LoadedJob
from fetcher.launch import check_ledger_is_there, gravest, layout_of, make_folder, stop_on_signals, user_state
from fetcher.listing import rows_of
from fetcher.model import DoneRows, Outcome, Row, RowState
from fetcher.pipeline import Sink, rehearse
from fetcher.plan import ledger_of
from fetcher.progress import counted, on_screen, reason_lines, share, spent
from fetcher.redaction import redacted
from fetcher.rehearsal import surroundings
from fetcher.stations import Surroundings
from fetcher.tally import Tally
from fetcher.write.settling import keys_of

FIELDS_KEPT = 200
VALUES_KEPT = 1000
VALUES_SHOWN = 8
VALUE_WIDTH = 40
LINE = 140
REASONS_SHOWN = 10
Scalar = str | int | float | bool
LOST = frozenset({RowState.UNKNOWN, RowState.DISCARDED})
"""States of rows that were sent, and whose answers never came."""


class Long(NamedTuple):
    """A text that is longer than what is shown of it, known by its digest."""

    begins: str
    digest: bytes


@dataclass(slots=True)
class Values:
    """What a field held over all records: how often it was `filled`, and how often with what. Items of a list count
    each; of more than a thousand values only that there are, and of a long text only how it begins."""

    filled: int = 0
    counts: Counter[Scalar | Long] = field(default_factory=Counter)
    is_cut: bool = False

    def add(self, value: object) -> None:
        """Count the value of one record."""
        if value in (None, "", [], {}):
            return
        self.filled += 1
        for item in dict.fromkeys(map(held, scalars_of(value))):
            if item in self.counts or len(self.counts) < VALUES_KEPT:
                self.counts[item] += 1
            else:
                self.is_cut = True


@dataclass(slots=True)
class Sampled:
    """What became of a sample. `columns` are those of the table, where records have them without the job's doing;
    `fields` is what is in the others, and `is_cut` where they are too many for all to be kept. `stopped` is what ended
    it early, `signal` the signal's number. `sent` are rows whose request must not be sent twice, until their answer
    is here: a run knows nothing of them."""

    tally: Tally = field(default_factory=Tally)
    columns: set[str] = field(default_factory=set)
    fields: dict[str, Values] = field(default_factory=dict)
    is_cut: bool = False
    stopped: FetcherError | None = None
    signal: int = 0
    sent: set[str] = field(default_factory=set)
    _keys: set[bytes] = field(default_factory=set)

    async def add(self, outcome: Outcome | DoneRows) -> None:
        """Count what became of a row, or of many."""
        self.tally.settle(outcome)
        records, repeats = len(outcome.lines.splitlines()), 0
        if isinstance(outcome, Outcome):
            if outcome.state not in LOST:
                self.sent.discard(outcome.row_key)
            repeats = self._repeats_in(outcome)
            self.tally.write({part.table: part.records for part in outcome.tables}, {})
        self.tally.write({"records": records - repeats}, {"records": repeats})
        for line in outcome.lines.splitlines():
            self._count(msgspec.json.decode(line))

    async def add_sent(self, outcome: Outcome) -> None:
        """That row's request is about to leave."""
        self.sent.add(outcome.row_key)

    def _repeats_in(self, outcome: Outcome) -> int:
        keys = keys_of(outcome)
        fresh = set(keys) - self._keys
        self._keys |= fresh
        return len(keys) - len(fresh)

    def _count(self, record: Mapping[str, object]) -> None:
        for name, value in record.items():
            if name in self.columns:
                continue
            if name in self.fields or len(self.fields) < FIELDS_KEPT:
                self.fields.setdefault(name, Values()).add(value)
            else:
                self.is_cut = True


def sample(job: LoadedJob, rows: int, environ: Mapping[str, str]) -> Sampled:
    """Try the first rows. Ends early where it is interrupted, or where a run would; what was found until then is there.

    Raises `JobError`, `Contradiction`, `DiskFailed` where it cannot begin.
    """
    layout, found = layout_of(job), Sampled()
    check_ledger_is_there(layout)
    make_folder(layout, layout.folder)
    make_folder(layout, layout.state)
    with ExitStack() as stack:
        ledger = stack.enter_context(ledger_of(layout.state / "ledger.sqlite", stack))
        around = stack.enter_context(surroundings(layout, user_state(layout, environ), lambda *_: None))
        found.tally = around.tally
        taken = watched(islice(rows_of(job, ledger, around.now()), rows), job, found)
        try:
            found.signal = asyncio.run(_rehearsed(job, taken, around, found))
        except BaseExceptionGroup as group:
            known, unknown = group.split(FetcherError)
            if known is None or unknown is not None:
                raise
            found.stopped = gravest(known)
        except FetcherError as error:
            found.stopped = error
    return found


async def _rehearsed(job: LoadedJob, rows: Iterator[Row], around: Surroundings, found: Sampled) -> int:
    caught = stop_on_signals(around.stop)
    await rehearse(job, rows, around, Sink(found.add, found.add_sent))
    return caught[0] if caught else 0


def watched(rows: Iterator[Row], job: LoadedJob, found: Sampled) -> Iterator[Row]:
    """The rows; where they are the records, their columns are no news, but for those that an annotator fills."""
    added = {name for section in job.annotate for name in (section.into, section.rules and section.rules.why) if name}
    for row in rows:
        if not job.asks:
            found.columns |= row.values.keys() - added
        yield row


def sample_lines(job: LoadedJob, found: Sampled) -> Iterator[str]:
    """What a person sees of it."""
    tally = found.tally
    counts = ", ".join(f"{count:,} {state}" for state, count in tally.by_state().items() if count) or "nothing to do"
    yield f"{job.name}: {counted(tally.rows_read, 'row')}: {counts}"
    records = f"{counted(tally.records, 'record')}"
    side = "".join(f", {count:,} of {table}" for table, count in sorted(tally.side_records.items()))
    repeats = f", {counted(tally.repeats, 'repeat')} by write.key" if tally.repeats else ""
    yield f"  {records}{side}{repeats}; nothing is written but the cache of answers"
    if job.asks or job.asking:
        yield (
            f"  {counted(tally.requests, 'request')} ({counted(tally.retries, 'retry', 'retries')}), "
            f"{counted(tally.cache_hits, 'answer')} from the cache{spent(tally)}"
        )
    records_seen = tally.records + tally.repeats
    for name, values in found.fields.items():
        yield f"  {on_screen(redacted(field_line(name, values, records_seen), job.secrets))}"
    if found.is_cut:
        yield f"  and more fields than {FIELDS_KEPT:,}, which are not counted"
    yield from (f"  drift: {count:,} x {on_screen(said)}" for said, count in tally.drift.most_common(REASONS_SHOWN))
    yield from reason_lines(tally.reasons, REASONS_SHOWN)
    if found.sent:
        yield (
            f"  sent, and never answered: {counted(len(found.sent), 'row')}; nothing is on record here, so a run sends "
            "that again, carried out or not"
        )
    if found.signal:
        yield "  interrupted: this is what came until then"
    if found.stopped:
        yield f"  stopped: {redacted(str(found.stopped), job.secrets)}"


def field_line(name: str, values: Values, records: int) -> str:
    """`topics: in 5,012 of 9,988 records (50.2%): logistics 2,000, quality 1,800`"""
    said = f"{name}: in {values.filled:,} of {counted(records, 'record')} ({share(values.filled, records)})"
    ranked, more = values.counts.most_common(), " or more" if values.is_cut else ""
    if not ranked:
        return said
    if len(ranked) > VALUES_SHOWN and ranked[0][1] == 1:  # no two are alike
        numbers = [value for value in values.counts if not isinstance(value, str | bool | Long)]
        told = f"from {min(numbers):,} to {max(numbers):,}" if len(numbers) == len(ranked) and not more else ""
        return f"{said}: {told or f'{len(ranked):,}{more} different values'}"
    shown: list[str] = []
    for value, count in ranked[:VALUES_SHOWN]:
        if shown and len(said) + sum(map(len, shown)) > LINE:
            break
        shown.append(f"{worded(value)} {count:,}")
    others = f", and {len(ranked) - len(shown):,}{more} others" if len(ranked) > len(shown) else ""
    return f"{said}: {', '.join(shown)}{others}"


def held(value: Scalar) -> Scalar | Long:
    """What a value is counted by: a text that is cut where it is shown is not kept for longer."""
    if not isinstance(value, str) or len(value) <= VALUE_WIDTH:
        return value
    return Long(worded(value), hashlib.sha256(value.encode("utf-8", "surrogatepass")).digest())


def worded(value: Scalar | Long) -> str:
    """A value as JSON has it, a text as it is; cut where it is long."""
    if isinstance(value, Long):
        return value.begins
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= VALUE_WIDTH else f"{text[: VALUE_WIDTH - 3]}..."


def scalars_of(value: object) -> Iterator[Scalar]:
    """What is counted of a value: itself, the items of a list, or what an object says under each of its names."""
    if isinstance(value, dict):
        yield from (f"{name}: {worded(item)}" for name, item in value.items() if is_scalar(item))
        return
    yield from filter(is_scalar, value if isinstance(value, list) else [value])


def is_scalar(value: object) -> TypeGuard[Scalar]:
    """Whether it is one value, and not null."""
    return isinstance(value, str | int | float | bool)
