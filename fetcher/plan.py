"""What a run would ask for and how long it would take, without a request: the limiter that paces runs, on a clock that
jumps."""

import asyncio
import math
import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from fetcher.annotate.asked import Asked
from fetcher.annotate.from_job import flow_of
from fetcher.compose.request import compose
from fetcher.compose.skips import stated_answer
from fetcher.enriching import question_about
from fetcher.errands import Errand, errand_of
from fetcher.errors import RowError
from fetcher.fetch.cache import kept_among
from fetcher.fetch.limits import Realm
from fetcher.fetch.request_log import logs, sent_in
from fetcher.fetch.sources import Source
from fetcher.job.fingerprints import origins_of
from fetcher.job.load import LoadedJob
from fetcher.job.sections import Limits
from fetcher.job.units import CalendarRate, Rate
from fetcher.launch import layout_of
from fetcher.ledger import Ledger, LedgerView
from fetcher.listing import CHUNK_ROWS, rows_of
from fetcher.model import Row
from fetcher.selection import RunOptions, Verdict, verdict
from fetcher.stations import runs_of
from fetcher.status import with_standings
from fetcher.testing.clock import VirtualClock, run_virtual

GUESSED_S = 0.2
LATENCIES_KEPT = 10_000
SIMULATIONS = 15
SIMULATED = 2000
START_S = 0.3
"""What a run takes besides: reading its ledger, its first connection, its last commit."""

ASKED = frozenset({Verdict.ASK, Verdict.ASK_ANEW})


@dataclass(frozen=True, slots=True)
class Past:
    """What earlier runs have shown: how long answers took, which share of the requests had to be repeated, and how
    many pages a row has."""

    latencies_s: Sequence[float] = ()
    repeated: float = 0.0
    pages: float = 1.0


@dataclass(slots=True)
class Questions:
    """What an annotator would ask: each question once, by its key. What cannot be known before records come `is_open`.

    `hits` have a kept answer.
    """

    job: LoadedJob
    asked: Asked
    keys: set[str] = field(default_factory=set)
    hits: int = 0
    is_open: bool = False

    @property
    def requests(self) -> int:
        """How many requests the questions that are known take."""
        batch = self.job.fetch.batch
        return math.ceil((len(self.keys) - self.hits) / (batch.size if batch else 1))

    def add(self, rows: Sequence[Row], now: float) -> None:
        """Count what is asked about rows that are records."""
        fetch, fresh = self.job.fetch, set[str]()
        for row in rows:
            try:
                if not self.asked.wants(row.values) or stated_answer(fetch, row) is not None:
                    continue
                question = question_about(fetch, row)
            except RowError:
                continue
            if question is None:
                self.is_open = True
                return
            fresh.add(question.key)
        fresh -= self.keys
        self.keys |= fresh
        self.hits += kept_of(self.job, list(fresh), now)


@dataclass(slots=True)
class Plan:
    """What lies ahead. Of the `rows` that the job lists, `asked` are asked for: `hits` have a kept answer, the others
    take `requests`. `took_s` are lengths of the run, simulated and sorted. `questions` are those of annotators, by
    their names."""

    past: Past
    rows: int = 0
    asked: int = 0
    hits: int = 0
    requests: int = 0
    took_s: Sequence[float] = field(default_factory=list)
    questions: dict[str, "Questions"] = field(default_factory=dict)

    def quantile_s(self, share: float) -> float:
        """What this share of the simulated runs keeps within."""
        return self.took_s[math.ceil(share * len(self.took_s)) - 1]


def plan(job: LoadedJob, now: float, chance: random.Random) -> Plan:
    """Count what a run at `now` (epoch seconds) would ask for, and simulate it."""
    layout = layout_of(job)
    with ExitStack() as stack:
        ledger = stack.enter_context(ledger_of(layout.state / "ledger.sqlite", stack))
        asked = job if job.asks else next(iter(job.asking.values()), job)
        found = Plan(past_of(runs_of(asked, layout), ledger))
        count(found, job, ledger, now)
    repeats = round(found.requests * found.past.repeated)
    latencies = found.past.latencies_s or [GUESSED_S]
    requests_a_key = math.ceil((found.requests + repeats) / (job.fetch.auth.count if job.fetch.auth else 1))
    paces = [(job.fetch.limits, requests_a_key), *((q.job.fetch.limits, q.requests) for q in found.questions.values())]
    found.took_s = sorted(
        START_S + max(length_s(limits, requests, lambda: chance.choice(latencies)) for limits, requests in paces)
        for _ in range(SIMULATIONS)
    )
    return found


def ledger_of(path: Path, stack: ExitStack) -> LedgerView:
    """The job's ledger, or an empty one where it has none yet."""
    if path.is_file():
        return LedgerView(path)
    return Ledger(Path(stack.enter_context(tempfile.TemporaryDirectory())) / path.name)


def past_of(runs: Path, ledger: LedgerView) -> Past:
    """What the newest request logs tell."""
    sent = islice((sent for log in reversed(logs(runs)) for sent in sent_in(log)), LATENCIES_KEPT)
    latencies, repeated, total = [], 0, 0
    for request in sent:
        total += 1
        repeated += request.status is None or request.status == 429 or request.status >= 500
        if request.status is not None:
            latencies.append(request.took_s)
    return Past(latencies, repeated / total if total else 0.0, ledger.pages_a_row())


def count(found: Plan, job: LoadedJob, ledger: LedgerView, now: float) -> None:
    """Count rows, hits and requests of a run at `now`."""
    pairs = zip(
        job.asking.items(), flow_of(job.annotate, origins_of(job, now), job.folder, is_trial=True)[1], strict=True
    )
    found.questions = {name: Questions(asking, one, is_open=job.asks) for (name, asking), one in pairs}
    rows, listed = 0, with_standings(rows_of(job, ledger, now), ledger)
    while chunk := list(islice(listed, CHUNK_ROWS)):
        found.rows += len(chunk)
        errands = []
        for row, standing in chunk:
            asked = verdict(row, standing, RunOptions(), now)
            if asked in ASKED and not row.fault:
                errands.append(errand_of(row, asked, standing, job.fetch))
        found.asked += len(errands)
        hits = hits_among(errands, job, now)
        for questions in (q for q in found.questions.values() if not q.is_open):
            questions.add([errand.row for errand in errands], now)
        found.hits += hits
        rows += len(errands) - hits
    size = job.fetch.batch.size if job.fetch.batch else 1
    if job.asks:
        found.requests = math.ceil(rows / size) if size > 1 else round(rows * found.past.pages)


def hits_among(errands: Sequence[Errand], job: LoadedJob, now: float) -> int:
    """How many of these rows have an answer that is kept and may be used."""
    keys = []
    for errand in errands:
        if errand.source is Source.KEPT_FIRST:
            try:
                keys.append(compose(job.fetch, errand.row, errand.place).key)
            except RowError:
                continue
    return kept_of(job, keys, now)


def kept_of(job: LoadedJob, keys: Sequence[str], now: float) -> int:
    """How many of these requests have an answer that is kept and may be used."""
    keep = job.fetch.cache.keep
    if not keys or keep == "none":
        return 0
    not_before = -math.inf if isinstance(keep, str) else now - keep
    return kept_among(layout_of(job).state / "cache.sqlite", keys, not_before)


def length_s(limits: Limits, requests: int, latency_s: Callable[[], float]) -> float:
    """How long so many requests take, calendar windows aside. A long run is simulated until its pace is steady, and no
    window is forgotten."""
    rates = elapsed(limits)
    enough = max([SIMULATED, *(2 * rate.starts for rate in rates if rate.starts < 10 * SIMULATED)])
    simulated = min(requests, enough)
    ends: list[float] = []
    run_virtual(send_all(limits, simulated, latency_s, ends), clock := VirtualClock())
    rest = requests - simulated
    if not rest:
        return clock.now()
    steady_s = (ends[-1] - ends[simulated // 2]) / (simulated - 1 - simulated // 2)
    by_windows = [(requests - 1) // rate.starts * rate.per_s for rate in rates]
    return max([clock.now() + rest * steady_s, *by_windows])


def elapsed(limits: Limits) -> list[Rate]:
    """The windows that are no days or months of the calendar."""
    return [rate for rate in limits.rate if isinstance(rate, Rate)]


async def send_all(limits: Limits, requests: int, latency_s: Callable[[], float], ends: list[float]) -> None:
    """Send that many through the real limiter, which is told of answers that nobody gave."""
    now = asyncio.get_running_loop().time
    realm, left = Realm(limits, now), iter(range(requests))

    async def slot() -> None:
        for _ in left:
            async with realm.start(math.inf) as start:
                realm.left(start)
                await asyncio.sleep(latency_s())
                realm.answered(start)
            ends.append(now())

    async with asyncio.TaskGroup() as group:
        for _ in range(min(limits.concurrency, requests)):
            group.create_task(slot())


def plan_text(job: LoadedJob, found: Plan) -> str:
    """The plan for a screen."""
    past = found.past
    repeats = round(found.requests * past.repeated)
    more = f", and about {repeats:,} again, as in the last runs" if repeats else ""
    pages = f" ({past.pages:.1f} pages a row, as so far)" if past.pages > 1 else ""
    if job.fetch.pages and past.pages == 1.0:
        pages = " (for the first page of each row: how many there are is not known yet)"
    lines = [
        f"{job.name}: {found.asked:,} of {found.rows:,} rows would be asked for",
        f"  {found.requests:,} requests{pages}{more}; {found.hits:,} answers from the cache",
    ]
    lines += [f"  {text}" for text in window_texts(job.fetch.limits, found)]
    lines += [f"  {question_text(name, questions)}" for name, questions in found.questions.items()]
    seen = f"answers as quick as the last {len(past.latencies_s):,}"
    basis = seen if past.latencies_s else f"answers within {GUESSED_S} s, a guess: no run has been logged"
    lines.append(
        f"  takes {time_text(found.quantile_s(0.5))} (p50), {time_text(found.quantile_s(0.95))} (p95): {basis}"
    )
    return "\n".join(lines)


def question_text(name: str, questions: Questions) -> str:
    """`annotate[0].service: 3,000 requests for 3,000 questions; 12 answers from the cache`"""
    if questions.is_open:
        return f"{name}: a question for each record at most, which are not known yet, nor is how long they take"
    asked = len(questions.keys) - questions.hits
    return f"{name}: {questions.requests:,} requests for {asked:,} questions; {questions.hits:,} answers from the cache"


def window_texts(limits: Limits, found: Plan) -> Iterator[str]:
    """How much of each window the run would use, on the whole."""
    for rate in elapsed(limits):
        allowed = max(rate.starts, found.quantile_s(0.5) / rate.per_s * rate.starts)
        yield f"{rate.starts}/{rate.per_s:g} s: {found.requests / allowed:.0%} used"
    for quota in (rate for rate in limits.rate if isinstance(rate, CalendarRate)):
        takes = math.ceil(found.requests / quota.starts)
        share = f"{found.requests / quota.starts:.0%} used" if takes <= 1 else f"takes {takes:,} of them"
        yield f"{quota.starts:,} a {quota.unit}: {share}"


def time_text(seconds: float) -> str:
    """`4.2 s`, `12 min`, `3.5 h`, `2.1 days`"""
    for least, length, unit in ((2 * 86400, 86400, "days"), (2 * 3600, 3600, "h"), (120, 60, "min")):
        if seconds >= least:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
