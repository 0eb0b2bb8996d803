"""From a file to its TOML tree and the places of its keys, or to the one fault that stops it being TOML."""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from fetcher.errors import Fault, JobError
from fetcher.job import places
from fetcher.job.wording import dotted

_LOCATED = re.compile(
    r"(?P<message>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL
)
_REPEATED = ("Cannot overwrite", "Cannot declare", "Cannot mutate", "Duplicate inline table key")
_PLAIN = {
    "Invalid value": "this is not a TOML value; text needs quotes",
    "Expected newline or end of document after a statement": "something is left over after the value",
    "Invalid statement": "expected KEY = VALUE, a [section] or a # comment",
}


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a job file, untouched, and {key path: (line, column)}."""

    tree: dict[str, object]
    places: dict[places.KeyPath, places.Place]


def read_document(path: Path) -> Document:
    """Read a job file. Raises JobError with the one fault that stops it from being read as TOML."""
    text = _read_text(path)
    try:
        tree: dict[str, object] = tomllib.loads(text)
        return Document(tree, places.find_places(text))
    except RecursionError as error:
        raise JobError(str(path), [Fault(0, 0, "", "values are nested too deeply")]) from error
    # Not only TOMLDecodeError: a number of thousands of digits is a plain ValueError from tomllib.
    except ValueError as error:
        raise JobError(str(path), [_syntax_fault(str(error), text)]) from error


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise JobError(str(path), [Fault(0, 0, "", "there is no such file")]) from error
    except IsADirectoryError as error:
        raise JobError(str(path), [Fault(0, 0, "", "expected a job file, got a folder")]) from error
    except OSError as error:
        raise JobError(str(path), [Fault(0, 0, "", f"cannot be read: {error.strerror}")]) from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        good = content[: error.start].decode("utf-8-sig")
        message = "expected UTF-8 text; save the file as UTF-8"
        raise JobError(str(path), [Fault(*_end_of(good), "", message)]) from error


def _end_of(text: str) -> places.Place:
    return text.count("\n") + 1, len(text) - text.rfind("\n")


def _syntax_fault(error: str, text: str) -> Fault:
    located = _LOCATED.fullmatch(error)
    if located is None:
        return Fault(0, 0, "", error)
    message = located["message"]
    place = (int(located["line"]), int(located["column"])) if located["line"] else _end_of(text)
    if message.startswith(_REPEATED):
        return _repeated_fault(message, place, text)
    return Fault(*place, "", _PLAIN.get(message, f"not TOML: {message[:1].lower()}{message[1:]}"))


def _repeated_fault(message: str, place: places.Place, text: str) -> Fault:
    """tomllib notices a repeated key behind its value; a person looks for it where the key stands."""
    before = [mention for mention in places.find_mentions(text) if mention.is_own and mention.place <= place]
    if not before:
        return Fault(*place, "", f"not TOML: {message}")
    repeated = before[-1]
    first = next(mention for mention in before if mention.path == repeated.path)
    if first is repeated:
        return Fault(*repeated.place, dotted(repeated.path), "this key was already given another kind of value")
    return Fault(*repeated.place, dotted(repeated.path), f"this key is given twice; first in line {first.place[0]}")
