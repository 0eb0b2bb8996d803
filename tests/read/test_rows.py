"""Rows of tables, values and dates: their keys, their crossing, and what becomes of lines that are none."""

from collections import Counter
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.job.read import Read
from fetcher.read.rows import source_rows
from fetcher.read.tables import Reading

NOON = datetime(2024, 3, 15, 12, tzinfo=UTC)
DAYS = {"from": "2024-01-01", "to": "2024-01-02"}
CELLS = st.text("ab ", max_size=2)


class Reader:
    """`rows(table_text, more of [read.table], more of [read])`: what a job reads; `skipped` counts the rest."""

    def __init__(self, folder):
        self.folder = folder
        self.skipped = 0

    def __call__(self, text=None, table=None, **sections):
        if text is not None:
            (self.folder / "t.csv").write_text(text, newline="")
            sections["table"] = {"path": "t.csv", **(table or {})}
        reading = Reading()
        made = list(source_rows(Read.model_validate(sections, context={"folder": self.folder}), NOON, reading))
        self.skipped = reading.skipped
        return made


@pytest.fixture
def rows(tmp_path):
    return Reader(tmp_path)


def test_dates_alone_keep_the_keys_that_folders_know():
    """Whatever else may be crossed with them."""
    read = Read.model_validate({"dates": DAYS})
    assert [row.key for row in source_rows(read, NOON, Reading())] == ["2024-01-01", "2024-01-02"]


def test_each_line_is_a_row_with_its_cells(rows):
    """Under the names of the columns."""
    (row,) = rows("id,Review Text\n007, x \n")
    assert row.values == {"id": "007", "Review Text": " x "}


@given(table=st.lists(st.tuples(CELLS, CELLS), max_size=8), shuffle=st.randoms())
def test_s18_keys_are_stable_under_reordering_and_equal_rows_stay_two(tmp_path_factory, table, shuffle):
    """A key depends on what the line holds and how many equal ones there are, not on where it stands."""
    folder = tmp_path_factory.mktemp("table")

    def keys(lines):
        text = "a,b\n" + "".join(f'"{first}","{second}"\n' for first, second in lines)
        (folder / "t.csv").write_text(text)
        read = Read.model_validate({"table": {"path": "t.csv"}}, context={"folder": folder})
        return [(row.key, tuple(row.values.values())) for row in source_rows(read, NOON, Reading())]

    before = keys(table)
    assert len({key for key, _ in before}) == len(table)
    assert Counter(values for _, values in before) == Counter(table)
    shuffled = list(table)
    shuffle.shuffle(shuffled)
    assert sorted(keys(shuffled)) == sorted(before)


def test_columns_may_change_their_order(rows):
    """A row is what it holds."""
    assert rows("a,b\n1,2\n")[0].key == rows("b,a\n2,1\n")[0].key


def test_s18_a_second_line_with_the_key_of_another_is_set_aside(rows):
    """It would take the other's place; the first one counts."""
    first, second, third = rows("id,x\nS1,a\nS1,b\nS2,c\n", key=["id"])
    assert (first.key, first.fault, third.key) == ("S1", "", "S2")
    assert second.fault == "t.csv:3 has the key 'S1' of an earlier line (read.key): id=S1, x=b"


def test_a_line_without_its_key_is_set_aside(rows):
    """Blank is no key."""
    (row,) = rows("id,x\n ,a\n", key=["id"])
    assert row.fault.startswith("t.csv:2 has no 'id', which read.key needs")


def test_a_line_that_changes_under_its_key_is_known_by_its_content(rows):
    """The key stays, what tells whether it has changed does not."""
    before, after = rows("id,x\nS1,a\n", key=["id"])[0], rows("id,x\nS1,b\n", key=["id"])[0]
    assert before.key == after.key
    assert before.first_day == after.first_day == -1
    assert before.last_day != after.last_day
    assert 0 < before.last_day < 2**63


def test_g13_bad_lines_are_rows_that_keep_their_key(rows):
    """Wherever they stand, and there may be equal ones."""
    found = rows("a,b\nbad\n1,2\nbad\n")
    assert [bool(row.fault) for row in found] == [True, False, True]
    assert found[0].fault == "t.csv:2 expected 2 fields, got 1: bad"
    assert found[2].key == f"{found[0].key}~2"
    assert rows("a,b\n1,2\nbad\n")[1].key == found[0].key


def test_lines_without_what_is_required_are_no_rows(rows):
    """They are counted; blank is nothing, or nothing that is seen."""
    found = rows("id,text\n1,x\n2,\n3, \n4,y\n", {"require": ["text"]})
    assert [row.values["id"] for row in found] == ["1", "4"]
    assert rows.skipped == 2


def test_cells_are_stripped_only_where_the_job_says_so(rows):
    """And a sample is of the first lines."""
    found = rows("a,b\n x , y\n1,2\n3,4\n", {"strip": True, "sample": 2})
    assert [row.values for row in found] == [{"a": "x", "b": "y"}, {"a": "1", "b": "2"}]


def test_lists_are_crossed(rows):
    """In the order of the job; the first one changes slowest."""
    found = rows(values={"station": ["S1", "S2"], "kind": [1, 2]})
    assert [row.key for row in found] == ["S1/1", "S1/2", "S2/1", "S2/2"]
    assert found[1].values == {"station": "S1", "kind": 2}


def test_values_may_belong_together(rows):
    """`[[read.values]]`: each table is one row."""
    found = rows(values=[{"lat": 1.5, "lon": 103}, {"lat": -2, "lon": 10}])
    assert [row.values for row in found] == [{"lat": 1.5, "lon": 103}, {"lat": -2, "lon": 10}]
    assert [row.key for row in found] == ["1.5/103", "-2/10"]


def test_dates_are_crossed_with_values(rows):
    """All values of a day before the next day."""
    found = rows(dates=DAYS, values={"station": ["S1", "S2"]})
    assert [row.key for row in found] == ["2024-01-01/S1", "2024-01-01/S2", "2024-01-02/S1", "2024-01-02/S2"]
    assert found[0].values["date"] == date(2024, 1, 1)
    assert found[0].values["station"] == "S1"


def test_dates_are_crossed_with_a_table(rows):
    """All days of a line before the next line; a bad line is one row."""
    found = rows("id\nS1\na,b\nS2\n", dates=DAYS, key=["id"])
    assert [row.key for row in found if not row.fault] == [
        "2024-01-01/S1",
        "2024-01-02/S1",
        "2024-01-01/S2",
        "2024-01-02/S2",
    ]
    assert sum(bool(row.fault) for row in found) == 1


def test_windows_that_are_crossed_keep_what_they_ask_about(rows):
    """So that one that grows is asked again."""
    (row,) = rows(dates={**DAYS, "every": "7 days"}, values={"station": ["S1"]})
    assert (row.first_day, row.last_day) == (date(2024, 1, 1).toordinal(), date(2024, 1, 2).toordinal())


def test_several_files_are_read_in_order_of_their_names(tmp_path):
    """A pattern means the files that there are when the rows are read."""
    for name in ("b.csv", "a.csv", "c.txt"):
        (tmp_path / name).write_text(f"id\n{name}\n")
    read = Read.model_validate({"table": {"path": "*.csv"}}, context={"folder": tmp_path})
    assert [row.values["id"] for row in source_rows(read, NOON, Reading())] == ["a.csv", "b.csv"]


@pytest.mark.parametrize("change", ["append", "replace", "remove"])
def test_a_file_that_changes_while_it_is_read_is_told(tmp_path, change):
    """What was read is rows all the same; a file that nobody touches is not told."""
    path = tmp_path / "t.csv"
    for name in ("s.csv", "t.csv"):
        (tmp_path / name).write_text("id\n" + "".join(f"{name} {number}\n" for number in range(1000)))
    read, reading = Read.model_validate({"table": {"path": "*.csv"}}, context={"folder": tmp_path}), Reading()
    rows = source_rows(read, NOON, reading)
    found = [next(rows) for _ in range(1001)]
    match change:
        case "append":
            with path.open("a") as file:
                file.write("more\n")
        case "replace":
            (tmp_path / "new").write_text(path.read_text())
            (tmp_path / "new").replace(path)
        case "remove":
            path.unlink()
    found += rows
    assert len(found) >= 2000
    assert reading.changed == ["t.csv"]


def test_each_row_knows_its_line(rows):
    """The file, and the number of its first line of text; with a key of its own or without, crossed or not."""
    text = 'id,text\n1,"two\nlines"\n2,b\n'
    for more in ({}, {"key": ["id"]}, {"values": {"kind": ["rain"]}}):
        assert [row.line for row in rows(text, **more)] == [("t.csv", 2), ("t.csv", 4)]
