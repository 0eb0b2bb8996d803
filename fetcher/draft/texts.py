"""Values as a job file writes them: text for a template, and how TOML quotes it."""

import json
import re
from dataclasses import dataclass
from datetime import date

from fetcher.template import escape_braces

_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Text:
    """A template's source: slots and `${...}` in it are meant."""

    source: str


def literal(text: str) -> Text:
    """Text that means itself, its braces escaped."""
    return Text(escape_braces(text))


def toml(value: object) -> str:
    """A value on one line. Raises TypeError for null, which TOML cannot say."""
    match value:
        case Text() | str():
            return quoted(value.source if isinstance(value, Text) else value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case date():
            return value.isoformat()
        case dict():
            return (
                "{ " + ", ".join(f"{key(name)} = {toml(item)}" for name, item in value.items()) + " }"
                if value
                else "{}"
            )
        case list():
            return f"[{', '.join(map(toml, value))}]"
    raise TypeError(f"TOML has no {value!r}")


def without_nulls(value: object) -> tuple[object, bool]:
    """A value without the keys that are null, and whether there were any."""
    match value:
        case dict():
            kept = {name: without_nulls(item) for name, item in value.items() if item is not None}
            return {name: item for name, (item, _) in kept.items()}, len(kept) < len(value) or any(
                was for _, was in kept.values()
            )
        case list():
            items = [without_nulls(item) for item in value if item is not None]
            return [item for item, _ in items], len(items) < len(value) or any(was for _, was in items)
    return value, False


def quoted(text: str) -> str:
    """A TOML string. JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def key(name: str) -> str:
    """A key, with quotes where TOML wants them."""
    return name if _BARE.fullmatch(name) else quoted(name)


def in_comment(text: str) -> str:
    """Text that stays in its comment, whoever wrote it."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
