"""What a run is made of, opened and closed: its stations, and what it gets from outside."""

import asyncio
import hashlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from fetcher.annotate.from_job import steps_of
from fetcher.annotate.steps import Step, annotated
from fetcher.batches import Batches
from fetcher.engines.engine import Engine
from fetcher.engines.machine import cores, memory_share, no_processes
from fetcher.engines.patience import Limits
from fetcher.engines.processes import Processes
from fetcher.engines.scales import PLAIN_S_PER_BYTE, SHAPED_S_PER_BYTE, Scales
from fetcher.engines.threads import InThread
from fetcher.errors import RunStopped
from fetcher.fetch.adaptive import Adaptive
from fetcher.fetch.breaker import Breaker
from fetcher.fetch.budget import Budget
from fetcher.fetch.cache import Cache
from fetcher.fetch.caching import Policy
from fetcher.fetch.client import Client, Witness
from fetcher.fetch.health import Health
from fetcher.fetch.limits import Realm
from fetcher.fetch.request_log import RequestLog
from fetcher.fetch.retries import Retries
from fetcher.job.fingerprints import origins_of
from fetcher.job.load import LoadedJob
from fetcher.job.parse import Parse
from fetcher.ledger import Ledger
from fetcher.model import SETTLED, Outcome
from fetcher.parse.from_job import parsing_of
from fetcher.parse.records import Answer, Parsed, Parsing, load, parse_item
from fetcher.realms import shared_by
from fetcher.redaction import redacted
from fetcher.repros import Repros
from fetcher.tally import Tally
from fetcher.write.segments import Layout

logger = logging.getLogger("fetcher")

LONGEST_END_S = 8.0
"""Whoever stops a run waits ten seconds for it; two are left for the last commit."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a run gets from outside: its folders, its ledger, its counters, the time (epoch seconds), its chance.

    `user_state` is the folder that all jobs of the user share; without one, this run knows of no other. `budget` is
    what earlier runs have left of the job's retries.
    A run with a `witness`, which is told of each answer, is a look at a job: it leaves no log of its requests.
    Once `drain` is set no further row is begun; once `stop` is set, what is under way is dropped. `stopped_by` holds
    what has set it, where that was an answer.
    """

    layout: Layout
    ledger: Ledger
    tally: Tally
    now: Callable[[], float]
    chance: random.Random
    drain: asyncio.Event
    stop: asyncio.Event
    user_state: Path | None = None
    budget: Budget = field(default_factory=Budget)
    witness: Witness | None = None
    stopped_by: list[RunStopped] = field(default_factory=list)


class Owed:
    """Rows that a stop waits for, by key, until they have their outcome: those whose request must not be sent twice,
    from its being sent on, and those whose answer is here. `none` is set while there are none."""

    def __init__(self) -> None:
        self._keys: set[str] = set()
        self.none = asyncio.Event()
        self.none.set()

    def add(self, key: str) -> None:
        """That row's request is about to leave, or its answer is about to be parsed."""
        self._keys.add(key)
        self.none.clear()

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def discard(self, key: str) -> None:
        """That row has its outcome, if it was ever sent."""
        self._keys.discard(key)
        if not self._keys:
            self.none.set()


@dataclass(frozen=True, slots=True)
class Stations:
    """What carries a row from its request to its outcome, open. `settle` commits an outcome at once; `pause` waits
    (seconds), and says whether the row may go on."""

    job: LoadedJob
    client: Client
    parsing: Parsing
    engine: Engine[Answer, Parsed]
    settle: Callable[[Outcome], Awaitable[None]]
    owed: Owed
    pause: Callable[[float], Awaitable[bool]]
    tally: Tally
    batches: Batches | None = None
    repros: Repros | None = None

    async def end(self) -> None:
        """Send nothing more, and wait a little for what would be paid for in vain, and for answers that are here."""
        self.client.halt()
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_END_S):
                await self.owed.none.wait()


Settle = Callable[[Outcome], Awaitable[None]]
Item = TypeVar("Item")
Result = TypeVar("Result")
Work = tuple[Callable[[Item], Result], Callable[[], None]]


async def open_stations(job: LoadedJob, around: Surroundings, settle: Settle, stack: AsyncExitStack) -> Stations:
    """The stations between reading and writing, open until the stack closes."""
    cache = None
    if job.fetch.cache.keep != "none":
        kept = Cache(
            around.layout.state / "cache.sqlite",
            job.fetch.cache.max_size,
            partial(unsettled, around.ledger),
            now=around.now,
        )
        cache = await stack.enter_async_context(kept)
    retries = Retries(job.fetch.retries, around.chance, around.now, budget=around.budget)
    log = None
    if around.witness is None:
        log = RequestLog(around.layout.state / "runs", around.now(), time.monotonic)
        await stack.enter_async_context(log)
    realms = [await stack.enter_async_context(realm) for realm in realms_for(job, around)]
    client = Client(
        *(job.fetch, cache, retries, around.tally),
        realms=realms,
        log=log,
        secrets=job.secrets,
        witness=around.witness,
        policy=policy_of(job),
    )
    await stack.enter_async_context(client)
    parsing = annotated_parsing(job, around.now(), is_trial=around.witness is not None)
    engine = await stack.enter_async_context(engine_of(job.parse, parsing))
    stack.callback(lambda: around.tally.worked(engine.workers, engine.busy_s))
    if parsing.function:
        engine.warm_up()
    pause = partial(undisturbed, around.drain)
    repros = None if around.witness else Repros(around.layout.state, job.secrets)
    return Stations(
        *(job, client, parsing, engine, settle, Owed(), pause, around.tally),
        batches=batches_of(job, client),
        repros=repros,
    )


def engine_of(told: Parse, parsing: Parsing) -> Engine[Answer, Parsed]:
    """Where answers are parsed."""
    scales = Scales(PLAIN_S_PER_BYTE if parsing.is_plain else SHAPED_S_PER_BYTE)
    return engine_for(told, (partial(parse_item, parsing), partial(load, parsing)), scales)


def engine_for(told: Parse, work: Work[Item, Result], scales: Scales, spared: int = 0) -> Engine[Item, Result]:
    """Where a job's work on items is done; `spared` are processors that something else needs. `work` is the function,
    and what a worker loads for it."""
    workers = max(1, cores() - spared) if told.workers is None else told.workers
    if workers and (fault := no_processes()):
        logger.warning("answers are parsed in a thread, without a limit of memory: %s", fault)
        workers = 0
    if not workers:
        return InThread(*work, timeout_s=told.timeout, scales=scales)
    limits = Limits(told.timeout, told.memory or memory_share(workers))
    return Processes(*work, workers=workers, limits=limits, scales=scales)


async def undisturbed(drain: asyncio.Event, wait_s: float) -> bool:
    """Wait so long; False as soon as the run begins nothing new any more."""
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_s):
            await drain.wait()
            return False
    return True


def parsing_of_job(job: LoadedJob) -> Parsing:
    """How answers of the job become records of its tables."""
    tables = {name: (table, table.key) for name, table in job.write.tables.items()}
    return parsing_of(job.parse, job.write.key, job.fetch.pages, tables)


def annotated_parsing(job: LoadedJob, now: float, *, is_trial: bool = False) -> Parsing:
    """The same, with what the job adds to its records at `now` (epoch seconds). On trial nothing is left behind."""
    steps = steps_of(job.annotate, origins_of(job, now), job.folder, is_trial=is_trial)
    return with_annotators(parsing_of_job(job), steps)


def with_annotators(parsing: Parsing, steps: tuple[Step, ...]) -> Parsing:
    """Records are annotated where they are parsed: what comes back from a worker is lines."""
    if not steps:
        return parsing
    is_slow = any(step.may_take_long for step in steps)
    return replace(parsing, annotate=partial(annotated, steps), is_slow=is_slow)


def batches_of(job: LoadedJob, client: Client) -> Batches | None:
    """What asks about several rows at once, where the job does."""
    is_lines = job.parse.format == "ndjson"
    return Batches(job.fetch, job.fetch.batch, client, is_lines=is_lines) if job.fetch.batch else None


def realms_for(job: LoadedJob, around: Surroundings) -> list[Realm]:
    """What is asked, once for each of the job's keys."""
    count = job.fetch.auth.count if job.fetch.auth else 1
    shared = shared_by(job, around.user_state, around.now) if around.user_state else [None] * count
    return [Realm(job.fetch.limits, time.monotonic, one, health_of(job, around)) for one in shared]


def policy_of(job: LoadedJob) -> Policy:
    """How answers are kept: apart for each set of secrets, and named without any."""
    identity = hashlib.sha256("\n".join(sorted(job.secrets)).encode()).hexdigest() if job.secrets else ""
    return Policy(identity=identity, label=partial(redacted, secrets=job.secrets))


def unsettled(ledger: Ledger, row_keys: Sequence[str]) -> set[str]:
    """Which of these rows may still need the answer that is kept for them."""
    standings = ledger.standings(row_keys)
    return {key for key in row_keys if key not in standings or standings[key].state not in SETTLED}


def health_of(job: LoadedJob, around: Surroundings) -> Health:
    """What is watched of the API."""
    retries, limits = job.fetch.retries, job.fetch.limits
    breaker = Breaker(retries.first_wait, retries.longest_wait, around.chance)
    return Health(breaker, Adaptive(limits.concurrency, limits.adaptive))
