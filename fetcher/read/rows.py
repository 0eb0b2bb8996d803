"""Rows of all the sources of a job, crossed: each line of its table, on each of its days, with each of its values."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import product

from fetcher.job.read import Read
from fetcher.job.tables import Axis
from fetcher.model import Row
from fetcher.read.dates import date_rows
from fetcher.read.files import file_rows
from fetcher.read.keys import key_of
from fetcher.read.tables import Reading, record_rows, table_rows


def source_rows(read: Read, now: datetime, reading: Reading, lines: Iterable[bytes] = ()) -> Iterator[Row]:
    """Every row of the job at a time (aware); `lines` are the records of another job that it reads.

    A table is gone through once, its lines in their order, and so are files; the days of each line follow each other,
    and so do the values of each day. Raises `UnreadableTable`.
    """
    found: Iterable[Row] = [Row("", {})]
    if read.table:
        found = table_rows(read.table, read.key, reading)
    elif read.records:
        found = record_rows(lines, read.records, read.key)
    elif read.files:
        found = file_rows(read.files.path)
    elif read.dates and not read.values:
        yield from date_rows(read.dates, now)
        return
    if not (read.dates or read.values):  # there may be millions of them
        yield from found
        return
    for line in found:
        if line.fault:
            yield line
            continue
        for day in date_rows(read.dates, now) if read.dates else [Row("", {})]:
            for values in product(*(read.values or ())):
                yield crossed(day, values, line)


def crossed(day: Row, values: Axis, line: Row) -> Row:
    """One row of a day (or none), values and a line (or none), under all their keys."""
    keys = [day.key, *(key_of(value, sorted(value)) for value in values), line.key]
    found = dict(line.values)
    for value in (*values, day.values):
        found |= value
    row = Row("/".join(key for key in keys if key), found, day.is_recent, day.first_day, day.last_day, line=line.line)
    return row._replace(first_day=-1, last_day=content_of(day, line)) if line.first_day else row


def content_of(day: Row, line: Row) -> int:
    """What tells a row with a key of its own from what it was: its line, and how far its window reaches."""
    if not day.last_day:
        return line.last_day
    told = f"{line.last_day} {day.first_day} {day.last_day}"
    return int.from_bytes(hashlib.blake2b(told.encode(), digest_size=7).digest(), "little") + 1
