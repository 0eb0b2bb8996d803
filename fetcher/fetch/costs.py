"""What an answer says that its request has cost. Pure; a cost that cannot be read is none."""

import re
from typing import Protocol

import jmespath
import msgspec

from fetcher.model import Response

LARGEST_BODY = 64_000
"""A larger body is not looked into: that would hold the loop up, and costs come in small answers."""

MOST = 10**9
WHOLE = re.compile(r"[0-9]{1,9}")


class CostSettings(Protocol):
    """The part of a job that says where an answer tells its cost."""

    @property
    def cost_header(self) -> str | None: ...
    @property
    def cost_path(self) -> str | None: ...


def told_cost(response: Response, settings: CostSettings) -> int | None:
    """The cost that an answer tells of, a whole number; None where it tells of none."""
    if settings.cost_header:
        text = (response.header(settings.cost_header) or "").strip()
        return int(text) if WHOLE.fullmatch(text) else None
    if settings.cost_path and len(response.body) <= LARGEST_BODY:
        try:
            found = jmespath.search(settings.cost_path, msgspec.json.decode(response.body))
        # ValueError: both libraries' own errors, and text that is not UTF-8.
        except (ValueError, TypeError, RecursionError):
            return None
        if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= MOST:
            return found
    return None
