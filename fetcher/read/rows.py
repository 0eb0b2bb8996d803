"""Rows of all the sources of a job, crossed: each line of its table, on each of its days, with each of its values."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import product

from fetcher.job.read import Read
from fetcher.job.tables import Axis
from fetcher.model import Row
from fetcher.read.dates import date_rows
from fetcher.read.keys import key_of
from fetcher.read.tables import Item, Reading, record_items, table_items


def source_rows(read: Read, now: datetime, reading: Reading, lines: Iterable[bytes] = ()) -> Iterator[Row]:
    """Every row of the job at a time (aware); `lines` are the records of another job that it reads.

    The table is gone through once, its lines in their order; the days of each line follow each other, and so do the
    values of each day. Raises `UnreadableTable`.
    """
    items: Iterable[Item] = [Item("", {})]
    if read.table:
        items = table_items(read.table, read.key, reading)
    elif read.records:
        items = record_items(lines, read.records, read.key)
    elif read.dates and not read.values:
        yield from date_rows(read.dates, now)
        return
    for item in items:
        if item.fault:
            yield Row(item.key, {}, fault=item.fault)
            continue
        if not (read.dates or read.values or item.content):  # there may be millions of them
            yield Row(item.key, item.values)
            continue
        for day in date_rows(read.dates, now) if read.dates else [Row("", {})]:
            for values in product(*(read.values or ())):
                yield crossed(day, values, item)


def crossed(day: Row, values: Axis, item: Item) -> Row:
    """One row of a day (or none), values and a line (or none), under all their keys."""
    keys = [day.key, *(key_of(value, sorted(value)) for value in values), item.key]
    found = dict(item.values)
    for value in (*values, day.values):
        found |= value
    row = Row("/".join(key for key in keys if key), found, day.is_recent, day.first_day, day.last_day)
    return row._replace(first_day=-1, last_day=content_of(day, item)) if item.content else row


def content_of(day: Row, item: Item) -> int:
    """What tells a row with a key of its own from what it was: its line, and how far its window reaches."""
    if not day.last_day:
        return item.content
    told = f"{item.content} {day.first_day} {day.last_day}"
    return int.from_bytes(hashlib.blake2b(told.encode(), digest_size=7).digest(), "little") + 1
