"""What the kinds of tables have in common: where one lies, how it is written, and what a line of it is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from functools import partial
from pathlib import Path
from typing import NamedTuple

from fetcher.model import Value

SHOWN_CHARACTERS = 500
MOST_CHARACTERS = 1_000_000
"""A longer cell is a line that cannot be read: more likely a quote that nobody closed."""


class UnreadableTable(ValueError):
    """A file that is no table, or none of the kind that was said. The message names it, and what was expected."""


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table: its path (None is standard input), and how it is written. None is found out from its beginning.

    `columns` names the columns of a table that has no header, `sheet` that of a workbook; `query` asks a database. The
    first `skip` lines of a CSV, or rows of a sheet, are none of the table.
    """

    path: Path | None
    format: str = "csv"
    delimiter: str | None = None
    quote: str = '"'
    encoding: str | None = None
    columns: tuple[str, ...] = ()
    sheet: str = ""
    query: str = ""
    skip: int = 0

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.path.name if self.path else "standard input"


class Line(NamedTuple):
    """One line of a table, by the number of its first line of text, from 1. `fault` says why it cannot be read, and
    `content` then shows what stands there."""

    number: int
    values: Mapping[str, Value]
    fault: str = ""
    content: str = ""


@dataclass(frozen=True, slots=True)
class Cells:
    """Good lines of a table by their cells, one for each of `columns`; `numbers` are those of the lines."""

    columns: tuple[str, ...]
    numbers: Sequence[int]
    rows: Sequence[Sequence[str]]

    def cut(self, most: int) -> Iterator["Cells"]:
        """The same in parts of so many lines at most."""
        for at in range(0, len(self.rows), most):
            yield Cells(self.columns, self.numbers[at : at + most], self.rows[at : at + most])

    def values(self) -> list[dict[str, Value]]:
        """What each line holds."""
        named = partial(zip, self.columns)
        return [dict(named(cells)) for cells in self.rows]

    def lines(self) -> list[Line]:
        """The same as lines."""
        return [Line(number, values) for number, values in zip(self.numbers, self.values(), strict=True)]


def content_of(values: Mapping[str, Value]) -> str:
    """What a line holds, on one line of text; cut where it is long."""
    shown = ", ".join(f"{name}={value}" for name, value in values.items())
    return shown if len(shown) <= SHOWN_CHARACTERS else f"{shown[:SHOWN_CHARACTERS]}…"


def bad_line(number: int, fault: str, content: str) -> Line:
    """A line that cannot be read; bytes that no character stands for are shown as `\\xff`."""
    shown = content[:SHOWN_CHARACTERS].rstrip("\r\n")
    more = "…" if len(content) > SHOWN_CHARACTERS else ""
    readable = shown.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return Line(number, {}, fault, readable + more)


def plain_line(number: int, values: Mapping[str, object]) -> Line:
    """A line of values that need not be a row's; one with bytes that are no text cannot be read."""
    try:
        return Line(number, {name: plain(value) for name, value in values.items()})
    except UnicodeDecodeError:
        return bad_line(number, "holds bytes that are no text", str(values))


def plain(value: object) -> Value:
    """A value as a row may have it: those that only Python knows become text."""
    match value:
        case None | str() | bool() | int() | float() | date():
            return value
        case bytes():
            return value.decode()
        case time():
            return value.isoformat()
        case list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {str(name): plain(item) for name, item in value.items()}
    return str(value)
