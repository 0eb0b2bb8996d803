"""What a request asks to go wrong, read from its path or its query.

    /fault/NAME;PARAMETER=VALUE;...,NAME,.../any/path?any=query      by base_url alone
    /any/path?any=query&__fault=NAME;PARAMETER=VALUE,NAME            by query alone

The fault that is named first is the outermost: it may spoil what the others have made, or never ask for it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from urllib.parse import unquote

Value = int | float | str

PREFIX = "/fault/"
QUERY = "__fault"
ALWAYS = 10**9
COMMON: Mapping[str, Value] = {
    "times": ALWAYS,
    "after": 0,
    "share": 1.0,
    "seed": 0,
    "from_s": 0.0,
    "for_s": float(ALWAYS),
    "per": "row",
}
"""What every fault takes: when it is met at all."""


class UnknownFault(ValueError):
    """A request asks for a fault, or for a parameter of one, that there is not."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One fault as a request asked for it; `text` is how it was written and stands for what it remembers."""

    name: str
    text: str
    values: Mapping[str, Value]

    def number(self, name: str) -> float:
        """A parameter that is a number."""
        return float(self.values[name])

    def whole(self, name: str) -> int:
        """A parameter that is a whole number."""
        return int(self.values[name])

    def words(self, name: str) -> str:
        """A parameter that is text."""
        return str(self.values[name])


def split_path(raw_path: str) -> tuple[str, str]:
    """(what is asked to go wrong, the path without it), both still percent-encoded."""
    if not raw_path.startswith(PREFIX):
        return "", raw_path
    spec, slash, path = raw_path[len(PREFIX) :].partition("/")
    return spec, slash + path or "/"


def read_spec(text: str, known: Mapping[str, Mapping[str, Value]]) -> Iterator[Asked]:
    """The faults that a text asks for, outermost first; `known` is {name: its parameters with their defaults}.

    Raises UnknownFault saying what is wrong, with the nearest name.
    """
    for one in filter(None, text.split(",")):
        name, *pairs = one.split(";")
        name = unquote(name)
        if name not in known:
            raise UnknownFault(f"no fault is called {name!r}{_nearest(name, known)}; see `fetcher serve --list-faults`")
        defaults = {**COMMON, **known[name]}
        yield Asked(name, one, {**defaults, **dict(_read_pair(name, pair, defaults) for pair in pairs)})


def _read_pair(fault: str, pair: str, defaults: Mapping[str, Value]) -> tuple[str, Value]:
    name, _, text = pair.partition("=")
    if name not in defaults:
        raise UnknownFault(f"{fault}: no parameter is called {name!r}{_nearest(name, defaults)}")
    kind = type(defaults[name])
    try:
        return name, kind(unquote(text))
    except ValueError as error:
        raise UnknownFault(f"{fault}: {name}: expected {kind.__name__}, got {text!r}") from error


def _nearest(name: str, known: Mapping[str, object]) -> str:
    near = get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""
