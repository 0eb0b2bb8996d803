"""Parquet, batch by batch. Values keep the types that Parquet has, but for those that only Python knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fetcher.tabular.lines import Line, TableFile, UnreadableTable, plain_line

BATCH_ROWS = 1000


def parquet_lines(file: TableFile) -> Iterator[Line]:
    """Every row, numbered from 1."""
    with _opened(file) as parquet:
        number = 0
        for batch in parquet.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
            for values in batch.to_pylist():
                number += 1
                yield plain_line(number, values)


def parquet_columns(file: TableFile) -> tuple[str, ...]:
    """The names of the columns. Raises `UnreadableTable`."""
    with _opened(file) as parquet:
        return tuple(parquet.schema_arrow.names)


@contextmanager
def _opened(file: TableFile) -> Iterator[Any]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(file.path) as parquet:
            yield parquet
    except (pyarrow.ArrowException, OSError) as error:
        raise UnreadableTable(f"{file.name} is no Parquet that can be read: {error}") from error
