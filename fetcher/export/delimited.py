"""CSV and TSV (RFC 4180): every cell as it stands. Text is itself, null and what is missing are empty, true, false and
numbers are as in JSON, lists and objects are JSON text."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

import msgspec

BLOCK_RECORDS = 1000
FORMULA = re.compile(r"(?=[=+\-@\t\r\n])(?![+-]?[\d.,]+([eE][+-]?\d+)?%?\Z)")
"""What a spreadsheet takes for a formula, but for numbers (OWASP, CSV Injection)."""

Cell = Callable[[msgspec.Raw | None], str]

_record = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode


def names_in(lines: Iterable[bytes], first: Sequence[str] = ()) -> list[str]:
    """The names that records have: `first` those of that list, then others in the order in which they come up."""
    names, seen = dict.fromkeys(first), set[tuple[str, ...]]()
    for line in lines:
        if (found := tuple(_record(line))) not in seen:
            if len(seen) < BLOCK_RECORDS:  # records of ever other fields must not fill the memory
                seen.add(found)
            names |= dict.fromkeys(found)
    return list(names)


def delimited_blocks(
    lines: Iterable[bytes], columns: Sequence[str], delimiter: str, is_guarded: bool = False
) -> Iterator[bytes]:
    """A line with the names of the columns, then one for each record. Where it `is_guarded`, what a spreadsheet would
    take for a formula has a quote mark before it."""
    cell = guarded_cell if is_guarded else cell_of
    block = io.StringIO(newline="")
    plain = csv.writer(block, delimiter=delimiter, lineterminator="\n")
    quoted = csv.writer(block, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    header = [guarded(name) for name in columns] if is_guarded else columns
    (quoted if "\r" in "".join(header) else plain).writerow(header)
    yield taken(block)
    left = iter(lines)
    while some := list(islice(left, BLOCK_RECORDS)):
        for line in some:
            values = _record(line)
            writer = quoted if b"\\r" in line else plain  # which would leave a carriage return bare
            writer.writerow([cell(values.get(name)) for name in columns])
        yield taken(block)


def cell_of(value: msgspec.Raw | None) -> str:
    """A value of JSON as a cell."""
    if value is None:
        return ""
    written = bytes(value)
    match written[:1]:
        case b'"':
            return _text(written)
        case b"n":
            return ""
    return written.decode()


def guarded_cell(value: msgspec.Raw | None) -> str:
    """The same, with a quote mark before what a spreadsheet would take for a formula."""
    return guarded(cell_of(value))


def guarded(text: str) -> str:
    """`'=A1`"""
    return f"'{text}" if FORMULA.match(text) else text


def taken(block: io.StringIO) -> bytes:
    """What has been written since the last time."""
    text = block.getvalue()
    block.seek(0)
    block.truncate()
    return text.encode()
