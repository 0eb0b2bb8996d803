"""Where a job stands, without running it: rows by state, gaps, waits; and its failures, one by one."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fetcher.errors import Contradiction
from fetcher.fetch.quotas import Account, Quotas
from fetcher.fetch.rations import Rations
from fetcher.job.load import LoadedJob
from fetcher.launch import layout_of
from fetcher.ledger import LedgerView
from fetcher.listing import CHUNK_ROWS, rows_of
from fetcher.model import MAIN, Row, RowState, Segment, SegmentState, Standing
from fetcher.progress import counted, local_time, reason_lines
from fetcher.realms import shared_by
from fetcher.reasons import Reasons
from fetcher.write.segments import tables_of

GAPS_SHOWN = 20


@dataclass(slots=True)
class Gap:
    """Rows next to each other that are not done, by their first and last key."""

    first: str
    last: str
    rows: int

    def text(self) -> str:
        """`2019-04-29` or `2019-04-29 to 2019-05-02 (4)`"""
        return self.first if self.rows == 1 else f"{self.first} to {self.last} ({self.rows:,})"


@dataclass(frozen=True, slots=True)
class Held:
    """What is there of a table: the records that stand in `files` that are published, how many stand and are
    `unpublished`, and how many are in the files and stand no more."""

    table: str
    records: int
    files: int
    unpublished: int = 0
    superseded: int = 0

    def text(self) -> str:
        """`5 records in 2 files, 1 not published yet; 3 more stand no longer`"""
        what = counted(self.records, "record") + ("" if self.table == MAIN else f" of {self.table}")
        no_longer = f"; {self.superseded:,} more stand no longer" if self.superseded else ""
        return f"{what} in {counted(self.files, 'file')}, {self.unpublished:,} not published yet{no_longer}"


@dataclass(slots=True)
class Status:
    """A job's rows by state, why some are not done, the gaps between those that are, its waits and its files.

    The API allows nothing before `closed_until`; `used` are (what, how much of it is used, how much there is).
    """

    rows: Counter[RowState] = field(default_factory=Counter)
    reasons: Reasons = field(default_factory=Reasons)
    gaps: list[Gap] = field(default_factory=list)
    not_before: float = 0.0
    held: list[Held] = field(default_factory=list)
    closed_until: float = 0.0
    used: list[tuple[str, float, float]] = field(default_factory=list)
    _was_open: bool = False

    def note_gap(self, row: Row, standing: Standing | None) -> None:
        """Count one more row, in the order of the job."""
        is_open = standing is None or standing.state not in (RowState.DONE, RowState.EMPTY)
        if is_open and self._was_open:
            self.gaps[-1].last = row.key
            self.gaps[-1].rows += 1
        elif is_open:
            self.gaps.append(Gap(row.key, row.key, 1))
        self._was_open = is_open


def view(job: LoadedJob) -> LedgerView:
    """The job's ledger, to be read. Raises `Contradiction` where it has none."""
    path = layout_of(job).state / "ledger.sqlite"
    if not path.is_file():
        raise Contradiction(f"{job.write.folder}: no ledger here; the job has not been run yet")
    return LedgerView(path)


def status(job: LoadedJob, now: float, user_state: Path) -> Status:
    """Where the job stands at `now` (epoch seconds). Raises `Contradiction` where it has no ledger."""
    found = Status()
    if job.asks:
        found.closed_until = look_at_limits(found, job, now, user_state)
    for name, asking in job.asking.items():
        until = look_at_limits(found, asking, now, user_state, name=f"{name}: ")
        found.closed_until = max(found.closed_until, until)
    with view(job) as ledger:
        listed = with_standings(rows_of(job, ledger, now), ledger)
        while chunk := list(itertools.islice(listed, CHUNK_ROWS)):
            for row, standing in chunk:
                found.rows[standing.state if standing else RowState.WAITING] += 1
                if standing and standing.not_before > now:
                    found.not_before = max(found.not_before, standing.not_before)
                if not job.read.has_items:  # their lines are no range to have gaps in
                    found.note_gap(row, standing)
            for state, reason in reasons_of(chunk, ledger):
                found.reasons.add(state, reason)
        segments = ledger.segments()
        found.held = [held_of(ledger, table, segments) for table in tables_of(layout_of(job), segments)]
    return found


def reasons_of(chunk: Sequence[tuple[Row, Standing | None]], ledger: LedgerView) -> Iterator[tuple[RowState, str]]:
    """The state of each row that has a reason for it, and the reason."""
    states = {row.key: standing.state for row, standing in chunk if standing and standing.state is not RowState.DONE}
    yield from ((states[key], reason) for key, reason in ledger.reasons(list(states)).items())


def held_of(ledger: LedgerView, table: str, segments: Sequence[Segment]) -> Held:
    """How much of a table is where. A revision stands once it is published; until then the one before does."""
    files = [one.records for one in segments if one.table == table and one.state is SegmentState.PUBLISHED]
    published, written = sum(files), sum(one.records for one in segments if one.table == table)
    superseded = within(ledger.superseded(published, table), 0, published)
    unpublished = written - published - within(ledger.superseded(written, table), published, written)
    return Held(table, published - superseded, len(files), unpublished, superseded)


def within(ranges: Sequence[tuple[int, int]], begin: int, end: int) -> int:
    """How many numbers from `begin` on and below `end` lie in ranges (first, how many) that do not overlap."""
    return sum(max(0, min(first + count, end) - max(first, begin)) for first, count in ranges)


def look_at_limits(found: Status, job: LoadedJob, now: float, user_state: Path, *, name: str = "") -> float:
    """Add what is used of a job's limits, and return when its API allows something again (epoch seconds)."""
    until = float("inf")  # of several keys, the first that opens counts
    quotas = Quotas(user_state / "quotas.sqlite")
    for shared in shared_by(job, user_state, lambda: now):
        rations = list(Rations(job.fetch.limits, quotas, shared.realm, shared.job, lambda: [now]).rations(1))
        closed_until, used = quotas.read(shared.realm, [ration.account.name for ration in rations])
        until = min(until, closed_until)
        found.used += [
            (f"{name}{name_of(account)}", used.get(account.name, 0) / unit, account.limit / unit)
            for account, unit in ((ration.account, ration.unit) for ration in rations)
        ]
    return until


def name_of(account: Account) -> str:
    """`day 2024-03-31 Europe/Berlin`, `requests`: what an account is about, without whose it is."""
    return account.name.partition(" ")[2]


def with_standings(rows: Iterator[Row], ledger: LedgerView) -> Iterator[tuple[Row, Standing | None]]:
    """Every row and where it stands."""
    while chunk := list(itertools.islice(rows, CHUNK_ROWS)):
        standings = ledger.standings([row.key for row in chunk])
        yield from ((row, standings.get(row.key)) for row in chunk)


def status_text(job: str, found: Status, now: float) -> str:
    """The status for a screen or a mail."""
    counts = " + ".join(f"{count:,} {state}" for state in RowState if (count := found.rows[state]))
    lines = [f"{job}: {counted(sum(found.rows.values()), 'row')} = {counts or 'none'}"]
    lines += reason_lines(found.reasons)
    if found.not_before:
        lines.append(f"  the last of what has to wait may be asked for at {local_time(found.not_before)}")
    if found.closed_until > now:
        lines.append(f"  the API asks for nothing before {local_time(found.closed_until)}")
    lines += [f"  {what}: {used:,.10g} of {limit:,.10g} used" for what, used, limit in found.used]
    if found.gaps:
        shown = [gap.text() for gap in found.gaps[:GAPS_SHOWN]]
        more = f" and {len(found.gaps) - GAPS_SHOWN:,} more" if len(found.gaps) > GAPS_SHOWN else ""
        lines.append(f"  gaps: {', '.join(shown)}{more}")
    lines += [f"  {held.text()}" for held in found.held]
    return "\n".join(lines)
