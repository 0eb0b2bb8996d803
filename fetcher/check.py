"""Everything about a job that can be known without a request. Sends nothing, and writes nothing into its folder."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from fetcher.compose.request import compose
from fetcher.engines.functions import function_of
from fetcher.enriching import question_about
from fetcher.errands import told_line
from fetcher.errors import DiskFailed, Refused
from fetcher.job.annotate import AnnotateSection
from fetcher.job.fingerprints import fetch_fingerprint, parse_fingerprint
from fetcher.job.load import LoadedJob
from fetcher.job.sections import Budget
from fetcher.job.units import Rate
from fetcher.launch import check_ledger_is_there, layout_of
from fetcher.ledger import LedgerView
from fetcher.listing import requests_seen, rows_of
from fetcher.model import IDEMPOTENT, Request, Row
from fetcher.parse.records import load
from fetcher.plan import ledger_of
from fetcher.progress import counted, on_screen
from fetcher.redaction import looks_secret, redacted
from fetcher.selection import PARSED
from fetcher.stations import parsing_of_job
from fetcher.template import Template

KEYS_SHOWN = 3
COMPOSED = 1000
"""So many rows are tried for whether they can be asked for at all."""

BODY_SHOWN = 400
INDENT = " " * 11


@dataclass(slots=True)
class Checked:
    """What a job would do. `refused` are the reasons why rows among the first cannot be asked for, by row key, or by
    their line of a table; `faults` the first ones of `bad_lines` that cannot be read. `questions` are what annotators
    ask, by their names."""

    rows: int = 0
    first_keys: list[str] = field(default_factory=list)
    last_key: str = ""
    first_row: Row | None = None
    request: Request | None = None
    refused: dict[str, str] = field(default_factory=dict)
    bad_lines: int = 0
    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    questions: dict[str, str] = field(default_factory=dict)


def check(job: LoadedJob, now: float) -> Checked:
    """What a run at `now` (epoch seconds) would do.

    Raises `JobError` where the job's own function cannot be loaded, `DiskFailed` where its folder cannot be written,
    `Contradiction` where records lie there without a ledger.
    """
    layout, found = layout_of(job), Checked()
    load_functions(job)
    check_ledger_is_there(layout)
    check_writable(layout.folder)
    with ExitStack() as stack:
        ledger = stack.enter_context(ledger_of(layout.state / "ledger.sqlite", stack))
        look_at_rows(found, job, ledger, now)
        found.questions = questions_in(job, found.first_row)
        found.warnings = [*changes(job, ledger), *cautions(job)]
    return found


def load_functions(job: LoadedJob) -> None:
    """Import the job's own functions. Raises `JobError` where one's file cannot be run."""
    load(parsing_of_job(job))
    for function in (section.function for section in job.annotate if section.function):
        function_of(str(function.file), function.name)


def look_at_rows(found: Checked, job: LoadedJob, ledger: LedgerView, now: float) -> None:
    """Count the rows, and compose the requests of the first ones."""
    for row in rows_of(job, ledger, now):
        found.rows += 1
        found.last_key = row.key
        found.first_row = found.first_row or row
        if found.rows <= KEYS_SHOWN:
            found.first_keys.append(row.key)
        if row.fault:
            found.bad_lines += 1
            found.faults += [redacted(row.fault, job.secrets)] if found.bad_lines <= KEYS_SHOWN else []
        if row.fault or found.rows > COMPOSED or not job.asks:
            continue
        try:
            request = compose(job.fetch, row)
            found.request = found.request or request
        except Refused as error:
            found.refused[told_line(row.line) if row.line else row.key] = redacted(str(error), job.secrets)


def questions_in(job: LoadedJob, row: Row | None) -> dict[str, str]:
    """What annotators ask about the first record where that is the row, else about any."""
    questions = {}
    for name, asking in job.asking.items():
        fetch = asking.fetch
        questions[name] = f"{fetch.method} {fetch.base_url}{fetch.url}"
        try:
            question = question_about(fetch, row) if row and not job.asks else None
            questions[name] = request_text(question, job.secrets) or questions[name]
        except Refused as error:
            questions[name] += f" (not for the first row: {redacted(str(error), job.secrets)})"
    return questions


def check_writable(folder: Path) -> None:
    """Raise `DiskFailed` unless files can be made in the folder, or the folder itself where it is not there yet."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        what = "files" if there == folder else f"the folder {folder}"
        raise DiskFailed(f"{there}: expected a folder that can be written, for {what}")


def changes(job: LoadedJob, ledger: LedgerView) -> Iterator[str]:
    """What is another than it was when rows were fetched."""
    seen = requests_seen(ledger)
    if seen and fetch_fingerprint(job) not in seen:
        yield "what is asked for has changed since the last run: every row is a new one, records of the earlier stay"
    parsed = sum(count for (state, _), count in ledger.counts().items() if state in PARSED)
    if parsed and ledger.remembered("parse") not in (None, parse_fingerprint(job)):
        yield f"the parse part has changed since {parsed:,} rows were parsed: a run wants --reparse or --as-is"


def cautions(job: LoadedJob) -> Iterator[str]:
    """What a run would do without a fault, and somebody may regret."""
    for name, asking in job.asking.items():
        yield from (caution.replace("fetch.", f"{name}.") for caution in cautions(replace(asking, annotate=())))
    if not job.asks:
        return
    fetch, limits = job.fetch, job.fetch.limits
    if not limits.rate:
        yield f"no fetch.limits.rate: nothing but {limits.concurrency} at once holds requests back; set it"
    yield from credentials_told(job)
    is_plain = fetch.base_url.startswith("http:") and not is_own_machine(fetch.base_url)
    if is_plain and job.secrets:
        yield "a secret is sent over http, where everybody on the way can read it; use https"
    if fetch.method not in IDEMPOTENT and not fetch.idempotency_key and fetch.on_unknown == "stop":
        yield (
            f"a {fetch.method} whose answer is lost is not sent again: its row waits for your decision; see "
            "fetch.on_unknown and fetch.idempotency_key"
        )
    if fetch.cache.keep == "none":
        yield "fetch.cache.keep = 'none': another parser would have to ask for everything again"


def credentials_told(job: LoadedJob) -> Iterator[str]:
    """Secrets that stand where they are seen."""
    places: list[tuple[str, Mapping[str, object]]] = [("query", job.fetch.query), ("headers", job.fetch.headers)]
    for section, values in places:
        for name, value in values.items():
            text = value.text if isinstance(value, Template) else str(value)
            is_hidden = any(secret in text for secret in job.secrets)
            if is_hidden and section == "query":
                yield f"fetch.query.{name} holds a secret: addresses end up in logs; a header is safer where allowed"
            elif not is_hidden and looks_secret(name) and not (isinstance(value, Template) and value.slots):
                yield f"fetch.{section}.{name} looks like a secret that stands in the file; write ${{secret:NAME}}"


def is_own_machine(url: str) -> bool:
    """Whether the address is this machine's own, which no network lies before."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_text(job: LoadedJob, found: Checked) -> str:
    """The check for a screen."""
    asked = request_text(found.request, job.secrets) if job.asks else "nobody: its rows are records"
    shown = [("rows", rows_text(found)), ("asks", asked or "nothing")]
    if pages := job.fetch.pages:
        shown.append(("pages", f"by {pages.kind}, at most {pages.most:,} a row"))
    if batch := job.fetch.batch:
        shown.append(("batches", f"up to {batch.size:,} rows in one request"))
    if poll := job.fetch.poll:
        shown.append(("waits", f"for a job at the server, {poll.longest / 3600:g} h at most"))
    if rules := job.fetch.expect:
        shown.append(("expects", ", ".join(rule.action for rule in rules)))
    if job.asks:
        shown += [("limits", limits_text(job)), ("answers", answers_text(job))]
    shown.append(("records", records_text(job)))
    for name, question in found.questions.items():
        asking = job.asking[name]
        shown.append(("asks", f"for each record, as {name} says\n{INDENT}{question}"))
        if batch := asking.fetch.batch:
            shown.append(("batches", f"up to {batch.size:,} records in one request"))
        shown += [("limits", limits_text(asking)), ("answers", answers_text(asking))]
    if added := [added_text(section) for section in job.annotate]:
        shown.append(("adds", ", ".join(added)))
    lines = [f"{job.name}: {job.file.name} can be run; nothing was sent"]
    lines += [f"  {what:<9}{text}" for what, text in shown]
    refused = list(found.refused.items())
    warnings = [f"row {key} would be refused: {on_screen(reason)}" for key, reason in refused[:KEYS_SHOWN]]
    if len(refused) > KEYS_SHOWN:
        warnings.append(f"and {len(refused) - KEYS_SHOWN:,} more of the first {min(found.rows, COMPOSED):,} rows")
    lines += [f"  warning  {warning}" for warning in [*fault_lines(found), *warnings, *found.warnings]]
    return "\n".join(lines)


def fault_lines(found: Checked) -> Iterator[str]:
    """The first lines that cannot be read, and how many more there are."""
    yield from (f"would be set aside: {on_screen(fault)}" for fault in found.faults)
    if more := found.bad_lines - len(found.faults):
        yield f"and {counted(more, 'more line')} that cannot be read"


def rows_text(found: Checked) -> str:
    """`100: 2024-01-01, 2024-01-02, 2024-01-03, ..., 2024-04-09`"""
    if not found.rows:
        return "none: there is nothing to ask for"
    keys, more = ", ".join(found.first_keys), found.rows - len(found.first_keys)
    return f"{found.rows:,}: {keys}" + (", ..." if more > 1 else "") + (f", {found.last_key}" if more else "")


def request_text(request: Request | None, secrets: frozenset[str]) -> str:
    """A request as a person reads it, a line each for its address, its headers and the beginning of its body."""
    if request is None:
        return ""
    lines = [f"{request.method} {request.url}", *(f"{name}: {value}" for name, value in request.headers)]
    if request.idempotency_key:
        lines.append(f"Idempotency-Key: {request.idempotency_key}")
    if request.body:
        body = request.body.decode("utf-8", "replace")
        lines.append(body if len(body) <= BODY_SHOWN else f"{body[:BODY_SHOWN]}... ({len(request.body):,} bytes)")
    return f"\n{INDENT}".join(plain_line(redacted(line, secrets)) for line in lines)


def plain_line(text: str) -> str:
    """Text that cannot move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def limits_text(job: LoadedJob) -> str:
    """`6/10 s, 5000/day; 32 at once; 10,000 requests in all`"""
    limits = job.fetch.limits
    rates = [
        f"{rate.starts}/{rate.per_s:g} s" if isinstance(rate, Rate) else f"{rate.starts}/{rate.unit}"
        for rate in limits.rate
    ]
    told = [", ".join(rates)] if rates else ["no rate"]
    told.append(f"{limits.concurrency} at once")
    if limits.max_requests:
        told.append(f"{limits.max_requests:,} requests in all")
    if limits.budget:
        told.append(f"{limits.budget.total:g} in all at {prices_text(limits.budget)}")
    return "; ".join(told)


def prices_text(budget: Budget) -> str:
    """`0.5 a request and 0.0002 a thousand`"""
    prices = ((budget.cost_per_request, "request"), (budget.cost_per_1000, "thousand"))
    return " and ".join(f"{price:g} a {unit}" for price, unit in prices if price)


def answers_text(job: LoadedJob) -> str:
    """How long answers are kept."""
    keep = job.fetch.cache.keep
    named = {"none": "are not kept", "forever": "kept for ever", "http": "kept as their headers say"}
    return named[keep] if isinstance(keep, str) else f"kept for {keep:,g} s"


def records_text(job: LoadedJob) -> str:
    """Where records come from, and go to."""
    function = job.parse.function
    place = f"{job.parse.format} at {job.parse.records}" if job.parse.records else job.parse.format
    place = place if job.asks else "the rows"
    made = f"by {function.name}() in {function.file.name}" if function else place
    made += "".join(f", {name} at {table.records}" for name, table in job.write.tables.items())
    state = "" if job.write.folder.is_dir() else " (not there yet)"
    return f"{made}, into {job.write.folder}{state}"


def added_text(section: AnnotateSection) -> str:
    """The fields that an annotator adds, as far as that is known."""
    if section.into:
        return section.into
    if section.asks:
        return ", ".join(name for name, _ in section.asks.take or ()) or "all that is answered"
    if section.lookup:
        return ", ".join(name for name, _ in section.lookup.pairs())
    if section.image:
        return ", ".join([*section.image.take, *(["saved"] if section.image.resize else [])])
    return "what its function gives"
