"""CSV and its like (RFC 4180), read by the standard library's reader: pandas names no line, and stops at a bad one.

A quote that is not closed must not swallow the rest: the line that opens it is bad, and reading goes on at the next.
"""

import csv
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TextIO

from fetcher.tabular.lines import MOST_CHARACTERS, Line, TableFile, UnreadableTable, bad_line
from fetcher.tabular.text import encoding_fault, opened

logger = logging.getLogger("fetcher")

DELIMITERS = (",", ";", "\t", "|")


class Lines:
    """Lines of text that remember what was taken since the last record, and take it back."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._text.readline(4 * MOST_CHARACTERS)
        if not line:
            raise StopIteration
        self.taken.append(line)
        self.number += 1
        return line

    def put_back(self, lines: list[str]) -> None:
        """Have these read again, before all others."""
        self._again.extendleft(reversed(lines))
        self.number -= len(lines)


def delimited_lines(file: TableFile) -> Iterator[Line]:
    """Every line that is not blank, good or bad. Raises `UnreadableTable` where there is no header to read."""
    csv.field_size_limit(max(csv.field_size_limit(), MOST_CHARACTERS))
    with opened(file, newline="") as (text, head):
        records = _records(Lines(text), file, file.delimiter or delimiter_of(head, file))
        columns = file.columns or _header(file, next(records, None))
        for number, fields, fault, content in records:
            broken = fault or encoding_fault(content)
            if not broken and len(fields) != len(columns):
                broken = f"expected {len(columns)} fields, got {len(fields)}"
            yield bad_line(number, broken, content) if broken else Line(number, dict(zip(columns, fields, strict=True)))


def delimited_columns(file: TableFile) -> tuple[str, ...]:
    """The names of the columns. Raises `UnreadableTable` where there are none to read."""
    with opened(file, newline="") as (text, head):
        records = _records(Lines(text), file, file.delimiter or delimiter_of(head, file))
        return file.columns or _header(file, next(records, None))


def delimiter_of(head: str, file: TableFile) -> str:
    """The delimiter of a table that begins so: that which its first line has most of, outside quotes."""
    if file.format == "tsv":
        return "\t"
    first = next((line for line in head.splitlines() if line.strip()), "")
    outside = "".join(first.split(file.quote)[::2]) if file.quote else first
    found = max(DELIMITERS, key=outside.count)
    if found != ",":
        logger.info("%s: columns are parted by %r, as its first line shows", file.name, found)
    return found


Record = tuple[int, list[str], str, str]
"""The number of its first line, its fields, what is wrong, and how it stands in the file."""


def _records(lines: Lines, file: TableFile, delimiter: str) -> Iterator[Record]:
    def begun() -> Iterator[list[str]]:
        if not file.quote:
            return csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)
        return csv.reader(lines, delimiter=delimiter, quotechar=file.quote, strict=True)

    reader = begun()
    while True:
        lines.taken.clear()
        number = lines.number + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            first, *rest = lines.taken
            lines.put_back(rest)
            reader = begun()
            yield number, [], _fault(error, delimiter), first
            continue
        if fields:
            yield number, fields, "", lines.taken[0] if len(lines.taken) == 1 else "".join(lines.taken)


def _fault(error: csv.Error, delimiter: str) -> str:
    message = str(error)
    if "unexpected end" in message:
        return "has a quote that is never closed"
    if "field limit" in message:
        return f"has a quote that is never closed, or a cell of more than {MOST_CHARACTERS:,} characters"
    if "expected after" in message:
        return (
            f"has text behind a closing quote; a quote within quotes is written twice, a cell ends with {delimiter!r}"
        )
    return message


def _header(file: TableFile, record: Record | None) -> tuple[str, ...]:
    if record is None:
        return named_columns(file, ())
    number, fields, fault, content = record
    if fault := fault or encoding_fault(content):
        raise UnreadableTable(f"{file.name}:{number}: the line with the names of the columns {fault}")
    return named_columns(file, fields)


def named_columns(file: TableFile, header: Sequence[str]) -> tuple[str, ...]:
    """The names of the columns; those that have none are named by their place. Raises `UnreadableTable` where two have
    the same one, or there are none."""
    if not header:
        raise UnreadableTable(f"{file.name} is empty; expected a line with the names of its columns")
    columns = tuple(name.strip() or f"column {place}" for place, name in enumerate(header, start=1))
    if repeated := next((name for name in columns if columns.count(name) > 1), None):
        raise UnreadableTable(f"{file.name} has two columns named '{repeated}'; read.table.columns can name them")
    return columns
