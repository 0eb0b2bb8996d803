"""A table is asked about, line by line: run, killed, edited."""

import subprocess
import sys

import pytest

from fetcher.model import RowState
from tests.stories.feeds import in_order, records, serving, states, until

JOB = """\
name = "table"
[read]
{key}
[read.table]
path = "{path}"
require = ["Station Name"]
[fetch]
base_url = "{url}"
url = "/stations"
query = {{ date = "{{Station Name}}" }}
limits.concurrency = 4
[parse]
records = "items[]"
[write]
folder = "out"
"""


@pytest.fixture
def feed():
    with serving() as feed:
        yield feed


@pytest.fixture
def job(tmp_path, feed):
    """`job(lines of the table)` writes table and job; more calls edit the table."""

    def make(*lines, key="", path="t.csv"):
        (tmp_path / "t.csv").write_text("\n".join(["id,Station Name", *lines]) + "\n")
        file = tmp_path / "job.toml"
        file.write_text(JOB.format(url=feed.url, key=key, path=path))
        return file

    return make


def held(names):
    return in_order([record for name in names for record in records(name)])


def test_every_line_is_accounted_for(fetcher, output, tmp_path, feed, job):
    """Rows with answers, bad lines with their numbers, skipped lines; blank lines are nothing. Again: nothing to do."""
    told = job("1,Ang Mo Kio", "", "2", "3,", '4,"Ang" Mo', "5,Clementi")
    ran = fetcher("run", told)
    assert ran.code == 3, ran.err
    assert "4 rows = 2 done + 2 quarantined" in ran.err
    assert "1 line skipped: blank where read.table.require wants something" in ran.err
    assert sorted(feed.taken()) == ["Ang Mo Kio", "Clementi"]
    assert in_order(output(tmp_path / "out").records()) == held(["Ang Mo Kio", "Clementi"])
    failures = (tmp_path / "out" / "failures.jsonl").read_text()
    assert "t.csv:4 expected 2 fields, got 1: 2" in failures
    assert "t.csv:6 has text behind a closing quote" in failures
    assert fetcher("run", told).code == 3
    assert feed.taken() == []
    for command in ("status", "verify", "plan"):
        ran = fetcher(command, told)
        assert ran.code == 0, ran.err
    assert "0 of 4 rows would be asked for" in ran.out


def test_an_edited_table_asks_only_for_what_is_new_or_changed(fetcher, tmp_path, feed, job):
    """Lines may move; one that is mended is a new row."""
    assert fetcher("run", job("1,A", "2,B", "3,C", "4")).code == 3
    feed.taken()
    ran = fetcher("run", job("3,C", "1,A", "2,BB", "4,D"))
    assert ran.code == 0, ran.err
    assert sorted(feed.taken()) == ["BB", "D"]


def test_a_line_that_changes_under_its_key_replaces_its_records(fetcher, tmp_path, feed, job):
    """read.key: the newest records are those of the line as it is now; a column that no request has asks nothing."""
    from fetcher import read_records

    key = 'key = ["id"]'
    assert fetcher("run", job("1,A", "2,B", key=key)).code == 0
    feed.taken()
    ran = fetcher("run", job("2,C", "1,A", key=key))
    assert ran.code == 0, ran.err
    assert feed.taken() == ["C"]
    newest = [row for frame in read_records(tmp_path / "out", latest=True) for row in frame.to_dict("records")]
    assert in_order(newest) == held(["A", "C"])
    assert fetcher("verify", job("2,C", "1,A", key=key)).code == 0


def test_s18_equal_lines_are_two_rows_and_ask_once(fetcher, output, tmp_path, feed, job):
    """Each has its records; what was asked for one is not asked for the other."""
    assert fetcher("run", job("1,A")).code == 0
    ran = fetcher("run", job("1,A", "1,A", "2,A"))
    assert "3 rows = 3 done" in ran.err
    assert feed.taken() == ["A"]
    assert len(output(tmp_path / "out").lines()) == 9


def test_a_run_over_a_table_that_is_killed_goes_on(fetcher, start, output, tmp_path, feed, job):
    """Every record once."""
    names = [f"S{number:03}" for number in range(300)]
    told = job(*(f"{number},{name}" for number, name in enumerate(names)))
    process = start("run", told, "--set", 'fetch.limits.rate="200/s"', "--set", "write.rotate.records=60")
    until(lambda: list((tmp_path / "out").glob("records-*")), process)
    process.kill()
    process.wait()
    ran = fetcher("run", told)
    assert ran.code == 0, ran.err
    assert in_order(output(tmp_path / "out").records()) == held(names)
    assert states(tmp_path / "out") == {RowState.DONE: 300}


def test_a_table_may_come_through_a_pipe(tmp_path, feed, job):
    """`path = "-"`."""
    told = job(path="-")
    ran = subprocess.run(
        [sys.executable, "-m", "fetcher", "run", str(told)],
        input=b"id,Station Name\r\n1,A\r\n2,B\r\n", capture_output=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert sorted(feed.taken()) == ["A", "B"]


def test_a_pipe_that_never_gives_does_not_hold_the_program(tmp_path, feed, job):
    """A stop ends the run at once, everything committed."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fetcher", "run", str(job(path="-"))], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin
    process.stdin.write(b"id,Station Name\n" + b"".join(b"%d,S%d\n" % (number, number) for number in range(250)))
    process.stdin.flush()
    until(lambda: len(feed.asked) >= 200, process)
    process.terminate()
    _, told = process.communicate()
    assert process.returncode == 143, told
    assert b"Traceback" not in told
    assert b"Fatal" not in told


@pytest.mark.parametrize(("few", "many"), [(3_000, 30_000), pytest.param(30_000, 1_000_000, marks=pytest.mark.slow)])
def test_k09_ten_times_the_lines_take_the_same_memory(fetcher, tmp_path, job, few, many):
    """At most 1.3 times, which is what noise takes, and 36 bytes a line, by which equal lines are told."""

    def peak(rows):
        told = job(*(f"{number},station {number}" for number in range(rows)))
        ran = fetcher("plan", told, anew=True)
        assert f"{rows:,} of {rows:,} rows would be asked for" in ran.out, ran.err
        return ran.peak_bytes

    small, large = peak(few), peak(many)
    print(f"{few:,} lines {small / 1e6:.1f} MB, {many:,} lines {large / 1e6:.1f} MB: {large / small:.2f} times")
    assert large < 1.3 * small + 36 * (many - few)
