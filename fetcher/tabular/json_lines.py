"""JSON Lines: an object a line. Values keep the types that JSON has."""

from collections.abc import Iterator
from itertools import islice

import msgspec

from fetcher.tabular.lines import MOST_CHARACTERS, Line, TableFile, UnreadableTable, bad_line
from fetcher.tabular.text import encoding_fault, opened

LOOKED_AT = 1000
"""So many lines are looked at for the names of columns."""


def json_lines(file: TableFile) -> Iterator[Line]:
    """Every line that is not blank, good or bad."""
    decode = msgspec.json.Decoder(dict[str, object]).decode
    with opened(file, newline="\n") as (text, _):
        number = 0
        while line := text.readline(16 * MOST_CHARACTERS):
            number += 1
            if line.isspace():
                continue
            if fault := encoding_fault(line):
                yield bad_line(number, fault, line)
                continue
            try:
                yield Line(number, decode(line))  # type: ignore[arg-type]  # JSON's types are among a row's
            except (msgspec.DecodeError, RecursionError) as error:
                yield bad_line(number, f"expected a JSON object: {error}", line)


def json_columns(file: TableFile) -> tuple[str, ...]:
    """The names that the first thousand objects have. Raises `UnreadableTable` where none of them is one."""
    found: dict[str, None] = {}
    for line in islice(json_lines(file), LOOKED_AT):
        found |= dict.fromkeys(line.values)
    if not found:
        raise UnreadableTable(f"{file.name} has no JSON object in its first {LOOKED_AT:,} lines")
    return tuple(found)
