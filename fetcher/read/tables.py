"""Lines of a table, or records of another job, that are rows; each under a key. Bad lines are rows, too."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, TypeVar

import msgspec

from fetcher.job.records import Records
from fetcher.job.tables import Table
from fetcher.model import Row, Value
from fetcher.provenance import PROVENANCE
from fetcher.read.keys import Occurrences, digest_of, digest_of_text, digests_of, key_of
from fetcher.tabular.delimited import delimited_parts
from fetcher.tabular.lines import Cells, Line, TableFile, content_of
from fetcher.tabular.reading import lines_of

Part = TypeVar("Part")

LINES_AT_ONCE = 200


@dataclass(slots=True)
class Reading:
    """What reading has met beside rows: lines that were `skipped`, because a column that is required is blank, and
    files that have `changed` since they were opened. What `is_file` may keep its reader waiting."""

    is_file: bool = False
    skipped: int = 0
    changed: list[str] = field(default_factory=list)


def table_rows(table: Table, key: Sequence[str], reading: Reading) -> Iterator[Row]:
    """The lines of all its files, in order. Raises `UnreadableTable` where one is no table."""
    seen, left = Occurrences(), table.sample
    for file in table.files():
        lines = watched(file, islice(lines_of(file), left), reading)
        while found := list(islice(lines, LINES_AT_ONCE)):
            left = None if left is None else left - len(found)
            yield from rows_of(file.name, wanted(found, table, reading), key, seen)


class Unkeyed(NamedTuple):
    """Lines of a file that are rows as they stand there, whose keys are not known yet."""

    where: str
    lines: Cells | list[Line]

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.lines.rows if isinstance(self.lines, Cells) else self.lines)

    def each(self) -> list[Line]:
        """Line by line."""
        return self.lines.lines() if isinstance(self.lines, Cells) else self.lines


def unkeyed_rows(table: Table, reading: Reading) -> Iterator[Unkeyed]:
    """The lines of all its files, in order. Raises `UnreadableTable`."""
    for file in table.files():
        for part in watched(file, delimited_parts(file), reading):
            yield Unkeyed(file.name, part)


def is_plain(table: Table, key: Sequence[str]) -> bool:
    """Whether its lines are rows as they stand in its files, whichever each is, and known by all that they hold."""
    is_delimited = all(file.format in ("csv", "tsv") for file in table.files())
    return is_delimited and not (key or table.require or table.strip or table.sample)


def watched(file: TableFile, parts: Iterable[Part], reading: Reading) -> Iterator[Part]:
    """What is read of a file. Whether it has changed meanwhile is noted."""
    before = stamp_of(file)
    yield from parts
    if stamp_of(file) != before:
        reading.changed.append(file.name)


def stamp_of(file: TableFile) -> tuple[int, int, int] | None:
    """What is another one when somebody has written to a file, or put another in its place."""
    try:
        found = file.path.stat() if file.path else None
    except OSError:
        return None
    return (found.st_ino, found.st_size, found.st_mtime_ns) if found else None


def wanted(lines: list[Line], table: Table, reading: Reading) -> list[Line]:
    """Lines as the job wants them, without those that are none of its rows."""
    if table.strip:
        lines = [line._replace(values=stripped(line.values)) for line in lines]
    if not table.require:
        return lines
    found = [line for line in lines if line.fault or not any(is_blank(line.values.get(name)) for name in table.require)]
    reading.skipped += len(lines) - len(found)
    return found


def record_rows(lines: Iterable[bytes], records: Records, key: Sequence[str]) -> Iterator[Row]:
    """The records of another job, given as the lines of its folder: those fields of them that were selected."""
    decode, seen, known = msgspec.json.Decoder(dict[str, object]).decode, Occurrences(), Occurrences()
    for number, line in enumerate(lines, start=1):
        values: dict[str, Value] = decode(line)  # type: ignore[assignment]  # JSON's types are among a row's
        if records.select:
            values = {name: values.get(name) for name in records.select}
        else:  # a record that was labelled anew, and came out the same, is the same row
            values.pop(PROVENANCE, None)
        if not records.distinct or known.count(digest_of(values)) == 1:
            yield row_of(records.job.name, Line(number, values), key, seen)


def rows_of(where: str, lines: Sequence[Line], key: Sequence[str], seen: Occurrences) -> list[Row]:
    """Lines, each under its key: the columns that the job names, or all of them and how many were equal before."""
    if key or any(line.fault for line in lines):
        return [row_of(where, line, key, seen) for line in lines]
    keys = row_keys(digests_of([line.values for line in lines]), seen)
    return [Row(key, line.values, line=(where, line.number)) for key, line in zip(keys, lines, strict=True)]


def row_keys(digests: bytes, seen: Occurrences) -> list[str]:
    """The keys of lines that are known by all that they hold, of 16 bytes each."""
    told, counts = digests.hex(), seen.count_each(digests)
    keys = [told[at : at + 32] for at in range(0, len(told), 32)]
    if max(counts, default=1) == 1:
        return keys
    return [numbered(key, count) for key, count in zip(keys, counts, strict=True)]


def row_of(where: str, line: Line, key: Sequence[str], seen: Occurrences) -> Row:
    """The same of one line."""
    if line.fault:
        return bad_row(where, line, line.fault, seen)
    if key:
        return keyed(where, line, key, seen)
    digest = digest_of(line.values)
    return Row(numbered(digest.hex(), seen.count(digest)), line.values, line=(where, line.number))


def keyed(where: str, line: Line, key: Sequence[str], seen: Occurrences) -> Row:
    """A row under the key that the job names. A second one would take the place of the first, and is a bad line."""
    values = line.values
    missing = [name for name in key if is_blank(values.get(name))]
    if missing:
        return bad_row(where, shown(line), f"has no '{missing[0]}', which read.key needs", seen)
    named = key_of(values, key)
    if seen.count(digest_of_text(named)) > 1:
        return bad_row(where, shown(line), f"has the key '{named}' of an earlier line (read.key)", seen)
    last_day = int.from_bytes(digest_of(values)[:7], "little") + 1
    return Row(named, values, first_day=-1, last_day=last_day, line=(where, line.number))


def bad_row(where: str, line: Line, fault: str, seen: Occurrences) -> Row:
    """A line that is set aside, under a key that it keeps until it is mended."""
    digest = digest_of_text(line.content)
    key = numbered(f"bad-{digest.hex()}", seen.count(digest))
    return Row(key, {}, fault=f"{where}:{line.number} {fault}: {line.content}")


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
    return line._replace(content=content_of(line.values))
