"""The first few rows of a job, all the way to records on the screen. Nothing is written but the answers' cache.

What is sent counts in the realm as it does in a run, and what was kept is not asked for again, here or there.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice

from fetcher.check import plain_line, request_text
from fetcher.errors import FetcherError, Quarantined
from fetcher.job.expect import Expect
from fetcher.job.load import LoadedJob
from fetcher.launch import check_ledger_is_there, gravest, layout_of, make_folder, user_state
from fetcher.listing import rows_of
from fetcher.model import IDEMPOTENT, Outcome, Response, RowState
from fetcher.outline import lines_of, record_paths, shape_of
from fetcher.parse.formats import decoded
from fetcher.plan import ledger_of
from fetcher.redaction import redacted
from fetcher.rehearsal import Looked, rehearsal
from fetcher.stations import parsing_of_job

RECORDS_SHOWN = 3
LINE = 160
TEXT_SHOWN = 300
PATHS_SHOWN = 3
INDENT = "  "
UNREAD = frozenset({RowState.EMPTY, RowState.WAITING, RowState.QUARANTINED})
"""States of rows whose answer came, and had nothing in it that the job could read."""


@dataclass(frozen=True, slots=True)
class Look:
    """How much is looked at: so many rows from the first, so many pages of each."""

    rows: int = 3
    pages: int = 1


async def preview(job: LoadedJob, look: Look, environ: Mapping[str, str]) -> AsyncGenerator[Looked, None]:
    """The first rows, one after the other, with what became of each.

    Raises what would end a run: `ApiDown`, `JobError`, `DiskFailed`, `Contradiction`.
    """
    layout = layout_of(job)
    check_ledger_is_there(layout)
    make_folder(layout, layout.folder)
    make_folder(layout, layout.state)
    with ExitStack() as stack:
        ledger = stack.enter_context(ledger_of(layout.state / "ledger.sqlite", stack))
        async with rehearsal(job, layout, user_state(layout, environ)) as rehearsed:
            for row in islice(rows_of(job, ledger, time.time()), look.rows):
                yield await rehearsed.look(row, look.pages)


def preview_lines(job: LoadedJob, look: Look, environ: Mapping[str, str]) -> Iterator[str]:
    """The preview for a screen, row by row, each as soon as it is there."""
    with asyncio.Runner() as runner:
        rows = preview(job, look, environ)
        try:
            while found := runner.run(_next(rows)):
                yield "\n".join(row_lines(job, found))
        except BaseExceptionGroup as group:
            known, unknown = group.split(FetcherError)
            if known is None or unknown is not None:
                raise
            raise gravest(known) from group
        finally:
            runner.run(_closed(rows))


async def _next(rows: AsyncGenerator[Looked, None]) -> Looked | None:
    return await anext(rows, None)


async def _closed(rows: AsyncGenerator[Looked, None]) -> None:
    await rows.aclose()


def is_carried_out_twice(job: LoadedJob) -> bool:
    """Whether a run would send again what a preview has sent, although it must be sent once: HTTP keeps no POST."""
    asked = (one.fetch for one in (job, *job.asking.values()))
    return any(
        fetch.method not in IDEMPOTENT and not fetch.idempotency_key and fetch.cache.keep in ("none", "http")
        for fetch in asked
    )


def row_lines(job: LoadedJob, found: Looked) -> Iterator[str]:
    """One row: each request and answer, what they mean, and the first records."""
    yield found.row.key
    for exchange in found.exchanges:
        asked = request_text(exchange.request, job.secrets).partition("\n")[0]
        yield f"{INDENT}{asked}"
        yield f"{INDENT}{answer_text(exchange.response)}"
        if exchange.rule:
            yield f"{INDENT}{rule_text(job, exchange.rule)}"
    for outcome in found.outcomes:
        yield f"{INDENT}{outcome_text(outcome)}"
        for name, lines in (("", outcome.lines), *((f"{table.table}: ", table.lines) for table in outcome.tables)):
            for line in lines.splitlines()[:RECORDS_SHOWN]:
                yield f"{INDENT * 2}{name}{shortened(redacted(line.decode(), job.secrets))}"
    if not found.outcomes:
        yield f"{INDENT}nothing could be learned"
    elif is_unread(found):
        yield from (f"{INDENT}{line}" for line in outline_lines(job, found.exchanges[-1].response))


def rule_text(job: LoadedJob, rule: Expect) -> str:
    """`rule 2 of fetch.expect decides: retry`"""
    sections = {"fetch": job, **job.asking}
    place = next(name for name, one in sections.items() if rule in one.fetch.expect)
    return f"rule {sections[place].fetch.expect.index(rule) + 1} of {place}.expect decides: {rule.action}"


def is_unread(found: Looked) -> bool:
    """Whether an answer came that had nothing in it, without a rule that says so."""
    last, came = found.outcomes[-1], found.exchanges[-1:]
    return not last.records and last.state in UNREAD and any(exchange.rule is None for exchange in came)


def answer_text(response: Response) -> str:
    """`200 application/json, 4,711 bytes, from the cache`"""
    kind = response.header("Content-Type")
    place = "from the cache" if response.from_cache else "from the API"
    return plain_line(f"{response.status}{f' {kind}' if kind else ''}, {len(response.body):,} bytes, {place}")


def outcome_text(outcome: Outcome) -> str:
    """`done: 378 records`, `refused: HTTP 404 ...`"""
    if outcome.reason:
        return plain_line(f"{outcome.state}: {outcome.reason}")
    more = "; more pages follow" if not outcome.is_end else ""
    state = RowState.DONE if more else outcome.state
    page = f"page {outcome.page}" if outcome.page else str(state)
    side = "".join(f", {table.records:,} for {table.table}" for table in outcome.tables)
    return f"{page}: {outcome.records:,} record{'' if outcome.records == 1 else 's'}{side}{more}"


def outline_lines(job: LoadedJob, response: Response) -> Iterator[str]:
    """What an answer without records looks like, so that it shows where its records would be."""
    form = parsing_of_job(job).format
    try:
        shape = shape_of(decoded(form, response.body, response.header("Content-Type") or ""))
    except Quarantined:
        text = response.body[: 4 * TEXT_SHOWN].decode("utf-8", "replace")
        yield f"the answer begins: {shortened(redacted(' '.join(text.split()), job.secrets), TEXT_SHOWN)}"
        return
    yield "the answer has no records where the job looks; it looks like this:"
    yield from (f"{INDENT}{plain_line(redacted(line, job.secrets))}" for line in lines_of(shape))
    if paths := record_paths(shape):
        told = ", ".join(f"{path!r} ({count:,})" for path, count in paths[:PATHS_SHOWN])
        yield f"parse.records could be {plain_line(told)}"


def shortened(text: str, most: int = LINE) -> str:
    """A line that fits, with nothing in it that moves a cursor."""
    text = plain_line(text)
    return text if len(text) <= most else f"{text[: most - 3]}..."
