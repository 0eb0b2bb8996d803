"""CSV in its dialects becomes objects of text."""

import csv
import io
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from fetcher.errors import Quarantined


@dataclass(frozen=True, slots=True)
class Csv:
    """How a table is written.

    The header is the first line behind `skip` lines and the line that matches `header_after`; with `names` of the job's
    own there is none. `format_row`: a line behind the header that says how wide columns are, not a record. With
    `header_rows` and `data_rows` the first cell says what a line is: a header for the lines behind it, or data.
    """

    delimiter: str = ","
    quote: str = '"'
    skip: int = 0
    header_after: str = ""
    comment: str = ""
    names: tuple[str, ...] = ()
    format_row: bool = False
    header_rows: str = ""
    data_rows: str = ""


def table_of(dialect: Csv, text: str) -> list[dict[str, str]]:
    """The records. Raises `Quarantined` for lines that do not have as many cells as the header."""
    lines = _Lines(text, dialect)
    # For the whole process, and the cap on bodies holds anyway: the default takes a long text for a mistake.
    csv.field_size_limit(sys.maxsize)
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE
    quote = dialect.quote or None
    reader = csv.reader(lines, delimiter=dialect.delimiter, quotechar=quote, quoting=quoting, strict=True)
    try:
        return list(_records(dialect, reader, lines))
    except csv.Error as error:
        raise Quarantined(f"line {lines.number} is not CSV: {error}") from error


class _Lines(Iterator[str]):
    """The lines behind the preamble, without comments; a line that goes on with a quoted cell is none."""

    def __init__(self, text: str, dialect: Csv) -> None:
        self._lines = io.StringIO(text, newline="")
        self._comment = dialect.comment
        self.number = 0
        self.is_at_start = True
        self._pass_preamble(dialect)

    def __next__(self) -> str:
        while True:
            line = self._next_line()
            if not (self.is_at_start and self._comment and line.startswith(self._comment)):
                self.is_at_start = False
                return line

    def _next_line(self) -> str:
        line = next(self._lines)
        self.number += 1
        return line

    def _pass_preamble(self, dialect: Csv) -> None:
        for _ in range(dialect.skip):
            if next(self, None) is None:
                return
            self.is_at_start = True
        if not dialect.header_after:
            return
        before_header = re.compile(dialect.header_after)
        for line in self._lines:
            self.number += 1
            if before_header.search(line):
                return
        raise Quarantined(f"no line matches parse.csv.header_after, '{dialect.header_after}'")


def _records(dialect: Csv, reader: Iterator[list[str]], lines: _Lines) -> Iterator[dict[str, str]]:
    header = dialect.names
    has_format_row = dialect.format_row
    for cells in reader:
        lines.is_at_start = True
        if not cells:
            continue  # an empty line
        if dialect.data_rows and cells[0] not in (dialect.header_rows, dialect.data_rows):
            continue
        if dialect.header_rows == cells[0] != "" or not header:
            header = _header(cells)
        elif has_format_row:
            has_format_row = False
        elif len(cells) != len(header):
            raise Quarantined(f"line {lines.number} has {len(cells)} cells, expected {len(header)} as in the header")
        else:
            yield dict(zip(header, cells, strict=True))


def _header(cells: list[str]) -> tuple[str, ...]:
    names = tuple(name.strip() or f"column_{place}" for place, name in enumerate(cells, 1))
    for place, name in enumerate(names):
        if name in names[:place]:
            raise Quarantined(f"the header has '{name}' twice; parse.csv.names can give names of your own")
    return names
