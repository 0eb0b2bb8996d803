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
WITHIN = {"limits": "limits", "retries": "retries", "cache": "caching"}


def settings_of(section: Mapping[str, object], accept: object = ()) -> Fetch:
    """The settings; `accept` are statuses that are answers. Raises `ValueError` with every fault: which argument, what
    was expected, what came."""
    ruled = section.get("expect", ())
    if accept not in ((), []) and isinstance(ruled, Sequence):
        section = {**section, "expect": [*ruled, {"status": accept, "action": "accept"}]}
    try:
        return Fetch.model_validate(section)
    except ValidationError as error:
        secret = {("fetch", *told["loc"]) for told in error.errors() if told["loc"][:1] == ("auth",)}
        faults = model_faults(error, {"fetch": section}, secret, under=("fetch",))
        raise ValueError("\n".join(_told(path[1:], message, ruled) for path, message in faults)) from None


def _told(path: KeyPath, message: str, ruled: object) -> str:
    if len(path) == 1 and message.startswith("unknown key"):
        return f"Client({path[0]}=...): unknown argument{_instead(str(path[0]))}"
    if isinstance(ruled, Sequence) and path[:3] == ("expect", len(ruled), "status"):
        path = ("accept", *path[3:])
    known = next((length for length in (2, 1) if path[:length] in NAMES), 0)
    name = ".".join(part for part in (NAMES.get(path[:known], ""), dotted(path[known:])) if part)
    return f"Client({name}): {message}"


def _instead(name: str) -> str:
    """Where a key belongs that is none of the client's own."""
    keys = section_keys()
    for section, argument in WITHIN.items():
        if name in keys["fetch", section]:
            return f"; say {argument}={{{name!r}: ...}}"
    return hint(name, (*OWN, *SECTION))
