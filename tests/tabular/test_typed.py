"""Tables whose cells have types: Parquet, Excel and SQLite."""

import sqlite3
from contextlib import closing
from datetime import date, datetime
from decimal import Decimal

import openpyxl
import pyarrow
import pyarrow.parquet
import pytest

from fetcher.tabular.lines import TableFile, UnreadableTable
from fetcher.tabular.reading import columns_of, lines_of


def read(file):
    return [(line.number, line.fault or dict(line.values)) for line in lines_of(file)]


def test_parquet_keeps_its_types(tmp_path):
    """What only Python knows becomes text; rows are numbered from 1."""
    path = tmp_path / "t.parquet"
    columns = {
        "id": [2**60, None],
        "text": ["a\r\nb", ""],
        "day": [date(2024, 1, 1), None],
        "price": [Decimal("1.10"), None],
        "tags": [["x"], []],
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    file = TableFile(path, "parquet")
    assert columns_of(file) == ("id", "text", "day", "price", "tags")
    assert read(file) == [
        (1, {"id": 2**60, "text": "a\r\nb", "day": date(2024, 1, 1), "price": "1.10", "tags": ["x"]}),
        (2, {"id": None, "text": "", "day": None, "price": None, "tags": []}),
    ]


def test_excel_is_text(tmp_path):
    """Rows by their number in the sheet; empty ones are none, and cells that are missing are empty."""
    path, book = tmp_path / "t.xlsx", openpyxl.Workbook()
    book.active.append(["id", "Review Text", None])
    book.active.append(["007", 5, 1.5])
    book.active.append([])
    book.active.append([datetime(2024, 1, 2, 3, 4), True])
    book.active.append([1, 2, 3, "one too many"])
    book.create_sheet("second").append(["x"])
    book.save(path)
    assert columns_of(TableFile(path, "excel")) == ("id", "Review Text")
    assert columns_of(TableFile(path, "excel", sheet="second")) == ("x",)
    found = read(TableFile(path, "excel", columns=("a", "b", "c")))
    assert found == [
        (1, {"a": "id", "b": "Review Text", "c": ""}),
        (2, {"a": "007", "b": "5", "c": "1.5"}),
        (4, {"a": "2024-01-02T03:04:00", "b": "true", "c": ""}),
        (5, "expected 3 cells, got more: 'one too many'"),
    ]
    found = read(TableFile(path, "excel", skip=1))
    assert found[0] == (4, {"007": "2024-01-02T03:04:00", "5": "true", "1.5": ""})
    with pytest.raises(UnreadableTable, match="no sheet 'third', only Sheet, second"):
        columns_of(TableFile(path, "excel", sheet="third"))


def test_a_database_is_asked_and_not_changed(tmp_path):
    """Rows are those of the query; text that is no text is a bad line."""
    path = tmp_path / "t.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE stations (id INTEGER, name TEXT)")
        database.execute("INSERT INTO stations VALUES (1, 'a'), (2, NULL), (3, CAST(x'ff' AS TEXT))")
    file = TableFile(path, "sqlite", query="SELECT id, name FROM stations ORDER BY id")
    assert columns_of(file) == ("id", "name")
    assert read(file) == [
        (1, {"id": 1, "name": "a"}),
        (2, {"id": 2, "name": None}),
        (3, "holds bytes that are no text"),
    ]
    for query in ("DELETE FROM stations", "SELECT none FROM stations", "nonsense"):
        with pytest.raises(UnreadableTable, match="the query cannot be answered"):
            read(TableFile(path, "sqlite", query=query))
    assert len(read(file)) == 3


@pytest.mark.parametrize("kind", ["parquet", "excel"])
def test_a_file_of_another_kind_is_no_table(tmp_path, kind):
    """The message names it."""
    (tmp_path / "t.bin").write_bytes(b"id,text\n" * 10)
    with pytest.raises(UnreadableTable, match=r"t\.bin is no"):
        columns_of(TableFile(tmp_path / "t.bin", kind))
