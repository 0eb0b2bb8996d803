"""CSV and its like (RFC 4180), read by the standard library's reader: pandas names no line, and stops at a bad one.

A quote that is not closed must not swallow the rest: the line that opens it is bad, and reading goes on at the next.
Lines are read by the block. One in which something is wrong, or whose last record goes on behind it, is gone through
again, record by record.
"""

import csv
import io
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, TextIO

from fetcher.tabular.lines import MOST_CHARACTERS, Cells, Line, TableFile, UnreadableTable, bad_line
from fetcher.tabular.text import encoding_fault, opened

if TYPE_CHECKING:
    from _csv import Reader as CsvReader

logger = logging.getLogger("fetcher")

BLOCK_CHARACTERS = 1 << 19
BLOCK_LINES = 200
MOST_ROWS = 4000
"""At once, however short they are."""

DELIMITERS = (",", ";", "\t", "|")

Reader = Callable[[Iterable[str]], "CsvReader"]
"""What reads records from lines."""


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

    def put_back(self, lines: Sequence[str]) -> None:
        """Have these read again, before all others."""
        self._again.extendleft(reversed(lines))
        self.number -= len(lines)

    def again(self, block: str) -> None:
        """Have a block read line by line."""
        self._again.extend(io.StringIO(block, newline=""))

    @property
    def is_put_back(self) -> bool:
        """Whether there are lines to be read again."""
        return bool(self._again)

    def block(self) -> str:
        """The text of the next lines, whole; nothing at the end. Not while there are lines to be read again."""
        if not self._text.seekable():  # a pipe may give so many lines now, and the next one never
            return "".join(self._text.readline(4 * MOST_CHARACTERS) for _ in range(BLOCK_LINES))
        text = self._text.read(BLOCK_CHARACTERS)
        return text + self._text.readline(4 * MOST_CHARACTERS) if text else ""


def delimited_lines(file: TableFile) -> Iterator[Line]:
    """Every line that is not blank, good or bad. Raises `UnreadableTable` where there is no header to read."""
    for part in delimited_parts(file):
        yield from part.lines() if isinstance(part, Cells) else part


def delimited_parts(file: TableFile) -> Iterator[Cells | list[Line]]:
    """The same, many good ones at once as their cells."""
    csv.field_size_limit(max(csv.field_size_limit(), MOST_CHARACTERS))
    with opened(file, newline="") as (text, head):
        if not file.delimiter and file.format == "csv" and (parted := delimiter_of(head, file)) != ",":
            logger.info("%s: columns are parted by %r, as its first line shows", file.name, parted)
        lines, reader = _begun(file, text), _reader_for(file, head)
        records = _records(lines, reader)
        columns = file.columns or _header(file, next(records, None))
        while block := lines.block():
            found = _good_cells(block, lines.number, columns, reader)
            if found is None:
                lines.again(block)
                again = _lines_one_by_one(lines, records, columns)
                while part := list(islice(again, BLOCK_LINES)):
                    yield part
            else:
                lines.number += found[0]
                yield from found[1].cut(MOST_ROWS)


def delimited_columns(file: TableFile) -> tuple[str, ...]:
    """The names of the columns. Raises `UnreadableTable` where there are none to read."""
    with opened(file, newline="", is_told=False) as (text, head):
        records = _records(_begun(file, text), _reader_for(file, head))
        return file.columns or _header(file, next(records, None))


def delimiter_of(head: str, file: TableFile) -> str:
    """The delimiter of a table that begins so: that which its first line has most of, outside quotes."""
    if file.format == "tsv":
        return "\t"
    first = next((line for line in islice(io.StringIO(head, newline=""), file.skip, None) if line.strip()), "")
    outside = "".join(first.split(file.quote)[::2]) if file.quote else first
    found = max(DELIMITERS, key=outside.count)
    return found


Record = tuple[int, list[str], str, str]
"""The number of its first line, its fields, what is wrong, and how it stands in the file."""


def _begun(file: TableFile, text: TextIO) -> Lines:
    """The lines behind the preamble."""
    lines = Lines(text)
    for _ in islice(lines, file.skip):
        pass
    return lines


def _reader_for(file: TableFile, head: str) -> Reader:
    """What reads the records of a table that begins so."""
    delimiter = file.delimiter or delimiter_of(head, file)
    if not file.quote:
        return partial(csv.reader, delimiter=delimiter, quoting=csv.QUOTE_NONE, strict=True)
    return partial(csv.reader, delimiter=delimiter, quotechar=file.quote, strict=True)


def _good_cells(block: str, before: int, columns: tuple[str, ...], reader: Reader) -> tuple[int, Cells] | None:
    """How many lines of text a block has, and its records, where all of them are good and none goes on behind it;
    else None. So many lines came `before`."""
    if encoding_fault(block):
        return None
    records, rows, starts = reader(io.StringIO(block, newline="")), list[list[str]](), [before + 1]
    try:
        for fields in records:
            rows.append(fields)
            starts.append(before + 1 + records.line_num)
    except csv.Error:
        return None
    widths = {*map(len, rows)}
    if widths - {0, len(columns)}:
        return None
    if 0 in widths:  # blank lines
        starts = [start for start, fields in zip(starts, rows, strict=False) if fields]
        rows = [fields for fields in rows if fields]
    return records.line_num, Cells(columns, starts[: len(rows)], rows)


def _lines_one_by_one(lines: Lines, records: Iterator[Record], columns: Sequence[str]) -> Iterator[Line]:
    """Good and bad lines, until none is left of those that were put back."""
    for number, fields, fault, content in records:
        broken = fault or encoding_fault(content)
        if not broken and len(fields) != len(columns):
            broken = f"expected {len(columns)} fields, got {len(fields)}"
        yield bad_line(number, broken, content) if broken else Line(number, dict(zip(columns, fields, strict=True)))
        if not lines.is_put_back:
            return


def _records(lines: Lines, begun: Reader) -> Iterator[Record]:
    reader = begun(lines)
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
            delimiter = reader.dialect.delimiter
            reader = begun(lines)
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
        message = f"{file.name} has two columns named '{repeated}'"
        raise UnreadableTable(f"{message}; with skip = 1, read.table.columns can name them all")
    return columns
