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

from fetcher.annotate.asked import Asked
from fetcher.annotate.from_job import flow_of
from fetcher.annotate.steps import Step, annotated
from fetcher.annotate.steps import load as load_steps
from fetcher.batches import Batches, Listed
from fetcher.compose.pages import place_of
from fetcher.engines.engine import Engine
from fetcher.engines.machine import cores, memory_share, no_processes
from fetcher.engines.patience import Limits
from fetcher.engines.processes import Processes
from fetcher.engines.scales import PLAIN_S_PER_BYTE, SHAPED_S_PER_BYTE, Scales
from fetcher.engines.threads import InThread
from fetcher.errors import RunStopped
from fetcher.fetch.budget import Budget
from fetcher.fetch.cache import Cache
from fetcher.fetch.caching import Policy
from fetcher.fetch.client import Client
from fetcher.fetch.crowd import Crowd
from fetcher.fetch.judging import Witness
from fetcher.fetch.limits import Realm
from fetcher.fetch.request_log import RequestLog
from fetcher.fetch.retries import Retries
from fetcher.fetch.usable import Usable
from fetcher.job.fingerprints import origins_of
from fetcher.job.load import LoadedJob
from fetcher.job.model import ModelSection
from fetcher.job.parse import Parse
from fetcher.ledger import Ledger, LedgerView
from fetcher.listing import CHUNK_ROWS
from fetcher.model import SETTLED, Outcome, RowState
from fetcher.parse.formats import Format
from fetcher.parse.from_job import parsing_of
from fetcher.parse.records import Answer, Parsed, Parsing, load, parse_item
from fetcher.prompts import Prompts
from fetcher.realms import health_of, realms_of, shared_by
from fetcher.redaction import redacted
from fetcher.repros import Repros
from fetcher.tally import Tally
from fetcher.write.segments import Layout

logger = logging.getLogger("fetcher")

LOST = "lost questions"
"""The fact that holds those of a generation of records that was given up."""

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
class Asker:
    """An annotator that asks, with a client of its own; `job` is the job as if this were its `[fetch]`."""

    asked: Asked
    job: LoadedJob
    client: Client
    batches: Batches | None = None


@dataclass(frozen=True, slots=True)
class Stations:
    """What carries a row from its request to its outcome, open. `settle` commits an outcome at once; `pause` waits
    (seconds), and says whether the row may go on.

    `askers` ask about records: of what is kept, that which was kept since `asks_since` (epoch seconds), and where the
    run `is_offline` nobody else. The questions that are `lost` were sent, and their answers never came.
    """

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
    askers: tuple[Asker, ...] = ()
    lost: set[str] = field(default_factory=set)
    asks_since: float = float("-inf")
    is_offline: bool = False

    def halt(self) -> None:
        """Send nothing more; what is under way goes on."""
        for client in (self.client, *(asker.client for asker in self.askers)):
            client.halt()

    async def end(self) -> None:
        """Send nothing more, and wait a little for what would be paid for in vain, and for answers that are here."""
        self.halt()
        with suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_END_S):
                await self.owed.none.wait()


Settle = Callable[[Outcome], Awaitable[None]]
Item = TypeVar("Item")
Result = TypeVar("Result")
Work = tuple[Callable[[Item], Result], Callable[[], None]]


async def open_stations(job: LoadedJob, around: Surroundings, settle: Settle, stack: AsyncExitStack) -> Stations:
    """The stations between reading and writing, open until the stack closes."""
    cache = await open_cache(job, around, stack)
    crowds: dict[str, Crowd] = {}
    client = await open_client(job, around, (cache, crowds), stack)
    is_trial = around.witness is not None
    parsing, asked = annotated_parsing(job, around.now(), is_trial=is_trial)
    engine = await stack.enter_async_context(engine_of(job.parse, parsing))
    stack.callback(lambda: around.tally.worked(engine.workers, engine.busy_s))
    if parsing.function:
        engine.warm_up()
    askers = []
    for own, told in zip(job.asking.values(), asked, strict=True):
        asking = await open_client(own, around, (cache, crowds), stack, usable=usable_of(own, told))
        askers.append(Asker(told, own, asking, batches_about(own, told, asking, around.budget)))
    return Stations(
        *(job, client, parsing, engine, settle, Owed(), partial(undisturbed, around.drain), around.tally),
        batches=batches_of(job, client),
        repros=None if is_trial else Repros(around.layout.state, job.secrets),
        askers=tuple(askers),
        lost=lost_in(around.ledger) if askers else set(),
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


async def open_cache(job: LoadedJob, around: Surroundings, stack: AsyncExitStack) -> Cache | None:
    """Where answers are kept, the job's and those to its annotators' questions alike; None where none are."""
    caches = [one.fetch.cache for one in (job, *job.asking.values())]
    sections = [cache for cache in caches if cache.keep != "none"]
    if not sections:
        return None
    sizes = [section.max_size for section in sections]
    most = None if None in sizes else sum(size or 0 for size in sizes)
    path = around.layout.state / "cache.sqlite"
    return await stack.enter_async_context(Cache(path, most, partial(unsettled, around.ledger), now=around.now))


async def open_client(
    job: LoadedJob,
    around: Surroundings,
    common: tuple[Cache | None, dict[str, Crowd]],
    stack: AsyncExitStack,
    *,
    usable: Usable | None = None,
) -> Client:
    """Who asks what the job's `[fetch]` says. `common` to all of a run are the cache, and who is under way in each
    realm."""
    cache, crowds = common
    retries = Retries(job.fetch.retries, around.chance, around.now, budget=around.budget)
    log = None
    if around.witness is None:
        log = RequestLog(runs_of(job, around.layout), around.now(), time.monotonic)
        await stack.enter_async_context(log)
    realms = [await stack.enter_async_context(realm) for realm in realms_for(job, around, crowds)]
    client = Client(
        *(job.fetch, cache, retries, around.tally),
        realms=realms,
        log=log,
        secrets=job.secrets,
        witness=around.witness,
        policy=policy_of(job),
        usable=usable,
    )
    return await stack.enter_async_context(client)


def runs_of(job: LoadedJob, layout: Layout) -> Path:
    """The folder of the request logs: an annotator that asks has one of its own, for it has limits of its own."""
    runs = layout.state / "runs"
    return runs if job.annotator is None else runs / f"{job.annotator}-{realms_of(job)[0][:8]}"


def usable_of(job: LoadedJob, asked: Asked) -> Usable | None:
    """Which answers can be used, where more has to be known than that they are answers. Of a batch that is seen part
    by part."""
    if not asked.chat or not isinstance(job.fetch, ModelSection) or job.fetch.batch:
        return None
    return Usable(asked.chat.fault, job.fetch.attempts)


def lost_in(ledger: LedgerView) -> set[str]:
    """The questions of annotators that were sent, and whose answers never came."""
    known = (ledger.remembered(LOST) or "").split()
    keys = [failure.key for failure in ledger.failures() if failure.state is RowState.UNKNOWN]
    chunks = (ledger.standings(keys[at : at + CHUNK_ROWS]) for at in range(0, len(keys), CHUNK_ROWS))
    standings = (standing for chunk in chunks for standing in chunk.values())
    return {*known, *(question for standing in standings for question in place_of(standing.position).in_flight)}


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


def annotated_parsing(job: LoadedJob, now: float, *, is_trial: bool = False) -> tuple[Parsing, tuple[Asked, ...]]:
    """The same, with what the job adds to its records at `now` (epoch seconds), and the annotators that ask. On trial
    nothing is left behind."""
    before, asked = flow_of(job.annotate, origins_of(job, now), job.folder, is_trial=is_trial)
    return with_annotators(parsing_of_job(job), before, asked), asked


def with_annotators(parsing: Parsing, before: tuple[Step, ...], asked: Sequence[Asked] = ()) -> Parsing:
    """Records are annotated where they are parsed: what comes back from a worker is lines. Where annotators ask, those
    behind each are a stage of their own, and the last one knows the key."""
    if asked:
        lines = Parsing(format=Format("ndjson", is_exact=True), keeps_digits=True, records="@")
        stages = [with_annotators(lines, one.then) for one in asked]
        stages[-1] = replace(stages[-1], key=parsing.key)
        parsing = replace(parsing, key=(), then=tuple(stages))
    if not before:
        return parsing
    is_slow = any(step.may_take_long for step in before)
    prepare = partial(load_steps, before)
    return replace(parsing, annotate=partial(annotated, before), prepare=prepare, is_slow=is_slow)


def batches_of(job: LoadedJob, client: Client) -> Batches | None:
    """What asks about several rows at once, where the job does."""
    if not job.fetch.batch:
        return None
    sharing = Listed(job.fetch, job.fetch.batch, job.annotator is None and job.parse.format == "ndjson")
    return Batches(job.fetch, job.fetch.batch, client, sharing=sharing)


def batches_about(job: LoadedJob, asked: Asked, client: Client, budget: Budget, *, attempts: int = 0) -> Batches | None:
    """What asks an annotator's questions several at once, where the job does. A record may be asked about so many
    `attempts` times, or as often as the job says, while its answers cannot be used."""
    if not (job.fetch.batch and asked.chat and isinstance(job.fetch, ModelSection)):
        return batches_of(job, client)
    prompts = Prompts(job.fetch, asked.chat, attempts or job.fetch.attempts)
    return Batches(job.fetch, job.fetch.batch, client, sharing=prompts, budget=budget)


def realms_for(job: LoadedJob, around: Surroundings, crowds: dict[str, Crowd]) -> list[Realm]:
    """What is asked, once for each of the job's keys."""
    keys, chance = realms_of(job), around.chance
    shared = shared_by(job, around.user_state, around.now) if around.user_state else [None] * len(keys)
    return [
        Realm(job.fetch.limits, time.monotonic, one, health_of(job, chance), crowd=crowds.setdefault(key, Crowd()))
        for key, one in zip(keys, shared, strict=True)
    ]


def policy_of(job: LoadedJob) -> Policy:
    """How answers are kept: apart for each set of secrets, and named without any."""
    identity = hashlib.sha256("\n".join(sorted(job.secrets)).encode()).hexdigest() if job.secrets else ""
    return Policy(identity=identity, label=partial(redacted, secrets=job.secrets))


def unsettled(ledger: Ledger, row_keys: Sequence[str]) -> set[str]:
    """Which of these rows may still need the answer that is kept for them."""
    standings = ledger.standings(row_keys)
    return {key for key in row_keys if key not in standings or standings[key].state not in SETTLED}
