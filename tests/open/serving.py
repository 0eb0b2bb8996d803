"""What the emulated APIs have in common: counts, limiters, a folder of recordings, and a thread to serve from.

Each module beside this one imitates one API after its specification. What a server has recorded is not part of the
project: it is read from `FETCHER_OPEN`, or from `shared/open` beside the project's folder, where that exists; what is
generated from a seed is always there.
"""

import json
import math
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web

from tests.stories.feeds import listening

ROOT = Path(__file__).parents[2]
E = TypeVar("E", bound="Emulator")
STATS = "/__stats"
STRICT = "fetch.limits.strict=true"
"""An override: windows as short as those of tests are kept even where a busy machine answers late."""


def recordings(api: str) -> Path:
    """The folder with what one API has recorded; a test that needs it is skipped where there is none."""
    folder = Path(os.environ.get("FETCHER_OPEN") or ROOT.parent / "shared" / "open") / api
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder}; FETCHER_OPEN names another place")
    return folder


def recorded(api: str, name: str) -> Any:
    """One recorded JSON document."""
    return json.loads((recordings(api) / name).read_text(encoding="utf-8"))


class Window:
    """A fixed window: it opens with a request, lets `most` through, refuses the rest; refused ones do not count.

    `filled` counts what each window that was opened has let through.
    """

    def __init__(self, most: int, lasts_s: float) -> None:
        self.most, self.lasts_s = most, lasts_s
        self.filled: list[int] = []
        self._opened_at = -math.inf

    def admits(self, cost: int = 1) -> bool:
        """Whether a request that costs so much may pass now; counts it if so."""
        if not self.filled or self.ends_in_s() <= 0:
            self._opened_at = time.monotonic()
            self.filled.append(0)
        if self.filled[-1] + cost > self.most:
            return False
        self.filled[-1] += cost
        return True

    @property
    def left(self) -> int:
        """What the window still lets through."""
        return self.most - self.filled[-1]

    def ends_in_s(self) -> float:
        """Seconds until the window ends; negative where it has."""
        return self._opened_at + self.lasts_s - time.monotonic()


class Bucket:
    """A bucket of `size` tokens that fills evenly, an empty one in `fills_in_s`."""

    def __init__(self, size: int, fills_in_s: float) -> None:
        self.size, self._per_s = size, size / fills_in_s
        self._held, self._at = float(size), time.monotonic()

    def held(self) -> float:
        """Tokens that are in it now."""
        now = time.monotonic()
        self._held, self._at = min(self.size, self._held + (now - self._at) * self._per_s), now
        return self._held

    def lacks_s(self, tokens: float) -> float:
        """Seconds until it holds so many; 0 where it does."""
        return max(0.0, (tokens - self.held()) / self._per_s)

    def take(self, tokens: int) -> None:
        """Take what it holds."""
        self._held = self.held() - tokens


@dataclass
class Emulator:
    """An API on loopback. `asked` are the requests in the order of their coming, `early` counts those that came while
    the server had told its client to wait."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    by_status: Counter[int] = field(default_factory=Counter)
    early: int = 0
    _told_until: float = -math.inf

    async def respond(self, request: web.Request) -> web.StreamResponse:
        if request.path == STATS:
            return web.json_response(self.stats())
        self.asked.append(request.path_qs)
        self.early += time.monotonic() < self._told_until
        response = await self.answer(request)
        self.by_status[response.status] += 1
        return response

    async def answer(self, request: web.Request) -> web.Response:
        """How this API answers."""
        raise NotImplementedError

    def tell_to_wait(self, wait_s: float) -> None:
        """Requests that come sooner count as early."""
        self._told_until = max(self._told_until, time.monotonic() + wait_s)

    def stats(self) -> dict[str, Any]:
        """The same that `GET /__stats` answers."""
        by_status = {str(status): count for status, count in sorted(self.by_status.items())}
        return {"requests": len(self.asked), "by_status": by_status, "early": self.early}

    def taken(self) -> list[str]:
        """What was asked since this was last called."""
        asked, self.asked = self.asked, []
        return asked


@contextmanager
def serving(emulator: E) -> Iterator[E]:
    """An emulated API that answers while the `with` lasts."""
    with listening(emulator):
        yield emulator
