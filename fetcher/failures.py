"""Failed rows: what was asked and answered for each, and what a person decides about them.

Whoever decides holds the job's folder, so no run goes on meanwhile.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import NamedTuple

from fetcher.check import plain_line, request_text
from fetcher.compose.pages import place_of
from fetcher.compose.request import compose
from fetcher.enriching import question_about
from fetcher.errands import told_line
from fetcher.errors import NotKept, Quarantined, Refused
from fetcher.fetch.cache import Cache
from fetcher.generation import drop
from fetcher.job.fingerprints import parse_fingerprint
from fetcher.job.load import LoadedJob
from fetcher.launch import held, layout_of, note_lost
from fetcher.ledger import Ledger, LedgerView
from fetcher.listing import listed_of, listed_or_all, rows_of
from fetcher.model import Failure, Request, Response, Row, RowState
from fetcher.parse.records import Answer
from fetcher.progress import counted, local_time
from fetcher.redaction import redacted
from fetcher.repros import Repro, Repros, values_of, versions
from fetcher.stations import annotated_parsing, engine_of
from fetcher.status import view
from fetcher.tabular.lines import content_of

ANSWER_SHOWN = 400


class Retried(NamedTuple):
    """How many failed rows the next run asks for, and how many it does not, for the job lists them no more."""

    rows: int
    unlisted: int


def retry(job: LoadedJob, keys: Sequence[str], now: float) -> Retried:
    """Have the next run ask for failed rows again, all of them where no keys are given. Those that the job does not
    list at that time (epoch seconds) are left as they are: no run would ask for them.

    Raises `JobError` where its table cannot be read, and what `restated` raises.
    """
    with view(job) as ledger:
        failed = {failure.key for failure in ledger.failures() if not keys or failure.key in keys}
        listed = listed_of(job, ledger, failed, now)
    return Retried(restated(job, RowState.GAVE_UP, sorted(listed)), len(failed - listed))


def discard(job: LoadedJob, keys: Sequence[str]) -> int:
    """Settle failed rows for good: they are not asked for again and no run fails for them; returns how many."""
    return restated(job, RowState.DISCARDED, keys)


def restated(job: LoadedJob, state: RowState, keys: Sequence[str]) -> int:
    """Move failed rows to a state. Raises `Contradiction` where the job has no ledger, `Busy` where it is running."""
    with view(job):  # a job that never ran gets no ledger from this
        pass
    layout = layout_of(job)
    with held(layout), Ledger(layout.state / "ledger.sqlite") as ledger:
        note_lost(job, layout, ledger)
        drop(layout)
        count = ledger.restate(state, keys)
        Repros(layout.state).prune(ledger)
        return count


def listed_failures(job: LoadedJob, now: float) -> Iterator[tuple[Failure, bool]]:
    """Each failed row, and whether the job lists it at that time (epoch seconds), as far as that can be known.

    Raises `Contradiction` where the job has no ledger.
    """
    with view(job) as ledger:
        listed = listed_or_all(job, ledger, [failure.key for failure in ledger.failures()], now)
        yield from ((failure, failure.key in listed) for failure in ledger.failures())


def shown(job: LoadedJob, keys: Sequence[str], now: float) -> list[str]:
    """Each failed row (of all, or of those keys) with its request and the answer that was kept, secrets left out.

    The request is composed by the job as it is now. Raises `Contradiction` where the job has no ledger.
    """
    with view(job) as ledger:
        failures = {failure.key: failure for failure in ledger.failures() if not keys or failure.key in keys}
        asked = dict(requests_of(job, ledger, failures, now))
    return asyncio.run(_shown(job, list(failures.values()), asked))


@dataclass(frozen=True, slots=True)
class Reproduced:
    """What became of a record that was set aside, done again by the job as it is now: how many records it is, or why it
    still fails, with the traceback and what the parser printed."""

    records: int = 0
    reason: str = ""
    trace: str = ""
    printed: tuple[str, ...] = ()


def repro(job: LoadedJob, key: str) -> tuple[Repro, Reproduced]:
    """Parse the answer of a failed row again, in a worker of its own with the job's limits; settles nothing.

    Raises `NotKept` where no answer is kept that it could be done with.
    """
    return asyncio.run(_repro(job, key))


async def _repro(job: LoadedJob, key: str) -> tuple[Repro, Reproduced]:
    state = layout_of(job).state
    found = Repros(state).of(key)
    if found is None:
        raise NotKept(f"{key}: nothing is kept to parse again; `fetcher failures list` names the rows that failed")
    body = found.body
    if found.request_key and not found.stage and (state / "cache.sqlite").is_file():
        async with Cache(state / "cache.sqlite") as cache:
            kept = cache.find(found.request_key, float("-inf"))
            body = kept.body if kept else None
    if body is None:
        raise NotKept(f"{key}: its answer is not kept any more; `fetcher failures retry` has it asked for again")
    parsing, asked = annotated_parsing(job, found.at, is_trial=True)
    if found.stage > len(asked):
        raise NotKept(f"{key}: it failed behind an annotator that asks, and the job has fewer of these now")
    engine = engine_of(job.parse.model_copy(update={"workers": 1}), parsing)
    try:
        async with engine:
            parsed = await engine.run(Answer(body, values_of(found), found.content_type, stage=found.stage))
    except Quarantined as error:
        now = Reproduced(reason=redacted(str(error), job.secrets), trace=redacted(error.trace, job.secrets))
    else:
        now = Reproduced(parsed.records)
    return found, replace(now, printed=tuple(redacted(line, job.secrets) for line in engine.printed.last))


def requests_of(
    job: LoadedJob, ledger: LedgerView, failures: dict[str, Failure], now: float
) -> Iterator[tuple[str, Request | str]]:
    """What each row was asked with, at the page that it has reached, or why it cannot be asked for at all."""
    standings = ledger.standings(list(failures))
    left = len(failures)
    for row in rows_of(job, ledger, now):
        if left == 0:
            return
        if row.key in failures:
            left -= 1
            asked = next((one for name, one in job.asking.items() if f"{name}: " in failures[row.key].reason), job)
            yield row.key, request_of(asked, row, standings[row.key].position)


def request_of(job: LoadedJob, row: Row, position: str) -> Request | str:
    """The request for a row at a position of its pages, or the reason that there is none."""
    if row.fault:
        return "nobody: the line could not be read"
    if not job.asks:
        told = f" of {told_line(row.line)}: {content_of(row.values)}" if row.line else ""
        return redacted(f"nobody: the row is the record{told}", job.secrets)
    try:
        if job.annotator is None:
            return compose(job.fetch, row, place_of(position))
        return question_about(job.fetch, row) or "about a record that has more than its row"
    except Refused as error:
        return f"cannot be asked for: {redacted(str(error), job.secrets)}"


async def _shown(job: LoadedJob, failures: Sequence[Failure], asked: dict[str, Request | str]) -> list[str]:
    path = layout_of(job).state / "cache.sqlite"
    async with AsyncExitStack() as stack:
        cache = await stack.enter_async_context(Cache(path)) if path.is_file() else None
        found = []
        for failure in failures:
            request = asked.get(failure.key, "is no row of the job any more")
            kept = cache.find(request.key, float("-inf")) if cache and isinstance(request, Request) else None
            found.append("\n".join(failure_lines(job, failure, request, kept)))
        return found


def failure_lines(job: LoadedJob, failure: Failure, asked: Request | str, kept: Response | None) -> Iterator[str]:
    """One failed row: how it failed, what was asked, what was answered."""
    attempts = f"{failure.attempts} attempt{'' if failure.attempts == 1 else 's'}"
    yield f"{failure.key}: {failure.state}, {attempts}, {local_time(failure.settled_at)}"
    yield f"  reason   {plain_line(failure.reason)}"
    yield f"  asked    {asked if isinstance(asked, str) else request_text(asked, job.secrets)}"
    if kept:
        text = redacted(" ".join(kept.body[: 4 * ANSWER_SHOWN].decode("utf-8", "replace").split()), job.secrets)
        told = text if len(text) <= ANSWER_SHOWN else f"{text[:ANSWER_SHOWN]}..."
        kind = kept.header("Content-Type") or "no content type"
        yield f"  answer   {kept.status} {plain_line(kind)}, {len(kept.body):,} bytes, {local_time(kept.fetched_at)}"
        yield f"           {plain_line(told)}"


def reproduced_lines(job: LoadedJob, before: Repro, now: Reproduced) -> Iterator[str]:
    """How it failed in the run, and what it does now."""
    yield f"{before.row_key}: set aside {local_time(before.at)}: {plain_line(before.reason)}"
    changed = [
        f"{name} {version} then, {present.get(name, 'none')} now"
        for present in [versions()]
        for name, version in before.versions.items()
        if present.get(name) != version
    ]
    if before.parse_part != parse_fingerprint(job):
        changed.insert(0, "the job's parse part")
    if changed:
        yield f"  changed since: {', '.join(changed)}"
    yield from (f"  printed: {line}" for line in now.printed)
    if now.reason:
        yield f"  it still fails: {plain_line(now.reason)}"
        yield from (f"  {line}" for line in now.trace.splitlines())
        return
    ahead = "run --reparse" if before.request_key or not job.asks else "failures retry"
    yield f"  it works now: {counted(now.records, 'record')}; `fetcher {ahead}` takes the row up again"
