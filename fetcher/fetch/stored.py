"""One answer as it is kept for requests that HTTP allows it for, and what of its request it was given for."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from fetcher.model import Request, Response


@dataclass(frozen=True, slots=True)
class Stored:
    """A kept answer: asked for at `asked_at` (epoch seconds), for whoever has the same `identity` and the same digests
    of the `selecting` header fields, which its Vary has named; None where it is for nobody. `number` is the
    cache's own."""

    response: Response
    asked_at: float
    identity: str = ""
    selecting: Mapping[str, str] | None = None
    number: int = 0

    def with_body(self, body: bytes) -> "Stored":
        """The same answer, out of the cache, with a body."""
        it = self.response  # by hand: dataclasses.replace takes five times as long, and a hit is short
        answer = Response(it.status, it.headers, body, it.fetched_at, from_cache=True, url=it.url)
        return Stored(answer, self.asked_at, self.identity, self.selecting, self.number)

    def key(self, target: str) -> str:
        """What a later answer to the same variant of that target replaces."""
        parts = [target, self.identity]
        parts += ["*"] if self.selecting is None else [f"{name}={it}" for name, it in sorted(self.selecting.items())]
        if self.response.status == 206:
            parts.append(f"part {self.response.header('Content-Range')}")
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def target_of(request: Request) -> str:
    """What all answers to a URL are found by (SHA-256, hex): the method selects none of them, and a secret in the URL
    cannot be read out of it."""
    return hashlib.sha256(request.url.partition("#")[0].encode()).hexdigest()
