"""fetcher brings every record of a rate-limited HTTP API home: politely, at full speed, exactly once.

    from fetcher import load_job, run, read_records

The names load when they are asked for, so that `fetcher --help` and worker processes start quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fetcher.export.frames import read_records as read_records
    from fetcher.launch import load_job as load_job
    from fetcher.launch import run as run

_HOMES = {"load_job": "fetcher.launch", "read_records": "fetcher.export.frames", "run": "fetcher.launch"}

__all__ = ["load_job", "read_records", "run"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
