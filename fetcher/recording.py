"""Examples from what the API answers: the first rows are asked for, as `fetcher preview` does, and written down.

No secret gets into the file: not by value, not in headers, and not in what an answer itself calls a token.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from fetcher.draft.findings import format_of
from fetcher.draft.texts import key, toml
from fetcher.errors import DiskFailed, Fault, JobError
from fetcher.job.examples import examples_file
from fetcher.job.load import LoadedJob
from fetcher.model import Response, Row
from fetcher.playback import Played, played, stage
from fetcher.preview import Look, preview
from fetcher.redaction import MASK, forms_of, redacted
from fetcher.rehearsal import Looked

INLINE_BYTES = 8000
KEPT_HEADERS = re.compile(r"content-type|link|retry-after|.*rate-?limit.*", re.IGNORECASE)
TOLD_SECRETS = re.compile(
    r'("(?:access_?|refresh_?|id_?|auth_?|api_?|session_?)?(?:token|key|secret|password)"\s*:\s*")(?:[^"\\]|\\.){8,}(")',
    re.IGNORECASE,
)
PLAIN = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f]*")


@dataclass(frozen=True, slots=True)
class Recorded:
    """A row with its answers, nothing secret left in them, and what becomes of it."""

    row: Row
    answers: list[Response]
    played: Played


def record(job: LoadedJob, rows: int, environ: Mapping[str, str]) -> str:
    """Write the file of examples from the first rows; what was written, in words.

    Raises `JobError` where it is there already, what a preview raises, and `DiskFailed`.
    """
    path = examples_file(job.file)
    if path.exists():
        raise JobError(str(path), [Fault(0, 0, "", "is there already, and is not overwritten")])
    found = asyncio.run(_recorded(job, rows, environ))
    files: dict[str, bytes] = {}
    text = "\n".join([_opening(job), *(_example(job, recorded, path, files) for recorded in found)])
    try:
        for name, content in files.items():
            (path.parent / name).parent.mkdir(exist_ok=True)
            (path.parent / name).write_bytes(content)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise DiskFailed(f"{path}: {error.strerror}") from error
    examples = f"{len(found):,} example{'' if len(found) == 1 else 's'}"
    return f"{path}: {examples}; read them, then `fetcher test {job.file.name}`"


async def _recorded(job: LoadedJob, rows: int, environ: Mapping[str, str]) -> list[Recorded]:
    found = []
    async with stage(job) as staged, aclosing(preview(job, Look(rows), environ)) as looks:
        async for looked in looks:
            answers = [stripped(job, response) for response in answers_of(looked)]
            if answers:
                found.append(Recorded(looked.row, answers, await played(staged, looked.row, answers)))
    return found


def answers_of(looked: Looked) -> list[Response]:
    """The last answer to each request of a row."""
    return list({exchange.request.key: exchange.response for exchange in looked.exchanges}.values())


def stripped(job: LoadedJob, response: Response) -> Response:
    """An answer without secrets. One that is no text stays as it is; where it has a secret in it, nothing stays."""
    named = {job.fetch.pages.next_header} if job.fetch.pages else set()
    named |= {name for rule in job.fetch.expect for name in rule.header} | {job.fetch.limits.cost_header}
    wanted = {name.lower() for name in named if name}
    headers = tuple(
        (name, redacted(value, job.secrets))
        for name, value in response.headers
        if KEPT_HEADERS.fullmatch(name) or name.lower() in wanted
    )
    try:
        text = response.body.decode()
    except UnicodeDecodeError:
        has_secret = any(form.encode() in response.body for secret in job.secrets for form in forms_of(secret))
        return replace(response, headers=headers, body=b"" if has_secret else response.body)
    body = TOLD_SECRETS.sub(rf"\g<1>{MASK}\g<2>", redacted(text, job.secrets)).encode()
    return replace(response, headers=headers, body=body)


def _opening(job: LoadedJob) -> str:
    return (
        f"# Examples for {job.file.name}, recorded; `fetcher test {job.file.name}` holds them against the job.\n"
        "# Read them before they are shared: secrets of the job are left out, what an answer tells beside is not.\n"
    )


def _example(job: LoadedJob, recorded: Recorded, path: Path, files: dict[str, bytes]) -> str:
    return "\n".join(_lines(job, recorded, path, files)) + "\n"


def _lines(job: LoadedJob, recorded: Recorded, path: Path, files: dict[str, bytes]) -> Iterator[str]:
    row, found = recorded.row, recorded.played
    stem = f"{path.name.removesuffix('.toml')}/{re.sub(r'[^A-Za-z0-9._-]+', '_', row.key)[:80]}"
    values = ", ".join(f"{key(name)} = {toml(value)}" for name, value in row.values.items() if value is not None)
    request = found.requests[0]
    yield "[[example]]"
    yield f"name = {toml(row.key)}"
    yield f"row = {{ {values} }}"
    yield f"request = {toml(redacted(f'{request.method} {request.url}', job.secrets))}"
    if found.outcomes:
        yield f"state = {toml(str(found.outcomes[-1].state))}"
        if reason := found.outcomes[-1].reason:
            yield f"reason = {toml(reason)}"
    records = redacted(b"".join(outcome.lines for outcome in found.outcomes).decode(), job.secrets)
    if len(records) <= INLINE_BYTES:
        yield f"records = {toml_text(records)}"
    else:
        files[f"{stem}.records.jsonl"] = records.encode()
        yield f"records_file = {toml(f'{stem}.records.jsonl')}"
    for name, text in tables_of(found).items():
        yield f"tables.{key(name)} = {toml_text(redacted(text, job.secrets))}"
    for number, answer in enumerate(recorded.answers, 1):
        yield from ("", "[[example.answers]]", f"status = {answer.status}")
        if answer.headers:
            told = ", ".join(f"{key(name)} = {toml(value)}" for name, value in dict(answer.headers).items())
            yield f"headers = {{ {told} }}"
        yield _body(answer.body, f"{stem}.{number}.{format_of(answer) or 'body'}", files)


def tables_of(found: Played) -> dict[str, str]:
    """{name of a further table: its records as JSONL}"""
    told: dict[str, str] = {}
    for table in (table for outcome in found.outcomes for table in outcome.tables):
        told[table.table] = told.get(table.table, "") + table.lines.decode()
    return told


def _body(body: bytes, name: str, files: dict[str, bytes]) -> str:
    """In the file itself where it is short and text, else beside it."""
    if len(body) <= INLINE_BYTES:
        try:
            return f"body = {toml_text(body.decode())}"
        except UnicodeDecodeError:
            pass
    files[name] = body
    return f"file = {toml(name)}"


def toml_text(text: str) -> str:
    """Text over several lines as it is, where TOML can hold it so."""
    if "\n" in text and "'''" not in text and not text.endswith("'") and PLAIN.fullmatch(text):
        return f"'''\n{text}'''"
    return toml(text)
