"""`fetcher test`: the examples beside a job, held against what becomes of their answers. Sends nothing."""

import asyncio
import difflib
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from fetcher.check import plain_line
from fetcher.errors import Fault, FetcherError, JobError
from fetcher.job.examples import Answer, Example, examples_file, load_examples
from fetcher.job.load import LoadedJob
from fetcher.model import Response, Row
from fetcher.playback import Played, played, stage
from fetcher.provenance import PROVENANCE
from fetcher.redaction import redacted
from fetcher.rehearsal import Rehearsal

SECRET = re.compile(r"\$\{secret:([A-Za-z_]\w*)\}")
DIFF_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Tried:
    """An example and what is wrong with it, a line each; nothing where it holds."""

    name: str
    wrong: tuple[str, ...] = ()


def with_stand_ins(job_file: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment, with something in the place of secrets that are not set: no example needs one."""
    try:
        names = SECRET.findall(job_file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        names = []  # whoever loads the job tells
    return {**{name: f"stand-in-for-{name}" for name in names}, **{k: v for k, v in environ.items() if v}}


def try_examples(job: LoadedJob) -> list[Tried]:
    """Every example of the job. Raises `JobError` where there are none, or where their file is wrong."""
    path = examples_file(job.file)
    if not path.is_file():
        message = "there is no such file; `fetcher test JOB --record` makes one of the first rows' answers"
        raise JobError(str(path), [Fault(0, 0, "", message)])
    return asyncio.run(_tried(job, load_examples(path).example))


async def _tried(job: LoadedJob, examples: Sequence[Example]) -> list[Tried]:
    async with stage(job) as staged:
        return [await tried(staged, example) for example in examples]


async def tried(staged: Rehearsal, example: Example) -> Tried:
    """One example. What would end a run, but for a fault of the job itself, is what becomes of it."""
    row = Row(example.name, example.row)
    try:
        found = await played(staged, row, [response_of(answer) for answer in example.answers])
    except JobError:
        raise
    except FetcherError as error:
        reason = redacted(str(error), staged.stations.job.secrets)
        return Tried(example.name, (f"the run would end here: {plain_line(reason)}",))
    return Tried(example.name, tuple(differences(staged.stations.job, example, found)))


def response_of(answer: Answer) -> Response:
    """An answer as the client would give it."""
    body = answer.file or (answer.body or "").encode()
    if answer.json_ is not None:
        body = msgspec.json.encode(answer.json_)
    return Response(answer.status, tuple(answer.headers.items()), body, time.time())


def differences(job: LoadedJob, example: Example, found: Played) -> Iterator[str]:
    """What is other than the example says, a line each."""
    last = found.outcomes[-1] if found.outcomes else None
    state, reason = (str(last.state), last.reason) if last else ("nothing", "")
    asked = (
        redacted(f"{found.requests[0].method} {found.requests[0].url}", job.secrets) if found.requests else "nothing"
    )
    if example.request not in (None, asked):
        yield from (f"request: expected {example.request}", f"         got      {plain_line(asked)}")
    if example.state not in (None, state):
        yield f"state: expected {example.state}, got {plain_line(f'{state} {reason}'.rstrip())}"
    if example.reason is not None and example.reason not in reason:
        yield f"reason: expected {example.reason!r} in it, got {reason!r}"
    wanted = example.records if example.records_file is None else example.records_file.decode()
    yield from record_lines("records", wanted, b"".join(outcome.lines for outcome in found.outcomes))
    for name, expected in example.tables.items():
        tables = [table for outcome in found.outcomes for table in outcome.tables if table.table == name]
        yield from record_lines(f"tables.{name}", expected, b"".join(table.lines for table in tables))
    if found.unasked:
        verb = "was" if found.unasked == 1 else "were"
        yield f"{found.unasked} of the {len(example.answers)} answers {verb} not asked for"


def record_lines(what: str, expected: str | Sequence[Mapping[str, object]] | None, came: bytes) -> Iterator[str]:
    """A diff of records; nothing where they are the same, or where nothing is expected."""
    if expected is None:
        return
    wanted, got = texts_of(expected), texts_of(came.decode())
    if wanted == got:
        return
    yield f"{what}: expected {len(wanted):,}, got {len(got):,}"
    diff = [line for line in difflib.unified_diff(wanted, got, n=1, lineterm="") if line[:3] not in ("---", "+++")]
    yield from (plain_line(line) for line in diff[:DIFF_SHOWN])
    if len(diff) > DIFF_SHOWN:
        yield f"and {len(diff) - DIFF_SHOWN:,} more lines"


def texts_of(records: str | Sequence[Mapping[str, object]]) -> list[str]:
    """Each record as text that is the same wherever the records are: keys in order, 24.0 as 24."""
    found = [line for line in records.split("\n") if line.strip()] if isinstance(records, str) else records
    return [canonical(record) for record in found]


def canonical(record: object) -> str:
    """A record, or its JSON, as text, but for its provenance. What is no JSON stays as it is, and equals nothing."""
    if isinstance(record, str):
        try:
            record = msgspec.json.decode(record)
        except msgspec.DecodeError:
            return str(record)
    if isinstance(record, Mapping):
        record = {name: value for name, value in record.items() if name != PROVENANCE}
    return msgspec.json.encode(whole_numbers(record), order="sorted").decode()


def whole_numbers(value: object) -> object:
    """Floats without a fraction as integers."""
    match value:
        case float() if value.is_integer() and abs(value) < 2**53:
            return int(value)
        case Mapping():
            return {name: whole_numbers(item) for name, item in value.items()}
        case list() | tuple():
            return [whole_numbers(item) for item in value]
    return value


def tried_text(job: LoadedJob, found: Sequence[Tried]) -> str:
    """What came of the examples, for a screen or a log."""
    failed = sum(bool(example.wrong) for example in found)
    all_of_them = f"{len(found):,} example{'' if len(found) == 1 else 's'}"
    lines = [f"{examples_file(job.file).name}: {all_of_them}, {failed or 'none'} failed"]
    for example in found:
        lines.append(f"  {'FAILED' if example.wrong else 'ok    '} {example.name}")
        lines += [f"         {line}" for line in example.wrong]
    return "\n".join(lines)
