"""Which kept answer a request may have: Vary and the credential's identity (RFC 9111 sections 2 and 4.1). Pure."""

import hashlib
import re
from collections.abc import Iterable, Mapping

from fetcher.fetch.ages import told_date
from fetcher.fetch.directives import Headers, lines_of, members
from fetcher.fetch.stored import Stored
from fetcher.model import Request, Response

CREDENTIAL = re.compile(r"authorization|cookie|.*(?:api-?key|token|secret|session|credential|signature|password).*")
"""Names of header fields, in lower case, that say who asks. One too many costs a request, one too few an answer that
was for somebody else."""

ABSENT = ""
"""Stands for the value of a field that is not there; an empty one has a digest."""


def identity_of(headers: Headers, told: str = "") -> str:
    """Who asks, so that nobody gets an answer that was for another; no credential can be read out of it.

    `told` is what the caller knows of it besides: what stays the same while tokens are replaced.
    """
    if not headers and not told:
        return ""
    found = sorted(f"{name.lower()}: {value}" for name, value in headers if CREDENTIAL.fullmatch(name.lower()))
    return hashlib.sha256("\n".join([told, *found]).encode()).hexdigest() if found or told else ""


def varies_by(response: Response) -> list[str] | None:
    """Names of the request's header fields, in lower case, that chose this answer; None where anything may have."""
    names = [member.lower() for member in members(lines_of(response.headers, "vary"))]
    return None if "*" in names else sorted(set(names))


def selecting(response: Response, headers: Headers) -> Mapping[str, str] | None:
    """Digests of the request's fields that the answer names; None where no other request can match."""
    if not lines_of(response.headers, "vary"):
        return {}
    names = varies_by(response)
    return None if names is None else {name: digest(headers, name) for name in names}


def digest(headers: Headers, name: str) -> str:
    """What a field says, whatever its lines and its blanks; languages whatever their case and their order too."""
    lines = lines_of(headers, name)
    if not lines:
        return ABSENT
    said = [re.sub(r"[ \t]*;[ \t]*", ";", member) for member in members(lines)]
    if name == "accept-language":
        said = sorted(member.lower() for member in said)
    return hashlib.sha256(",".join(said).encode()).hexdigest()


def matches(stored: Stored, request: Request, identity: str) -> bool:
    """Whether the request would have got this answer too."""
    if stored.identity != identity or stored.selecting is None:
        return False
    return not stored.selecting or all(
        digest(request.headers, name) == value for name, value in stored.selecting.items()
    )


def newest(kept: Iterable[Stored]) -> Stored | None:
    """The one with the latest Date, where several match (section 4)."""
    several = list(kept)
    if len(several) == 1:
        return several[0]
    return max(several, key=lambda stored: (told_date(stored.response), stored.response.fetched_at), default=None)
