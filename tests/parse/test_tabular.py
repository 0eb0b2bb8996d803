"""CSV in its dialects."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import Quarantined
from fetcher.parse.tabular import Csv, table_of
from tests.parse.shaping import records

TWO_HEADERS = [{"H": "D", "a": "1"}, {"H": "D", "b": "2"}]
cells = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


@given(st.lists(st.lists(cells, min_size=2, max_size=2)), st.sampled_from(",;\t|"), st.sampled_from(["\n", "\r\n"]))
def test_cells_read_back_as_they_were_written(rows, delimiter, line_end):
    """Delimiters, quotes and line breaks within cells among them."""
    written = io.StringIO(newline="")
    csv.writer(written, delimiter=delimiter, lineterminator=line_end, quoting=csv.QUOTE_ALL).writerows(
        [["a", "b"], *rows]
    )
    found = table_of(Csv(delimiter=delimiter, comment="#"), written.getvalue().replace("#", "_"))
    assert found == [{name: cell.replace("#", "_") for name, cell in zip("ab", row, strict=True)} for row in rows]


@pytest.mark.parametrize(
    ("section", "text", "expected"),
    [
        ("", "a,b\n1,2\n", [{"a": "1", "b": "2"}]),
        ("", "a,b\n1,2", [{"a": "1", "b": "2"}]),
        ("", "a,,\n1,2,3\n", [{"a": "1", "column_2": "2", "column_3": "3"}]),
        ("", "", []),
        ("", "a,b\n\n1,2\n\n", [{"a": "1", "b": "2"}]),
        ("", "a\n00123\n", [{"a": "00123"}]),
        ('skip = 2\ncomment = "#"', "Title\n# note\nMore\na\n1\n", [{"a": "1"}]),
        ("skip = 9", "a\n1\n", []),
        ('header_after = "^-+$"', "Title\n----\na\n1\n", [{"a": "1"}]),
        ('comment = "#"', '# x\na\n"1\n# no comment"\n#2\n', [{"a": "1\n# no comment"}]),
        ('names = ["x", "y"]', "1,2\n", [{"x": "1", "y": "2"}]),
        ('names = ["x"]\nskip = 1', "a\n1\n", [{"x": "1"}]),
        ('quote = ""', 'a\n"1\n', [{"a": '"1'}]),
        ('quote = "\'"', "a,b\n'1,2',3\n", [{"a": "1,2", "b": "3"}]),
        ("format_row = true", "a\tb\n5s\t4n\n".replace("\t", ",") + "1,2\n", [{"a": "1", "b": "2"}]),
        ('format_row = true\nnames = ["a"]', "5s\n1\n", [{"a": "1"}]),
        (
            'header_rows = "H"\ndata_rows = "D"',
            "H,a\nX,9\nD,1\nH,b\nD,2\n",
            [{"H": "D", "a": "1"}, {"H": "D", "b": "2"}],
        ),
        ('data_rows = "D"\nnames = ["t", "a"]', "X,9,9\nD,1\n", [{"t": "D", "a": "1"}]),
    ],
)
def test_a_dialect_is_read(section, text, expected):
    """Every cell is text; nothing is stripped or guessed."""
    assert records(f'format = "csv"\n[csv]\n{section}', text) == expected


@pytest.mark.parametrize(
    ("section", "text", "reason"),
    [
        ("", "a,b\n1,2\n3\n", "line 3 has 1 cells, expected 2 as in the header"),
        ("", "a,b\n1,2,3\n", "line 2 has 3 cells, expected 2"),
        ("", "a,a\n", "the header has 'a' twice; parse.csv.names can give names"),
        ("", 'a\n"1\n', "line 2 is not CSV: unexpected end of data"),
        ("", 'a\n"1"2\n', "line 2 is not CSV: "),
        ('header_after = "^Data"', "a\n1\n", r"no line matches parse\.csv\.header_after, '\^Data'"),
        ("skip = 1", "x\na,b\n# 1\n2\n", "line 3 has 1 cells"),
    ],
)
def test_a_broken_table_is_an_error_with_its_line(section, text, reason):
    """Cells never move to another column."""
    with pytest.raises(Quarantined, match=f"^{reason}"):
        records(f'format = "csv"\n[csv]\n{section}', text)


def test_a_cell_may_be_as_long_as_an_answer():
    """The module `csv` takes 128 kB for a mistake unless told."""
    assert records('format = "csv"', f"a\n{'x' * 300_000}\n") == [{"a": "x" * 300_000}]
