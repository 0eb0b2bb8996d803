"""One answer as it is kept for requests that HTTP allows it for, and what of its request it was given for."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from fetcher.model import Request, Response

VARIANT, AFTER_VARIANT = "v", "w"
"""Stands in a key between what all answers to a URL are found by, in hex, and what only one of them is: keys are
sorted, so that those lie together."""

Plain = tuple[int, int, tuple[tuple[str, str], ...], bytes, float]
"""An answer's number, status, headers, body and time. Unlike an object, it drops out of the search for garbage."""


@dataclass(slots=True)
class Stored:
    """A kept answer: asked for at `asked_at` (epoch seconds), for whoever has the same `identity` and the same digests
    of the `selecting` header fields, which its Vary has named; None where it is for nobody. `number` is the
    cache's own. One that has no body is without it only here."""

    response: Response
    asked_at: float
    identity: str = ""
    selecting: Mapping[str, str] | None = None
    number: int = 0
    has_body: bool = True

    def with_body(self, body: bytes) -> "Stored":
        """The same answer, out of the cache, with its body."""
        it = self.response  # by hand: dataclasses.replace takes five times as long, and a hit is short
        answer = Response(it.status, it.headers, body, it.fetched_at, from_cache=True)
        return Stored(answer, self.asked_at, self.identity, self.selecting, self.number)

    @property
    def body_key(self) -> tuple[int, float]:
        """What its body is known by: the number of a row that is gone may be another's by now."""
        return self.number, self.response.fetched_at

    def key(self, target: str) -> str:
        """What a later answer to the same variant of that target replaces."""
        parts = [self.identity] if self.identity else []
        if self.selecting is None:
            parts.append("*")
        elif self.selecting:
            parts += [f"{name}={it}" for name, it in sorted(self.selecting.items())]
        if self.response.status == 206:
            parts.append(f"part {self.response.header('Content-Range')}")
        return target + VARIANT + (hashlib.sha256("\n".join(parts).encode()).hexdigest() if parts else "")


def span_of(target: str) -> tuple[str, str]:
    """From which key to before which the answers to a target lie."""
    return target + VARIANT, target + AFTER_VARIANT


def target_of(request: Request) -> str:
    """What all answers to a URL are found by (SHA-256, hex): the method selects none of them, and a secret in the URL
    cannot be read out of it."""
    return hashlib.sha256(request.url.partition("#")[0].encode()).hexdigest()
