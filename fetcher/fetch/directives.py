"""The members of Cache-Control (RFC 9111 section 5.2) and of other fields that are lists. Pure.

What is malformed is read in the sense that keeps less: a lifetime that is none is zero, a field that is too long says
`no-store`.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache

LONGEST = 4096
"""Characters of a field with quotes in it; a longer one is no directive but an attack."""

MOST_S = 2**31
"""What any longer time counts as (section 1.2.2)."""

MEMBER = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,])+')
DIRECTIVE = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+)(?:=(.*))?", re.DOTALL)
DOUBT: Mapping[str, tuple[str | None, ...]] = {"no-store": (None,)}

Headers = tuple[tuple[str, str], ...]
Directives = Mapping[str, tuple[str | None, ...]]
"""{directive in lower case: its arguments, one for each time that it is there, None where it has none}."""


def lines_of(headers: Headers, name: str) -> Sequence[str]:
    """The values of a field, whose name is given in lower case, one a line."""
    return _by_name(headers).get(name, ()) if headers else ()


def names_of(headers: Headers) -> Collection[str]:
    """The names of the fields that are there, in lower case."""
    return _by_name(headers).keys()


@lru_cache(256)
def _by_name(headers: Headers) -> Mapping[str, Sequence[str]]:
    """Headers are looked into eight times for each use of a kept answer."""
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.lower(), []).append(value)
    return found


def members(lines: Iterable[str]) -> list[str]:
    """The members of a list field over all of its lines, empty ones left out; quoted commas part nothing."""
    text = ", ".join(lines)
    parts = MEMBER.findall(text) if '"' in text else text.split(",")
    return [part for member in parts if (part := member.strip(" \t"))]


def directives(headers: Headers) -> Directives:
    """What Cache-Control says."""
    lines = lines_of(headers, "cache-control")
    return directives_in(", ".join(lines)) if lines else {}


@lru_cache(256)
def directives_in(text: str) -> Directives:
    """The directives in the one text of all lines."""
    if len(text) > LONGEST and '"' in text:
        return DOUBT
    found: dict[str, tuple[str | None, ...]] = {}
    for member in members([text]):
        if match := DIRECTIVE.fullmatch(member):
            name = match[1].lower()
            found[name] = (*found.get(name, ()), match[2])
    return found


def seconds(argument: str | None) -> int | None:
    """A time in whole seconds, as a token or quoted; None where it is none."""
    text = argument or ""
    if len(text) > 2 and text[0] == text[-1] == '"':
        text = text[1:-1]
    if not (text.isascii() and text.isdigit()):
        return None
    return min(int(text), MOST_S) if len(text) < 20 else MOST_S


def seconds_told(said: Directives, name: str) -> int | None:
    """The time that a directive gives; 0 where it is malformed or said in two ways, None where it is not there."""
    arguments = said.get(name)
    if arguments is None:
        return None
    times = {seconds(argument) for argument in arguments}
    only = times.pop()
    return 0 if times or only is None else only


def request_directives(headers: Headers) -> Directives:
    """What a request asks of caches; `Pragma: no-cache` where it has no Cache-Control (section 5.4)."""
    said = directives(headers) if headers else {}
    if headers and not said and any(member.lower() == "no-cache" for member in members(lines_of(headers, "pragma"))):
        return {"no-cache": (None,)}
    return said
