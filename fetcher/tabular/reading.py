"""Which reader goes with which kind of table."""

from collections.abc import Callable, Iterator

from fetcher.tabular.databases import database_columns, database_lines
from fetcher.tabular.delimited import delimited_columns, delimited_lines
from fetcher.tabular.json_lines import json_columns, json_lines
from fetcher.tabular.lines import Line, TableFile
from fetcher.tabular.parquet_files import parquet_columns, parquet_lines
from fetcher.tabular.workbooks import workbook_columns, workbook_lines

SUFFIXES = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xlsx": "excel",
    ".xlsm": "excel",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
}
PACKAGES = {"parquet": "pyarrow", "excel": "openpyxl"}
"""What has to be installed for a kind of table."""

_LINES: dict[str, Callable[[TableFile], Iterator[Line]]] = {
    "csv": delimited_lines,
    "tsv": delimited_lines,
    "jsonl": json_lines,
    "parquet": parquet_lines,
    "excel": workbook_lines,
    "sqlite": database_lines,
}
_COLUMNS: dict[str, Callable[[TableFile], tuple[str, ...]]] = {
    "csv": delimited_columns,
    "tsv": delimited_columns,
    "jsonl": json_columns,
    "parquet": parquet_columns,
    "excel": workbook_columns,
    "sqlite": database_columns,
}


def lines_of(file: TableFile) -> Iterator[Line]:
    """Every line of a table, in its order. Raises `UnreadableTable`."""
    return _LINES[file.format](file)


def columns_of(file: TableFile) -> tuple[str, ...]:
    """The names of a table's columns. Raises `UnreadableTable`."""
    return _COLUMNS[file.format](file)
