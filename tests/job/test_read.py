"""`[read]`: what its sources may say, and what templates may ask of them."""

from datetime import date

import pytest

from fetcher.job.fingerprints import fetch_fingerprint
from fetcher.job.steps import Step, parse_every

TABLE = ('[read.dates]\nfrom = "2024-01-01"', '[read.table]\npath = "t.csv"')


@pytest.fixture
def faults(faults_of, tmp_path):
    """Faults of a job that reads `t.csv` with these columns; `told` are its `[read]` lines and its query."""

    def found(*lines, table="id,Review Text\n", query="{id}", **more):
        (tmp_path / "configs").mkdir(exist_ok=True)
        (tmp_path / "configs" / "t.csv").write_text(table)
        told = "\n".join(lines) or '[read.table]\npath = "t.csv"'
        return faults_of((TABLE[0], told), ("{date}", query), **more)

    return found


def test_columns_are_slots_by_their_names(load, tmp_path):
    """Blanks and all."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "t.csv").write_text("id,Review Text\n")
    job = load(TABLE, ("{date}", "{Review Text} of {id}"))
    assert job.fetch.query["date"].slots == ("Review Text", "id")


def test_g06_a_slot_that_no_column_fills_is_a_fault(faults):
    """With the column that was meant; no request is sent."""
    assert faults(query="{Review text}") == [
        "job.toml:7:11 fetch.query.date: nothing fills {Review text}: the rows offer {id} and {Review Text} from the "
        "columns of t.csv; did you mean '{Review Text}'?"
    ]


def test_a_column_that_is_missing_in_one_file_is_offered_by_none(faults, tmp_path):
    """A pattern offers what all its files have."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "u.csv").write_text("id\n")
    (line,) = faults('[read.table]\npath = "*.csv"', query="{Review Text}")
    assert "the rows offer {id} from the columns of 2 files" in line


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ('[read.table]\npath = "u.csv"', "got 'u.csv', which is no file"),
        ('[read.table]\npath = "u*.csv"', "got 'u*.csv', which matches no file"),
        (
            '[read.table]\npath = "t.csv"\nformat = "cvs"',
            "'excel' or 'sqlite', got 'cvs'",
        ),
        ('[read.table]\npath = "t.csv"\ndelimiter = ";;"', "expected one character, such as ';' or 'tab', got ';;'"),
        ('[read.table]\npath = "t.csv"\nencoding = "utf-9"', "expected an encoding such as 'utf-8'"),
        ('[read.table]\npath = "t.csv"\nencoding = "base64"', "expected an encoding such as 'utf-8'"),
        ('[read.table]\npath = "t.csv"\nrequire = ["Id"]', "the table has no column 'Id'; did you mean 'id'?"),
        ('[read]\nkey = ["nr"]\n[read.table]\npath = "t.csv"', "the table has no column 'nr'"),
        ('[read.table]\npath = "job.toml"', "does not tell its kind; say format = 'csv' or another"),
        ('[read.table]\npath = "t.csv"\nformat = "sqlite"', "a database needs query, and nothing else does"),
        ('[read.table]\npath = "t.csv"\nquery = "SELECT 1"', "a database needs query, and nothing else does"),
        ('[read.table]\npath = "-"\nformat = "excel"', "'excel' cannot be read from standard input"),
        ('[read.values]\nid = ["a", "a"]', "a is there twice: it would be asked for twice"),
        ("[read.values]\nid = []", "expected lists such as { station = ['S01', 'S02'] }"),
        ('[read]\nkey = ["id"]\n[read.values]\nid = ["a"]', "there is neither 'table' nor 'records'"),
        ('[[read.values]]\nid = "a"\n[[read.values]]\nid = "b"\nx = 1', "expected the same names in each row, id"),
        (
            '[read.table]\npath = "t.csv"\n[read.values]\nid = ["a"]',
            "read.values: 'id' is offered by read.table, too: rename one",
        ),
    ],
)
def test_what_is_wrong_is_said(faults, told, message):
    """Each with the key that it is about."""
    assert any(message in line for line in faults(told)), faults(told)


def test_a_table_that_is_none_is_a_fault(faults):
    """Of the job that names it."""
    assert faults(table="") == [
        "job.toml:2:7 read.table: t.csv is empty; expected a line with the names of its columns"
    ]


def test_values_offer_their_names(faults):
    """Together with the days."""
    (line,) = faults('[read.dates]\nfrom = "2024-01-01"\n[read.values]\nstation = ["S1"]', query="{stations}")
    assert line.endswith(
        "the rows offer {date}, {start}, {end}, {until} and {station} because read.dates.every is '1 day' and "
        "from read.values; did you mean '{station}'?"
    )


@pytest.mark.parametrize(
    ("told", "step"),
    [
        ("1 day", Step(1)),
        ("7 days", Step(7)),
        ("1 month", Step(1, "month")),
        ("2 years", Step(24, "month")),
        ("6 h", Step(6, "hour")),
        ("1 hour", Step(1, "hour")),
    ],
)
def test_a_step_is_of_days_months_or_hours(told, step):
    """A year is twelve months."""
    assert parse_every(told) == step


def test_moments_are_of_the_time_zone_of_the_days(load):
    """And another time zone asks for something else; text that tells no moment does not."""
    zone = ('from = "2024-01-01"', 'from = "2024-01-01"\ntimezone = "Asia/Singapore"')
    moments = ('"{date}"', '"{date:epoch}"')
    job = load(zone, moments)
    assert job.fetch.query["date"].fill({"date": date(2024, 1, 1)}) == 1704067200 - 8 * 3600
    assert fetch_fingerprint(job) != fetch_fingerprint(load(moments))
    assert fetch_fingerprint(load(zone)) == fetch_fingerprint(load())
