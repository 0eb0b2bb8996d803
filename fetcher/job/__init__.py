"""The job file: what it may say, what is wrong with it, and what it says.

The names load when they are asked for: `fetcher.job.units` must not cost the import of pydantic.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fetcher.job.cache import CacheSection as CacheSection
    from fetcher.job.file import Job as Job
    from fetcher.job.fingerprints import fetch_fingerprint as fetch_fingerprint
    from fetcher.job.fingerprints import parse_fingerprint as parse_fingerprint
    from fetcher.job.load import LoadedJob as LoadedJob
    from fetcher.job.load import load_job as load_job
    from fetcher.job.parse import Parse as Parse
    from fetcher.job.read import Dates as Dates
    from fetcher.job.read import Read as Read
    from fetcher.job.schema import job_schema as job_schema
    from fetcher.job.sections import Fetch, Limits, Retries
    from fetcher.job.write import Rotate as Rotate
    from fetcher.job.write import Write as Write

_HOMES = {
    **dict.fromkeys(("fetch_fingerprint", "parse_fingerprint"), "fingerprints"),
    **dict.fromkeys(("LoadedJob", "load_job"), "load"),
    "job_schema": "schema",
    "CacheSection": "cache",
    **dict.fromkeys(("Fetch", "Limits", "Retries"), "sections"),
    "Job": "file",
    **dict.fromkeys(("Read", "Dates"), "read"),
    **dict.fromkeys(("Write", "Rotate"), "write"),
    "Parse": "parse",
}

__all__ = [
    "CacheSection",
    "Dates",
    "Fetch",
    "Job",
    "Limits",
    "LoadedJob",
    "Parse",
    "Read",
    "Retries",
    "Rotate",
    "Write",
    "fetch_fingerprint",
    "job_schema",
    "load_job",
    "parse_fingerprint",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
