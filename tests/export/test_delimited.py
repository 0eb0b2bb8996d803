"""CSV and TSV out of records: what a reader finds is what the record says."""

import csv
import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fetcher.export.delimited import delimited_blocks, guarded, names_in

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3))


def lines_of(records):
    return [json.dumps(record, ensure_ascii=False).encode() + b"\n" for record in records]


def rows_of(records, columns, delimiter=",", **how):
    """The rows that the standard library reads, the header first."""
    written = b"".join(delimited_blocks(lines_of(records), columns, delimiter, **how)).decode()
    return list(csv.reader(io.StringIO(written, newline=""), delimiter=delimiter, strict=True))


@example([{"a": '"'}, {"a": "\r"}, {"a": ""}], ",")
@given(st.lists(st.fixed_dictionaries({"a": TEXT, "b": TEXT})), st.sampled_from(",\t"))
def test_text_comes_back_as_it_is(records, delimiter):
    """Quotes, delimiters, blanks and line breaks of every kind; and every record is one row."""
    header, *rows = rows_of(records, ["a", "b"], delimiter)
    assert header == ["a", "b"]
    assert rows == [[record["a"], record.get("b", "")] for record in records]


@given(st.lists(st.dictionaries(st.sampled_from("abc"), VALUES), max_size=5))
def test_a_cell_says_what_the_value_is(records):
    """null and what is missing are empty; all but text is JSON."""
    _, *rows = rows_of(records, ["a", "b", "c"])
    assert len(rows) == len(records)
    for record, row in zip(records, rows, strict=True):
        for name, cell in zip("abc", row, strict=True):
            value = record.get(name)
            assert (
                cell == ("" if value is None else value) if isinstance(value, str | None) else json.loads(cell) == value
            )


def test_numbers_keep_their_digits():
    """As they stand in the record: no double comes between."""
    lines = [b'{"a":12345678901234567890123,"b":1.10,"c":0.1000000000000000055}\n']
    written = b"".join(delimited_blocks(lines, ["a", "b", "c"], ","))
    assert written == b"a,b,c\n12345678901234567890123,1.10,0.1000000000000000055\n"


def test_columns_come_in_the_order_in_which_they_come_up():
    """Those that are said to be first are first, also where no record has them."""
    lines = lines_of([{"c": 1, "a": 1}, {"a": 1, "d": 1}, {"b": 1}])
    assert names_in(lines) == ["c", "a", "d", "b"]
    assert names_in(lines, ["x", "d"]) == ["x", "d", "c", "a", "b"]


def test_records_of_ever_other_fields_have_all_their_columns():
    """However many kinds of records there are."""
    assert len(names_in(lines_of({"id": 1, f"n{number}": 1} for number in range(2500)))) == 2501


@pytest.mark.parametrize("text", ["=1+2", "+1+2", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-", "=", "+49 170 1"])
def test_x13_what_a_spreadsheet_takes_for_a_formula_is_guarded_on_request(text):
    """A quote mark before it makes it text, in the header too; and without the request it stays as it is."""
    assert rows_of([{text: text}], [text], is_guarded=True) == [[f"'{text}"], [f"'{text}"]]
    assert rows_of([{text: text}], [text]) == [[text], [text]]


@pytest.mark.parametrize("text", ["", "1", "-5", "+3.5e-7", "-.5", "-1,5", "-3 %"[:2] + "%", "a=1", "'=1", " =1"])
def test_numbers_and_other_text_need_no_guard(text):
    """A column of temperatures stays one of numbers."""
    assert guarded(text) == text
