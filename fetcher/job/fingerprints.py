"""What tells whether kept answers and parsed records still belong to the job as it is written now.

A fingerprint is a SHA-256 (hex); values go into it and cannot be read out of it. Orders that change no answer, of
query keys and of headers, change no fingerprint.
"""

import hashlib
import json
from urllib.parse import urlsplit

from fetcher.errors import Fault, JobError
from fetcher.job.load import LoadedJob
from fetcher.redaction import redacted
from fetcher.template import Template


def fetch_fingerprint(job: LoadedJob) -> str:
    """Over all that decides what is asked for.

    A new timeout or limit, a new secret, or another host of the API leaves it as it is.
    """
    fetch, secrets = job.fetch, job.secrets
    later: dict[str, object] = {  # keys that came later are left out where unused: earlier folders stay as they are
        "method": None if fetch.method == "GET" else fetch.method,
        "json": _plain(fetch.json_, secrets),
        "pages": fetch.pages and fetch.pages.model_dump(exclude={"most", "resume"}),
    }
    return _digest(
        {
            **{name: value for name, value in later.items() if value is not None},
            "path": urlsplit(fetch.base_url).path + redacted(fetch.url.text, secrets),
            "query": {key: _plain(value, secrets) for key, value in fetch.query.items()},
            "headers": sorted((name.lower(), redacted(value.text, secrets)) for name, value in fetch.headers.items()),
        }
    )


def parse_fingerprint(job: LoadedJob) -> str:
    """Over all that decides which records an answer yields, the bytes of the function's file among it.

    Raises JobError where that file can no longer be read.
    """
    function = job.parse.function
    parts: dict[str, object] = {"format": job.parse.format, "records": job.parse.records}
    if function is not None:
        try:
            source = function.file.read_bytes()
        except OSError as error:
            message = f"'{function.file}' cannot be read: {error.strerror}"
            raise JobError(str(job.file), [Fault(0, 0, "parse.function", message)]) from error
        parts["function"] = [function.name, hashlib.sha256(source).hexdigest()]
    if job.write.key:
        parts["key"] = job.write.key
    if job.fetch.expect:
        parts["expect"] = [rule.model_dump(mode="json") for rule in job.fetch.expect]
    if job.write.tables:
        tables = job.write.tables.items()
        parts["tables"] = {name: table.model_dump(mode="json", exclude_defaults=True) for name, table in tables}
    return _digest(parts)


def _plain(value: object, secrets: frozenset[str]) -> object:
    """JSON keeps the text "1", the number 1 and true apart."""
    match value:
        case Template():
            return redacted(value.text, secrets)
        case dict():
            return {name: _plain(item, secrets) for name, item in value.items()}
        case list():
            return [_plain(item, secrets) for item in value]
    return value


def _digest(parts: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
