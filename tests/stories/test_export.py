"""`fetcher export`: a table goes in, is labelled, and comes out as a table."""

import csv
import gzip
import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fetcher.export.tables import Wanted, export
from fetcher.job.load import load_job
from fetcher.launch import run
from fetcher.model import RowState
from tests import reviews
from tests.settled_jobs import NOW, STATIONS, beside, done, failed, job_in, settle
from tests.stories.conftest import ROOT, command

JOB = f"{reviews.JOB}{reviews.WRITE}"
REVIEWS = 'id,review,stars\n00000,Delivered late and broken,NA\n2,"Fine,\r\n""thanks""",5\n3,, 4 \n'
LABELLED = 'id,review,stars,topics\n00000,Delivered late and broken,NA,"[""logistics"",""quality""]"\n'
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1).filter(
    lambda name: name not in ("id", "topics")
)


@pytest.fixture
def job(tmp_path):
    """The path of a job beside its table, not run yet."""

    def written(table: str = REVIEWS, field: str = "review") -> Path:
        (tmp_path / "reviews.csv").write_bytes(table.encode())
        (tmp_path / "job.toml").write_text(JOB.replace('"review"', f'"{field}"'))
        return tmp_path / "job.toml"

    return written


def rows_of(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


@settings(max_examples=25)
@given(st.lists(NAMES, min_size=1, max_size=4, unique=True), st.data())
def test_a_table_comes_back_with_its_cells_and_the_labels(tmp_path_factory, columns, data):
    """Every cell as it was, every line once, equal ones too; the columns in their order, then those that were added."""
    folder = tmp_path_factory.mktemp("job")
    row = st.lists(CELLS, min_size=len(columns), max_size=len(columns)).map(lambda cells: ["007", *cells])
    rows, columns = data.draw(st.lists(row, max_size=4)), ["id", *columns]
    written = io.StringIO(newline="")
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows([columns, *rows])
    (folder / "reviews.csv").write_bytes(written.getvalue().encode())
    (folder / "job.toml").write_text(JOB.replace('"review"', '"id"'))
    loaded = load_job(folder / "job.toml", {}, ['read.table.delimiter=","'])
    assert run(loaded).exit_code == 0
    out = io.BytesIO()
    export(loaded, Wanted("csv"), out, NOW)
    header, *found = rows_of(out.getvalue().decode())
    assert header == [*columns, *(["topics"] if rows else [])]
    assert sorted(found) == sorted([*cells, "[]"] for cells in rows)


def test_each_format_holds_every_record(fetcher, job, tmp_path):
    """CSV, TSV, JSON Lines and Parquet, by the end of the name; packed ones too."""
    assert fetcher("run", job()).code == 0
    for name in ("a.csv", "a.tsv", "a.jsonl", "a.parquet", "a.csv.gz", "a.jsonl.zst"):
        ran = fetcher("export", job(), tmp_path / name)
        assert ran.code == 0, ran.err
        assert (ran.out, ran.err) == ("", f"{tmp_path / name}: 3 records\n")
    published = (tmp_path / "out" / "records-000001.jsonl").read_bytes()
    records = [json.loads(line) for line in published.splitlines()]
    assert (tmp_path / "a.jsonl").read_bytes() == published
    text = (tmp_path / "a.csv").read_bytes()
    assert text.decode().startswith(LABELLED)
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == text
    cells = [[*list(record.values())[:3], json.dumps(record["topics"], separators=(",", ":"))] for record in records]
    assert rows_of(text.decode())[1:] == cells
    assert (tmp_path / "a.tsv").read_text().splitlines()[0] == "id\treview\tstars\ttopics"
    assert pyarrow.parquet.read_table(tmp_path / "a.parquet").to_pylist() == records


def test_what_is_replaced_is_left_out_and_what_failed_is_told(fetcher, tmp_path):
    """The records that stand, in the order of the files; rows without any are counted, by state."""
    job = job_in(tmp_path)
    settle(job, done(1, 2, "old"), done(2, 1, "kept"), failed(3, RowState.REFUSED), failed(4, RowState.GAVE_UP))
    settle(job, done(1, 1, "new"))
    ran = fetcher("export", job.file, tmp_path / "out.csv")
    assert ran.code == 0, ran.err
    assert (tmp_path / "out.csv").read_text() == "day,n,text\n2,0,kept\n1,0,new\n"
    assert "2 records\n  without records of rows that failed: 1 gave up + 1 refused; `fetcher failures" in ran.err


def test_records_that_no_run_has_published_are_told(fetcher, tmp_path):
    """After a kill, say."""
    job = job_in(tmp_path)
    settle(job, done(1, 3))
    settle(job, done(2, 2), is_finished=False)
    ran = fetcher("export", job.file, "-")
    assert len(ran.out.splitlines()) == 3
    assert "without 2 records not published yet" in ran.err


def test_another_table_is_exported_by_its_name(fetcher, tmp_path):
    """One that nobody knows is a wrong command line."""
    job = job_in(tmp_path, STATIONS)
    settle(job, beside(done(1, 4), 7, 8))
    told = ["--set", STATIONS]
    ran = fetcher("export", job.file, "-", "--format", "csv", "--table", "stations", *told)
    assert (ran.code, ran.out) == (0, "station\n7\n8\n"), ran.err
    ran = fetcher("export", job.file, "-", "--table", "station", *told)
    assert ran.code == 2
    assert "the job has no table 'station', only records, stations" in ran.err


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("there.csv", "there.csv is there already; --force replaces it"),
        ("reviews.csv", "reviews.csv is the table that the job reads"),
        ("linked.csv", "reviews.csv is the table that the job reads"),
        ("nowhere/out.csv", "nowhere does not exist"),
        ("out", "out is no file"),
        ("out/records-000007.jsonl", "has the name of a file that the job writes"),
        ("a.xlsx", "does not tell a format"),
    ],
)
def test_a_place_where_nothing_should_go_is_refused(fetcher, job, tmp_path, out, message):
    """Exit 2, and nothing is touched."""
    assert fetcher("run", job()).code == 0
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "linked.csv").symlink_to(tmp_path / "reviews.csv")
    forced = ["--force"] if out in ("reviews.csv", "linked.csv", "out") else []
    format_ = ["--format", "csv"] if out == "out" else []
    ran = fetcher("export", job(), tmp_path / out, *forced, *format_)
    assert ran.code == 2
    assert message in ran.err.replace("\n", " ")
    assert (tmp_path / "there.csv").read_text() == "mine"
    assert (tmp_path / "reviews.csv").read_bytes() == REVIEWS.encode()
    assert not list(tmp_path.glob(".export*"))


def test_a_file_is_replaced_on_request(fetcher, job, tmp_path):
    """`--force`; what a link leads to is replaced, and the link stays."""
    assert fetcher("run", job()).code == 0
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "link.csv").symlink_to("there.csv")
    assert fetcher("export", job(), tmp_path / "link.csv", "--force").code == 0
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "there.csv").read_text().startswith(LABELLED)


def test_a_job_that_has_not_been_run_has_nothing_to_export(fetcher, job, tmp_path):
    """Exit 65, as for status and verify; no file is made."""
    ran = fetcher("export", job(), tmp_path / "out.csv")
    assert ran.code == 65
    assert "no ledger here; the job has not been run yet" in ran.err
    assert not (tmp_path / "out.csv").exists()


def test_a_header_alone_comes_back(fetcher, job, tmp_path):
    """A table without lines is a table."""
    assert fetcher("run", job("id,review\n")).code == 0
    assert fetcher("export", job("id,review\n"), "-", "--format", "csv").out == "id,review\n"
    assert fetcher("export", job("id,review\n"), tmp_path / "a.parquet").code == 0
    assert pyarrow.parquet.read_table(tmp_path / "a.parquet").column_names == ["id", "review"]


def test_a_reader_that_goes_away_is_no_trouble(tmp_path):
    """As behind `| head`."""
    job = job_in(tmp_path, "write.rotate.records=1000000")
    settle(job, done(1, 100_000, "x" * 20))
    told = command("export", job.file, "-")
    with subprocess.Popen(told, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline().startswith('{"day":1,')
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode != 0
    assert "Traceback" not in said


STOPPED = """
import os, signal, sys
from fetcher.export import tables
from fetcher.cli import main

def names_in(lines, first):
    next(iter(lines))
    os.kill(os.getpid(), int(os.environ["SIGNAL"]))
    raise AssertionError("the signal did nothing")

tables.names_in = names_in
main(sys.argv[1:])
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_an_export_that_is_stopped_leaves_nothing(tmp_path, monkeypatch, number, code):
    """No draft, no half file."""
    job = job_in(tmp_path)
    settle(job, done(1, 3))
    monkeypatch.setenv("SIGNAL", str(int(number)))
    before = sorted(one.name for one in tmp_path.iterdir())
    told = [sys.executable, "-c", STOPPED, "export", str(job.file), str(tmp_path / "out.csv")]
    ran = subprocess.run(told, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == code, ran.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == before


@pytest.mark.parametrize(("few", "many"), [(20_000, 200_000), pytest.param(100_000, 1_000_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", ["out.csv", "out.parquet"])
def test_ten_times_the_records_take_the_same_memory(fetcher, tmp_path, name, few, many):
    """At most 1.3 times, which is what noise takes."""

    def peak(records: int) -> int:
        folder = tmp_path / str(records)
        folder.mkdir()
        job = job_in(folder, "write.rotate.records=1000000")
        part = records // 10
        settle(job, *(done(day, part, "The parcel came late. " * 10) for day in range(1, 11)))
        ran = fetcher("export", job.file, folder / name, anew=True)
        assert f"{records:,} records" in ran.err
        return ran.peak_bytes

    small, large = peak(few), peak(many)
    print(f"{few:,} records {small / 1e6:.1f} MB, {many:,} records {large / 1e6:.1f} MB: {large / small:.2f} times")
    assert large < 1.3 * small
