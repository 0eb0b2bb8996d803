"""Group C of the fault catalogue, and answers of several shapes: what only a whole run shows."""

import gzip
import json

import pytest
from aiohttp import web

from tests.stories.feeds import days, make_job, serving

TABLE = "# provisional\nstation;value\nS1;12.5\nS2;---\n"
CSV = """
format = "csv"
csv = { delimiter = ";", comment = "#" }
null = ["---"]
types.value = "float"
[parse.fields]
day = "{date}"
station = "station"
value = "value"
"""
EXPECT = """
records = "items[]"
expect = { types = { day = "text", number = "text" }, required = ["day"] }
"""


@pytest.fixture
def job_of(tmp_path):
    """`job_of(feed, parse=TOML, count=...)`: a job with that section."""

    def made(feed, parse, count=2, more=""):
        job = make_job(tmp_path, feed.url, count, more)
        job.write_text(job.read_text().replace('records = "items[]"', parse))
        return job

    return made


def reasons(folder):
    """Why rows failed, by row."""
    lines = (folder / "failures.jsonl").read_text().splitlines()
    return {failure["row"]: failure["reason"] for failure in map(json.loads, lines)}


def by_day(found, day="day"):
    """Rows end in any order, the records of one stay in theirs."""
    return sorted(found, key=lambda record: record[day])


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_becomes_records_without_code(fetcher, output, tmp_path, job_of, packed):
    """CSV in another charset, named by the header; packed in gzip besides, by a worker. The day is the row's."""
    body = TABLE.replace("S2", "Zürich").encode("iso-8859-1")
    kind = "application/gzip" if packed else "text/csv; charset=ISO-8859-1"
    parse = f'unpack = "gzip"\nencoding = "iso-8859-1"\n{CSV}' if packed else CSV

    def answer(_day):
        return web.Response(body=gzip.compress(body) if packed else body, headers={"Content-Type": kind})

    with serving(answer) as feed:
        ran = fetcher("run", job_of(feed, parse))
        assert ran.code == 0, ran.err
    assert by_day(output(tmp_path / "out").records()) == [
        {"day": day, "station": station, "value": value}
        for day in days(2)
        for station, value in (("S1", 12.5), ("Zürich", None))
    ]


def test_h18_a_page_instead_of_data_is_told_by_its_type(fetcher, output, tmp_path, job_of):
    """The reason names what was expected and what came; the days around it are there."""

    def answer(day):
        if day == days(3)[1]:
            return web.Response(text="<html>Please log in</html>", content_type="text/html")
        return web.json_response({"items": [{"day": day}]})

    with serving(answer) as feed:
        ran = fetcher("run", job_of(feed, 'records = "items[]"', count=3))
    assert ran.code == 3
    assert by_day(output(tmp_path / "out").records()) == [{"day": days(3)[0]}, {"day": days(3)[2]}]
    ((row, reason),) = reasons(tmp_path / "out").items()
    assert (row, reason[:30]) == (days(3)[1], "expected JSON, got text/html; ")


def test_c13_drift_is_told_at_the_end(fetcher, output, tmp_path, job_of):
    """Added up over all answers; a missing field that is required costs its row, and nothing else does."""

    def answer(day):
        good = {"day": day, "number": 1, "new": True}
        return web.json_response({"items": [good, {**good, "number": 2}] if day != days(3)[1] else [{"number": "2"}]})

    with serving(answer) as feed:
        ran = fetcher("run", job_of(feed, EXPECT, count=3))
    assert ran.code == 3
    assert "drift: 4 records: new field 'new'" in ran.out + ran.err
    assert "drift: 4 records: 'number' is int, expected text" in ran.out + ran.err
    assert reasons(tmp_path / "out") == {days(3)[1]: "record 1 has no 'day', which parse.expect.required names"}
    assert len(output(tmp_path / "out").records()) == 4


def test_another_shape_asks_for_nothing_again(fetcher, output, tmp_path, job_of):
    """Kept answers are parsed by the new section; the old records are superseded."""
    with serving(
        lambda day: web.json_response({"at": day, "items": [{"n": f"{day[-1]}1"}, {"n": f"{day[-1]}2"}]})
    ) as feed:
        assert fetcher("run", job_of(feed, 'records = "items[]"')).code == 0
        feed.taken()
        job = job_of(feed, 'records = "items[]"\ntypes.n = "int"\nfields = { at = "^.at", n = "n" }')
        assert fetcher("run", job).code == 78
        ran = fetcher("run", job, "--reparse")
        assert ran.code == 0, ran.err
        assert feed.taken() == []
    assert by_day(output(tmp_path / "out").records()[-4:], "at") == [
        {"at": day, "n": int(day[-1] + n)} for day in days(2) for n in "12"
    ]


def test_c14_a_record_larger_than_a_file_has_a_file_of_its_own(fetcher, output, tmp_path, job_of):
    """And is never split."""

    def answer(day):
        return web.json_response({"items": [{"day": day, "text": "x" * 5000}, {"day": day, "text": ""}]})

    with serving(answer) as feed:
        ran = fetcher("run", job_of(feed, 'records = "items[]"', more='rotate.bytes = "1 kB"\n'))
        assert ran.code == 0, ran.err
    assert [len(record["text"]) for record in output(tmp_path / "out").records()] == [5000, 0, 5000, 0]
    for file in (tmp_path / "out").glob("records-*.jsonl"):
        assert all(json.loads(line) for line in file.read_text().splitlines())
