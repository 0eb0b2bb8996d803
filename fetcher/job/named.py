"""The settings of a client without a job: what `[fetch]` says, by name. What is wrong is told as of a job file."""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from fetcher.job.faults import model_faults, section_keys
from fetcher.job.places import KeyPath
from fetcher.job.sections import Fetch
from fetcher.job.wording import dotted, hint

NAMES: dict[KeyPath, str] = {("limits", "rate"): "rate", ("cache", "keep"): "keep", ("cache",): "caching"}
"""Keys that the client has other names for."""

OWN = ("rate", "cache", "keep", "caching", "accept", "headers", "secrets", "now")
SECTION = ("limits", "retries", "timeout", "max_body", "expect", "hints", "auth", "allowed_hosts")
OFFERED = ("base_url", "cache", *SECTION)
"""Keys of `[fetch]` that a client has: others are a job's, or are nothing."""

WITHIN = {"limits": "limits", "retries": "retries", "cache": "caching"}


def settings_of(section: Mapping[str, object], accept: object = ()) -> Fetch:
    """The settings; `accept` are statuses that are answers. Raises `ValueError` with every fault: which argument, what
    was expected, what came."""
    told = [f"Client({name}=...): unknown argument{_instead(name)}" for name in section if name not in OFFERED]
    offered = {"url": "/", **{name: value for name, value in section.items() if name in OFFERED}}
    ruled = section.get("expect", ())
    if accept not in ((), []) and isinstance(ruled, Sequence):
        offered["expect"] = [*ruled, {"status": accept, "action": "accept"}]
    try:
        settings = Fetch.model_validate(offered)
    except ValidationError as error:
        secret = {("fetch", *found["loc"]) for found in error.errors() if found["loc"][:1] == ("auth",)}
        faults = model_faults(error, {"fetch": offered}, secret, under=("fetch",))
        raise ValueError("\n".join([*told, *(_told(path[1:], fault, ruled) for path, fault in faults)])) from None
    if told:
        raise ValueError("\n".join(told))
    return settings


def _told(path: KeyPath, message: str, ruled: object) -> str:
    if isinstance(ruled, Sequence) and path[:3] == ("expect", len(ruled), "status"):
        path = ("accept", *path[3:])
    known = next((length for length in (2, 1) if path[:length] in NAMES), 0)
    named = (NAMES[path[:known]], *path[known:]) if known else path
    return f"Client({dotted(named)}): {message}"


def _instead(name: str) -> str:
    """Where a key belongs that is none of the client's own."""
    keys = section_keys()
    for section, argument in WITHIN.items():
        if name in keys["fetch", section]:
            return f"; say {argument}={{{name!r}: ...}}"
    return hint(name, (*OWN, *SECTION))
