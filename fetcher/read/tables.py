"""Lines of a table, or records of another job, that are rows; each under a key. Bad lines are rows, too."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import msgspec

from fetcher.job.records import Records
from fetcher.job.tables import Table
from fetcher.model import Value
from fetcher.read.keys import Occurrences, digest_of, digest_of_text, key_of
from fetcher.tabular.lines import Line
from fetcher.tabular.reading import lines_of


@dataclass(slots=True)
class Reading:
    """What reading has met beside rows: lines that were `skipped`, because a column that is required is blank."""

    skipped: int = 0


class Item(NamedTuple):
    """A line on its way to be a row. `content` tells whether it has changed where the key does not; a `fault` says
    why it could not be read."""

    key: str
    values: Mapping[str, Value]
    content: int = 0
    fault: str = ""


def table_items(table: Table, key: Sequence[str], reading: Reading) -> Iterator[Item]:
    """The lines of all its files, in order. Raises `UnreadableTable` where one is no table."""
    seen = Occurrences()
    for where, line in islice(_lines(table), table.sample):
        if table.strip:
            line = line._replace(values=stripped(line.values))  # noqa: PLW2901  (the same line)
        if table.require and not line.fault and any(is_blank(line.values.get(name)) for name in table.require):
            reading.skipped += 1
        else:
            yield item_of(where, line, key, seen)


def record_items(lines: Iterable[bytes], records: Records, key: Sequence[str]) -> Iterator[Item]:
    """The records of another job, given as the lines of its folder: those fields of them that were selected."""
    decode, seen, known = msgspec.json.Decoder(dict[str, object]).decode, Occurrences(), Occurrences()
    for number, line in enumerate(lines, start=1):
        values: dict[str, Value] = decode(line)  # type: ignore[assignment]  # JSON's types are among a row's
        if records.select:
            values = {name: values.get(name) for name in records.select}
        if not records.distinct or known.count(digest_of(values)) == 1:
            yield item_of(records.job.name, Line(number, values), key, seen)


def item_of(where: str, line: Line, key: Sequence[str], seen: Occurrences) -> Item:
    """A line under its key: the columns that the job names, or all of them and how many were equal before."""
    if line.fault:
        return bad_item(where, line, line.fault, seen)
    if key:
        return keyed(where, line, key, seen)
    digest = digest_of(line.values)
    return Item(numbered(digest.hex(), seen.count(digest)), line.values)


def keyed(where: str, line: Line, key: Sequence[str], seen: Occurrences) -> Item:
    """A row under the key that the job names. A second one would take the place of the first, and is a bad line."""
    values = line.values
    missing = [name for name in key if is_blank(values.get(name))]
    if missing:
        return bad_item(where, shown(line), f"has no '{missing[0]}', which read.key needs", seen)
    named = key_of(values, key)
    if seen.count(digest_of_text(named)) > 1:
        return bad_item(where, shown(line), f"has the key '{named}' of an earlier line (read.key)", seen)
    return Item(named, values, int.from_bytes(digest_of(values)[:7], "little") + 1)


def bad_item(where: str, line: Line, fault: str, seen: Occurrences) -> Item:
    """A line that is set aside, under a key that it keeps until it is mended."""
    digest = digest_of_text(line.content)
    key = numbered(f"bad-{digest.hex()}", seen.count(digest))
    return Item(key, {}, fault=f"{where}:{line.number} {fault}: {line.content}")


def numbered(key: str, occurrence: int) -> str:
    """The key of a row of which there are several that are equal."""
    return key if occurrence == 1 else f"{key}~{occurrence}"


def stripped(values: Mapping[str, Value]) -> Mapping[str, Value]:
    """Texts without blanks at their ends."""
    return {name: value.strip() if isinstance(value, str) else value for name, value in values.items()}


def is_blank(value: Value) -> bool:
    """Whether nothing is told: null, or text without a character that is seen."""
    return value is None or (isinstance(value, str) and not value.strip())


def shown(line: Line) -> Line:
    """A line that could be read, with what it holds as its content."""
    return line._replace(content=", ".join(f"{name}={value}" for name, value in line.values.items()))


def _lines(table: Table) -> Iterator[tuple[str, Line]]:
    for file in table.files():
        for line in lines_of(file):
            yield file.name, line
