"""What tells whether kept answers and parsed records still belong to the job as it is written now.

A fingerprint is a SHA-256 (hex); values go into it and cannot be read out of it. Orders that change no answer, of
query keys and of headers, change no fingerprint.
"""

import hashlib
import json

from fetcher.errors import Fault, JobError
from fetcher.job.load import LoadedJob
from fetcher.template import Template


def fetch_fingerprint(job: LoadedJob) -> str:
    """Over all that decides what is asked for. A new timeout, limit or address of the API leaves it as it is."""
    fetch = job.fetch
    return _digest(
        {
            "url": fetch.url.text,
            "query": {key: _plain(value) for key, value in fetch.query.items()},
            "headers": sorted((name.lower(), value.text) for name, value in fetch.headers.items()),
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
    return _digest(parts)


def _plain(value: Template | int | float | bool) -> str | int | float | bool:
    """JSON keeps the text "1", the number 1 and true apart."""
    return value.text if isinstance(value, Template) else value


def _digest(parts: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
