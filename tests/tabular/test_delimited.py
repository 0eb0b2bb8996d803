"""CSV: every cell as it stands, every bad line told and passed over."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.tabular import delimited
from fetcher.tabular.delimited import MOST_ROWS, delimited_parts
from fetcher.tabular.lines import MOST_CHARACTERS, Cells, TableFile, UnreadableTable
from fetcher.tabular.reading import columns_of, lines_of

CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def table(folder, content, name="table.csv", **how):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return TableFile(path, name.rpartition(".")[2], **how)


def read(file):
    """Good lines as (number, cells), bad ones as (number, fault, content)."""
    return [
        (line.number, line.fault, line.content) if line.fault else (line.number, list(line.values.values()))
        for line in lines_of(file)
    ]


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=5), st.sampled_from(["\r\n", "\n"]))
def test_cells_come_back_as_they_were_written(tmp_path_factory, rows, line_end):
    """Blanks, quotes, delimiters and line breaks of every kind are text of the cell."""
    written = io.StringIO()
    csv.writer(written, quoting=csv.QUOTE_ALL, lineterminator=line_end).writerows([["a", "b", "c"], *rows])
    file = table(tmp_path_factory.mktemp("table"), written.getvalue(), delimiter=",")
    assert [list(line.values.values()) for line in lines_of(file)] == rows


@pytest.mark.parametrize("text", ['{},"text\n', "{},text\n"])
def test_a_part_is_bounded_whatever_is_wrong(tmp_path, text):
    """Bad quotes to the end of a table, or very short lines: the first part comes before the others are read."""
    content = "".join(text.format(number) for number in range(20_000))
    parts = delimited_parts(table(tmp_path, f"id,text\n{content}"))
    sizes = [len(part.rows) if isinstance(part, Cells) else len(part) for part in parts]
    assert sum(sizes) == 20_000
    assert max(sizes) <= MOST_ROWS


PIECES = st.sampled_from(
    ["a", ",", '"', "\n", "\r\n", "\r", "\0", '"x"', ',"a,b"', "1,2\n", "1,2\n", '1,"\n"\n', "\udcff", "\u2028"]
)


@given(st.lists(PIECES, max_size=30).map("".join), st.integers(1, 12))
def test_blocks_are_read_as_record_by_record(tmp_path_factory, text, size):
    """Wherever a block ends, and whatever is wrong in it: the same lines under the same numbers."""
    content = f"id,text\n{text}".encode("utf-8", "surrogateescape")
    file = table(tmp_path_factory.mktemp("table"), content, delimiter=",", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "BLOCK_CHARACTERS", size)
        by_block = read(file)
        patch.setattr(delimited, "_good_cells", lambda *_: None)
        assert by_block == read(file)


def test_lines_are_numbered_as_an_editor_does(tmp_path):
    """A cell may have several lines, blank lines are no rows, and the header is a line."""
    file = table(tmp_path, 'id,text\r\n1,"two\r\nlines"\r\n\r\n2,  padded  \r\n00000,NA')
    assert read(file) == [(2, ["1", "two\r\nlines"]), (5, ["2", "  padded  "]), (6, ["00000", "NA"])]


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("1", "expected 2 fields, got 1"),
        ("1,2,3", "expected 2 fields, got 3"),
        ('1,"x"y', "has text behind a closing quote"),
        ("1,a\0b", "holds a NUL character"),
        (b"1,\xff\xfe", "holds bytes that are no text in its encoding"),
        ('1,"never closed', "has a quote that is never closed"),
    ],
)
def test_g13_a_bad_line_costs_itself_alone(tmp_path, bad, fault):
    """It is told with its number and content, and those round it are read."""
    bad = bad if isinstance(bad, bytes) else bad.encode()
    before, found, after = read(table(tmp_path, "id,text\n0,äöüß\n".encode() + bad + b"\n2,after\n"))
    assert (before, after) == ((2, ["0", "äöüß"]), (4, ["2", "after"]))
    assert found[0] == 3
    assert found[1].startswith(fault)
    assert found[2] == bad.decode("utf-8", "backslashreplace")


def test_g13_a_quote_that_is_never_closed_swallows_nothing(tmp_path):
    """Also where it lies before more text than a cell may have, or before another quoted cell."""
    many = "".join(f"{number},{'x' * 1000}\n" for number in range(2 * MOST_CHARACTERS // 1000))
    found = read(table(tmp_path, f'id,text\nbad,"open\n{many}'))
    assert found[0][0] == 2
    assert found[0][2] == 'bad,"open'
    assert [len(line) for line in found[1:]] == [2] * (2 * MOST_CHARACTERS // 1000)
    assert [line[0] for line in read(table(tmp_path, 'id,text\nbad,"open\n2,"closed"\n3,x\n'))] == [2, 3, 4]


@pytest.mark.parametrize(
    ("name", "header", "columns"),
    [
        ("t.csv", "a,b", ("a", "b")),
        ("t.csv", "a;b,c;d", ("a", "b,c", "d")),
        ("t.csv", "a\tb", ("a", "b")),
        ("t.csv", '"a;b;c",d', ("a;b;c", "d")),
        ("t.tsv", "a,b\tc", ("a,b", "c")),
        ("t.csv", ",Review Text", ("column 1", "Review Text")),
        ("t.csv", "\ufeffa,b", ("a", "b")),
        ("t.csv", "alone", ("alone",)),
    ],
)
def test_the_header_shows_how_the_table_is_written(tmp_path, name, header, columns):
    """The delimiter that its first line has most of; a column without a name has its place for one."""
    assert columns_of(table(tmp_path, f"{header}\n", name)) == columns


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_the_encoding_is_found_out(tmp_path, encoding):
    """By its mark, or by what its bytes could be."""
    file = table(tmp_path, "id,text\n1,Größe für 5 €\n".encode(encoding))
    assert read(file) == [(2, ["1", "Größe für 5 €"])]


def test_one_broken_line_does_not_make_utf_8_another_encoding(tmp_path):
    """Most of what is no ASCII decides."""
    file = table(tmp_path, "id,text\n1,äöüß\n".encode() + b"2,\xe4\n")
    assert [len(line) for line in read(file)] == [2, 3]


def test_an_encoding_that_is_declared_counts(tmp_path):
    """No guessing then."""
    assert read(table(tmp_path, "id,text\n1,ä\n".encode("latin-1"), encoding="iso8859-1")) == [(2, ["1", "ä"])]


def test_a_table_without_a_header_has_its_columns_named(tmp_path):
    """Its first line is a row then."""
    assert read(table(tmp_path, "1,x\n", columns=("id", "text"))) == [(1, ["1", "x"])]


def test_quotes_may_be_none(tmp_path):
    """Then they are text."""
    assert read(table(tmp_path, 'id,text\n1,"x\n', quote="")) == [(2, ["1", '"x'])]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; expected a line with the names"),
        ("a,b,a\n", "two columns named 'a'"),
        ('a,"b\n', "never closed"),
    ],
)
def test_a_file_without_a_header_is_no_table(tmp_path, content, message):
    """The message names the file."""
    with pytest.raises(UnreadableTable, match=message) as caught:
        columns_of(table(tmp_path, content))
    assert "table.csv" in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_told_by_its_zero_bytes(tmp_path, caplog, encoding):
    """And it is said that this is a guess: once, where lines are read."""
    file = table(tmp_path, "id,text\n1,Größe\n".encode(encoding))
    assert columns_of(file) == ("id", "text")
    assert caplog.text == ""
    assert read(file) == [(2, ["1", "Größe"])]
    assert f"is read as {encoding.upper()}, as its zero bytes show" in caplog.text


@pytest.mark.parametrize(
    ("begin", "kind"),
    [
        (b"PK\x03\x04\x14\0", "a workbook"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "a workbook of an old kind"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"\x1f\x8b\x08\0", "packed by gzip; unpack it, or pipe it in: zcat"),
        (b"\x28\xb5\x2f\xfd", "packed by zstd"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"\xff\xd8\xff\xe0", "a picture"),
        (b"%PDF-1.7\n", "a PDF"),
    ],
)
def test_a_file_that_is_no_text_is_no_table(tmp_path, begin, kind):
    """Whatever its name says: no line of it is read as a row, nor told as a bad one."""
    file = table(tmp_path, begin + bytes(range(256)))
    for reading in (columns_of, read):
        with pytest.raises(UnreadableTable, match=rf"table\.csv is no text but {kind}"):
            reading(file)


def test_a_preamble_is_passed_over(tmp_path):
    """Lines keep their numbers, the header shows the delimiter, and columns may be named instead of the header."""
    text = "sep=;\r\nReport, of today\r\nid;text;id\r\n1;a,b;x\r\n2\r\n"
    assert read(table(tmp_path, text, skip=3, columns=("id", "text", "more"), delimiter=";")) == [
        (4, ["1", "a,b", "x"]),
        (5, "expected 3 fields, got 1", "2"),
    ]
    found = table(tmp_path, text.replace("text;id", "text;b"), skip=2)
    assert columns_of(found) == ("id", "text", "b")
    assert read(found)[0] == (4, ["1", "a,b", "x"])
