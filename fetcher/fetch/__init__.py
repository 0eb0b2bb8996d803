"""Fetching: limits, retries and the cache round one exchange over HTTP.

    from fetcher.fetch import Client

The names load when they are asked for, so that `fetcher --help` and worker processes start quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fetcher.fetch.standalone import Answer as Answer
    from fetcher.fetch.standalone import Client as Client

__all__ = ["Answer", "Client"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("fetcher.fetch.standalone"), name)
