"""What tells whether kept answers and parsed records still belong to the job as it is written now.

A fingerprint is a SHA-256 (hex); values go into it and cannot be read out of it. Orders that change no answer, of
query keys and of headers, change no fingerprint.
"""

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel

from fetcher.errors import Fault, JobError
from fetcher.job.annotate import AnnotateSection
from fetcher.job.fields import Way
from fetcher.job.load import LoadedJob
from fetcher.job.model import ModelSection
from fetcher.job.pages import Pages
from fetcher.job.section import Section
from fetcher.job.sections import Fetch
from fetcher.job.service import ServiceSection
from fetcher.provenance import Origin
from fetcher.redaction import redacted
from fetcher.template import Template

ASIDE = {"format", "records", "function", "timeout", "memory", "workers", "max_unpacked", "max_ratio"}
"""Keys of a parse section that change no record, or go into its fingerprint by themselves."""


def fetch_fingerprint(job: LoadedJob) -> str:
    """Over all that decides what is asked for.

    A new timeout or limit, a new secret, or another host of the API leaves it as it is.
    """
    return _digest(_asked(job.fetch, job.secrets))


def _asked(fetch: Fetch, secrets: frozenset[str]) -> dict[str, object]:
    later: dict[str, object] = {  # keys that came later are left out where unused: earlier folders stay as they are
        "method": None if fetch.method == "GET" else fetch.method,
        **{name: _plain(body, secrets) for name, body in bodies_of(fetch).items()},
        "poll": _plain(fetch.poll and fetch.poll.model_copy(update={"every": 0, "longest": 0}), secrets),
        "pages": fetch.pages and _asked_by(fetch.pages),
    }
    return {
        **{name: value for name, value in later.items() if value is not None},
        "path": urlsplit(fetch.base_url).path + redacted(fetch.url.identity, secrets),
        "query": {key: _plain(value, secrets) for key, value in fetch.query.items()},
        "headers": sorted((name.lower(), redacted(value.identity, secrets)) for name, value in fetch.headers.items()),
    }


def _asked_by(pages: Pages) -> dict[str, object]:
    told = pages.model_dump(exclude={"most", "resume"})
    unused = {"into": pages.into == "query", "least": pages.kind != "split"}  # keys that came later
    return {name: value for name, value in told.items() if not unused.get(name)}


def bodies_of(fetch: Fetch) -> dict[str, object]:
    """The body as the job has it, under the name of its kind, and how rows share it."""
    return {
        "json": fetch.json_,
        "form": fetch.form,
        "multipart": fetch.multipart,
        "graphql": fetch.graphql,
        "text": fetch.text and [fetch.text, fetch.content_type],
        "batch": fetch.batch and fetch.batch.model_copy(update={"size": 0}),
    }


def parse_fingerprint(job: LoadedJob) -> str:
    """Over all that decides which records an answer yields, the bytes of the function's file among it.

    Raises JobError where that file can no longer be read.
    """
    function = job.parse.function
    parts: dict[str, object] = {"format": job.parse.format, "records": job.parse.records}
    if function is not None:
        parts["function"] = [function.name, _hash_of(function.file, job, "parse.function")]
    if job.write.key:
        parts["key"] = job.write.key
    if job.fetch.skip:
        parts["skip"] = _plain(job.fetch.skip, job.secrets)
    if job.fetch.expect:
        parts["expect"] = [rule.model_dump(mode="json") for rule in job.fetch.expect]
    if shaping := _shaping(job):  # keys that came later: earlier folders stay as they are
        parts["shape"] = shaping
    if job.annotate:
        parts["annotate"] = [_annotator(section, job) for section in job.annotate]
    if job.write.tables:
        parts["tables"] = {name: _plain(_used(table), job.secrets) for name, table in job.write.tables.items()}
    return _digest(parts)


def origins_of(job: LoadedJob, now: float) -> tuple[Origin | None, ...]:
    """Where each annotator says that its fields are from, in a run that begins now (epoch seconds); None for those that
    say nothing. Raises JobError where a file of one can no longer be read."""
    at = datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return tuple(
        Origin(section.name, version_of(section, job), at) if section.provenance else None for section in job.annotate
    )


def version_of(section: AnnotateSection, job: LoadedJob) -> str:
    """What tells an annotator from what it was before: 8 hex digits over its keys and the bytes of its files."""
    return _digest({"annotator": _annotator(section.model_copy(update={"provenance": False}), job)})[:8]


def _annotator(section: AnnotateSection, job: LoadedJob) -> object:
    """An annotator, and the bytes of the files that it goes by."""
    files: list[Path | None] = [section.function.file] if section.function else []
    files += [table.table for table in (section.rules, section.lookup) if table]
    read = [_hash_of(file, job, "annotate") for file in files if file]
    names = {**dict(section), "function": section.function and section.function.name}
    for later in ("provenance", "frames"):  # earlier folders stay as they are
        names[later] = names[later] or None
    if section.asks:
        names |= {"service": _questions(section.asks, job), "model": None}
    told = {name: _plain(value, job.secrets) for name, value in names.items() if value is not None}
    return [told, read]


def _questions(asks: ServiceSection, job: LoadedJob) -> dict[str, object]:
    """What an annotator asks, what its answers mean, and what is taken of them."""
    rules = [rule.model_dump(mode="json") for rule in asks.expect]
    if isinstance(asks, ModelSection):
        asks = asks.model_copy(update={"batch": None})  # each record's question is what it is by itself
    told = {"asked": _asked(asks, job.secrets), "expect": rules, "take": asks.take}
    return told | ({"labels": asks.labels, "schema": asks.schema_} if isinstance(asks, ModelSection) else {})


def _hash_of(file: Path, job: LoadedJob, key: str) -> str:
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest()
    except OSError as error:
        message = f"'{file}' cannot be read: {error.strerror}"
        raise JobError(str(job.file), [Fault(0, 0, key, message)]) from error


def _shaping(job: LoadedJob) -> dict[str, object]:
    """The keys of the parse section that are used, but those that change no record or have their place elsewhere."""
    return {name: _plain(value, job.secrets) for name, value in _used(job.parse).items() if name not in ASIDE}


def _used(section: Section) -> dict[str, object]:
    """The keys of a section that say something else than their defaults."""
    fields = type(section).model_fields
    defaults = {name: field.get_default(call_default_factory=True) for name, field in fields.items()}
    return {name: value for name, value in section if value != defaults[name]}


def _plain(value: object, secrets: frozenset[str]) -> object:
    """JSON keeps the text "1", the number 1 and true apart."""
    match value:
        case Template():
            return redacted(value.identity, secrets)
        case BaseModel():
            return _plain(dict(value), secrets)
        case dict():
            return {name: _plain(item, secrets) for name, item in value.items()}
        case list() | tuple():
            return [_plain(item, secrets) for item in value]
        case Way():
            return ["path", value.up, value.path]
    return "" if isinstance(value, Path) else value  # of a file counts what it holds, not where it lies


def _digest(parts: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
