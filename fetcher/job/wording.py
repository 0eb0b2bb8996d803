"""How the messages about a job file put things: what came, what is known, what was probably meant."""

import difflib
from collections.abc import Iterable, Mapping
from datetime import datetime

LONGEST_SHOWN = 60


def shown(value: object) -> str:
    """A value as a message shows it, close to how TOML writes it, and short."""
    text = str(value)
    match value:
        case bool():
            text = text.lower()
        case str():
            text = repr(value if len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + "…")
        case datetime():
            text = value.isoformat()
        case Mapping():
            text = "a table"
        case list() | tuple():
            text = "a list"
    return text


def listed(names: Iterable[str], last: str = "and") -> str:
    """`a, b and c`."""
    *front, end = list(names) or ["nothing"]
    return f"{', '.join(front)} {last} {end}" if front else end


def guess(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return by_lower[close[0]] if close else None


def hint(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'rate'?` where something is close, else what is known there."""
    names = list(known)
    meant = guess(name, names)
    if meant is not None:
        return f"; did you mean '{meant}'?"
    return f"; known here: {listed(names)}" if names else ""


def dotted(path: Iterable[str | int]) -> str:
    """`fetch.limits.rate[0]`, with quotes round a key that TOML would quote."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            bare = part.replace("-", "").replace("_", "")
            key = part if bare.isascii() and bare.isalnum() else f'"{part}"'
            text += f".{key}" if text else key
    return text
