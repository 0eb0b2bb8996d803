"""Parquet out of records: each column has one type, and no value is lost."""

import io
import json

import pyarrow.parquet
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fetcher.export import columnar
from fetcher.export.columnar import JSON, kinds_in, write_parquet

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5)
NUMBERS = st.integers() | st.integers(2**53 - 2, 2**64 + 2) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.dictionaries(st.sampled_from("abc"), VALUES)
RECORDS = st.lists(FIELDS, max_size=6).filter(lambda records: not records or any(records))


def lines_of(records):
    return [json.dumps(record).encode() + b"\n" for record in records]


def read_back(lines, first=()):
    """The table that pyarrow reads, and the columns that are JSON text."""
    file = io.BytesIO()
    kinds = kinds_in(lines, first)
    write_parquet(lines, kinds, file)
    return pyarrow.parquet.read_table(io.BytesIO(file.getvalue())), [n for n, kind in kinds.items() if kind == JSON]


def same(one, other):
    """Whether two values of JSON are the same, 1 and 1.0 alike, true and 1 not."""
    match one, other:
        case (list(), list()):
            return len(one) == len(other) and all(map(same, one, other))
        case (dict(), dict()):
            return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return one == other and isinstance(one, bool) == isinstance(other, bool)


@example([{"a": 2**53 + 1}, {"a": 0.5}])
@example([{"a": [1, 0.5]}, {"a": [2**53 + 1]}])
@example([{"a": {"x": 1}}, {"a": {"y": 1}}])
@example([{"a": {}}, {"a": {"x": [{}]}}])
@example([{"a": [{"x": 1}, {"x": None}]}, {"a": [None, {"x": "1"}]}])
@given(RECORDS)
def test_every_value_comes_back(records):
    """As it is, or in a column of JSON text as that; null and what is missing are null."""
    table, mixed = read_back(lines_of(records))
    assert table.num_rows == len(records)
    for record, row in zip(records, table.to_pylist(), strict=True):
        for name, value in row.items():
            found = json.loads(value) if name in mixed and value is not None else value
            assert same(found, record.get(name)), name


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["00000", "NA", None], "string"),
        ([1, None, -(2**63)], "int64"),
        ([1, 0.5], "double"),
        ([True, False], "bool"),
        ([["a"], [], None], "list<element: string>"),
        ([{"x": 1, "y": ["a"]}, {"x": None, "y": []}], "struct<x: int64, y: list<element: string>>"),
        ([None], "string"),
    ],
)
def test_a_column_has_the_type_of_its_values(values, kind):
    """Lists and objects too, where they are all of one kind."""
    table, mixed = read_back(lines_of({"a": value} for value in values))
    assert (str(table.schema.field("a").type), mixed) == (kind, [])
    assert table["a"].to_pylist() == values


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b'{"a":0.1000000000000000055}', "0.1000000000000000055"),
        (b'{"a":18446744073709551616}', "18446744073709551616"),
        (b'{"a":1e400}', "1e400"),
        (b'{"a":1e-400}', "1e-400"),
        (b'{"a":[1,"a"]}', '[1,"a"]'),
        (b'{"a":{}}', "{}"),
    ],
)
def test_what_has_no_type_is_json_text(line, text):
    """Numbers with more digits than a double or 64 bits hold among it: none is changed."""
    table, mixed = read_back([line])
    assert (table["a"].to_pylist(), mixed) == ([text], ["a"])


def test_short_fractions_are_doubles():
    """What comes back out of a double as it went in, however it is written."""
    table, mixed = read_back([b'{"a":1.10}', b'{"a":1e5}', b'{"a":0.30000000000000004}'])
    assert (table["a"].to_pylist(), mixed) == ([1.1, 1e5, 0.30000000000000004], [])


def test_groups_of_rows_are_as_large_as_memory_allows(monkeypatch):
    """By rows or by bytes, whichever is full first; none is lost between them."""
    monkeypatch.setattr(columnar, "ROWS_A_BATCH", 3)
    monkeypatch.setattr(columnar, "ROWS_A_GROUP", 7)
    lines, file = lines_of({"n": number} for number in range(20)), io.BytesIO()
    write_parquet(lines, kinds_in(lines), file)
    read = pyarrow.parquet.ParquetFile(io.BytesIO(file.getvalue()))
    assert [read.metadata.row_group(number).num_rows for number in range(read.num_row_groups)] == [9, 9, 2]
    assert read.read()["n"].to_pylist() == list(range(20))


def test_columns_that_no_record_has_are_there():
    """A table without lines keeps its columns."""
    table, _ = read_back([], ["b", "a"])
    assert (table.column_names, table.num_rows) == (["b", "a"], 0)
