"""A query to an SQLite database, which is only read. Values keep the types that SQLite has."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from fetcher.tabular.lines import Line, TableFile, UnreadableTable, plain_line


def database_lines(file: TableFile) -> Iterator[Line]:
    """Every row that the query gives, numbered from 1."""
    with _answered(file) as answer:
        columns = _columns(answer)
        for number, row in enumerate(answer, start=1):
            yield plain_line(number, dict(zip(columns, row, strict=True)))


def database_columns(file: TableFile) -> tuple[str, ...]:
    """The names of the query's columns. Raises `UnreadableTable`."""
    with _answered(file) as answer:
        return _columns(answer)


@contextmanager
def _answered(file: TableFile) -> Iterator[sqlite3.Cursor]:
    assert file.path
    try:
        with closing(sqlite3.connect(f"{file.path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            database.text_factory = _text
            yield database.execute(file.query)
    except sqlite3.Error as error:
        raise UnreadableTable(f"{file.name}: the query cannot be answered: {error}") from error


def _columns(answer: sqlite3.Cursor) -> tuple[str, ...]:
    return tuple(name for name, *_ in answer.description or ())


def _text(value: bytes) -> str | bytes:
    """Text that is no UTF-8 stays bytes, which are no value of a row."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
