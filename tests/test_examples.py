"""Examples beside a job: what holds, what does not, and how it is told."""

import socket

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fetcher.cli import main
from fetcher.examples import DIFF_SHOWN, record_lines, texts_of

JOB = """\
name = "tried"
read.dates = { from = "2024-01-01", to = "2024-01-05" }
parse.records = "rows[]"
write.folder = "data"
[fetch]
base_url = "https://api.example.org"
url = "/v1"
query = { date = "{date}", key = "${secret:NOT_SET_KEY}" }
limits.rate = "1/s"
[[fetch.expect]]
body = "error == 'busy'"
action = "retry"
[[fetch.expect]]
body = "error == 'key'"
action = "stop"
[[fetch.expect]]
status = [404]
action = "empty"
"""
GOOD = """\
[[example]]
name = "two records"
row = { date = 2024-01-01 }
request = "GET https://api.example.org/v1?date=2024-01-01&key=***"
state = "done"
records = '''
{"b": null, "a": 1}
{"a": 2.0}
'''
answers = [{ body = '{"rows": [{"a": 1.0, "b": null}, {"a": 2}]}' }]

[[example]]
name = "a rule calls it empty"
row = { date = 2024-01-01 }
state = "empty"
records = []
answers = [{ status = 404 }]

[[example]]
name = "a rule asks again"
row = { date = 2024-01-01 }
state = "gave up"
reason = "busy"
answers = [{ json = { error = "busy" } }]
"""
BAD = """\
[[example]]
name = "wrong in every way"
row = { date = 2024-01-01 }
request = "GET https://api.example.org/v2"
state = "empty"
reason = "nothing"
records = [{ a = 1 }, { a = 3 }]
answers = [{ json = { rows = [{ a = 1 }, { a = 2 }] } }, { status = 404 }]

[[example]]
name = "a row without its date"
state = "done"
answers = [{ status = 404 }]

[[example]]
name = "a rule ends the run"
row = { date = 2024-01-01 }
state = "done"
answers = [{ json = { error = "key" } }]
"""
TOLD = """\
job.test.toml: 3 examples, 3 failed
  FAILED wrong in every way
         request: expected GET https://api.example.org/v2
                  got      GET https://api.example.org/v1?date=2024-01-01&key=***
         state: expected empty, got done
         reason: expected 'nothing' in it, got ''
         records: expected 2, got 2
         @@ -1,2 +1,2 @@
          {"a":1}
         -{"a":3}
         +{"a":2}
         1 of the 2 answers was not asked for
  FAILED a row without its date
         state: expected done, got refused {date} in '{date}' has no value: the row has no 'date'
         1 of the 1 answers was not asked for
  FAILED a rule ends the run
         the run would end here: HTTP 200 {"error":"key"}: a rule in fetch.expect ends the run here; run again when \
that is over
"""
PAGED = """\
[[example]]
name = "two pages"
row = { date = 2024-01-01 }
state = "done"
records = [{ a = 1 }, { a = 2 }]
answers = [{ json = { rows = [{ a = 1 }], next = "c2" } }, { json = { rows = [{ a = 2 }] } }]

[[example]]
name = "the first of more"
row = { date = 2024-01-01 }
state = "waiting"
records = [{ a = 1 }]
answers = [{ json = { rows = [{ a = 1 }], next = "c2" } }]
"""


@pytest.fixture
def tried(tmp_path, monkeypatch):
    """`tried(examples, code)`: what `fetcher test` says of these; no socket may be opened for it."""

    def refuse(*_: object) -> None:
        raise AssertionError("something was sent")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("NOT_SET_KEY", "")
    (tmp_path / "job.toml").write_text(JOB)

    def run(text: str, code: int, *arguments: str) -> str:
        (tmp_path / "job.test.toml").write_text(text)
        ran = CliRunner().invoke(main, ["test", str(tmp_path / "job.toml"), *arguments])
        assert ran.exit_code == code, ran.output
        return ran.output

    return run


def test_examples_that_hold_exit_0(tried, tmp_path):
    """Numbers and the order of keys are compared by meaning, no secret is needed, and no folder is made."""
    assert tried(GOOD, 0) == (
        "job.test.toml: 3 examples, none failed\n"
        "  ok     two records\n"
        "  ok     a rule calls it empty\n"
        "  ok     a rule asks again\n"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["job.test.toml", "job.toml"]


def test_examples_that_do_not_hold_say_how_and_exit_3(tried):
    """A snapshot: request, state, reason, a diff of records, answers that were left over, a run that would end."""
    assert tried(BAD, 3) == TOLD


def test_pages_are_asked_for_as_a_run_does(tried):
    """Answers in order; where they end before the pages do, the row waits."""
    assert "none failed" in tried(PAGED, 0, "--set", "fetch.pages={kind='cursor', next='next'}")
    assert "1 of the 2 answers was not asked for" in tried(PAGED, 3)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("example = []", ["job.test.toml:1:1 expected at least one [[example]], got none"]),
        ("", ["job.test.toml:1:1 example: this key is required and missing"]),
        ("[[example]]\nname = 'x'\n", ["job.test.toml:1:3 example[0].answers: this key is required and missing"]),
        (
            "[[example]]\nname = 'x'\nanswers = [{ body = 'a', json = 1 }]\n",
            ["job.test.toml:3:12 example[0].answers[0]: expected one of 'body', 'json' and 'file'"],
        ),
        (
            "[[example]]\nname = 'x'\nanswers = [{ file = 'none.json', stat = 1 }]\n",
            [
                "job.test.toml:3:14 example[0].answers[0].file: 'none.json' cannot be read: No such file or directory",
                "job.test.toml:3:34 example[0].answers[0].stat: unknown key",
            ],
        ),
        (
            "[[example]]\nname = 'x'\nanswers = []\nstate = 'did'",
            [
                "job.test.toml:4:1 example[0].state: expected 'done', 'empty', 'refused', 'gave up', 'quarantined', "
                "'unknown', 'discarded' or 'waiting', got 'did'"
            ],
        ),
        (
            "[[example]]\nname = 'x'\nanswers = [{}]\n",
            ["job.test.toml:1:3 example[0]: expects nothing: say 'records', 'state', 'reason' or 'request'"],
        ),
    ],
)
def test_faults_of_the_file_are_told_with_their_places(tried, tmp_path, text, faults):
    """All at once, exit 78."""
    found = tried(text, 78).replace(f"{tmp_path}/", "").removeprefix("fetcher: ").splitlines()
    assert found == faults


def test_a_job_without_examples_is_told_how_to_get_some(tmp_path):
    """Exit 78, for nothing was tried."""
    (tmp_path / "job.toml").write_text(JOB)
    ran = CliRunner().invoke(main, ["test", str(tmp_path / "job.toml")])
    assert ran.exit_code == 78
    assert "job.test.toml there is no such file; `fetcher test JOB --record` makes one" in ran.output


def test_a_broken_parser_fails_its_examples(tried, tmp_path):
    """It runs in a worker, as in a run; what it raises is the row's reason."""
    (tmp_path / "mine.py").write_text(
        "def parse(body, row):\n    yield {'n': len(body), 'day': str(row['date'])}\n    1 / 0\n"
    )
    job = JOB.replace('parse.records = "rows[]"', 'parse.function = "mine.py:parse"')
    (tmp_path / "job.toml").write_text(job)
    told = tried(GOOD.partition('\n[[example]]\nname = "a rule calls')[0], 3)
    assert "state: expected done, got quarantined ZeroDivisionError" in told


@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers(0, 9) | st.none(), max_size=3), max_size=100))
def test_a_diff_is_short_and_empty_only_where_nothing_differs(records):
    """However many records there are."""
    text = "".join(f"{line}\n" for line in texts_of(records))
    assert list(record_lines("records", records, text.encode())) == []
    lines = list(record_lines("records", [*records, {"one": "more"}], text.encode()))
    assert lines[0] == f"records: expected {len(records) + 1:,}, got {len(records):,}"
    assert len(lines) <= DIFF_SHOWN + 2


BATCHED = """\
[[example]]
name = "one of a batch"
row = { date = 2024-01-01 }
request = "GET https://api.example.org/v1?date=2024-01-01&key=***"
records = [{ day = "2024-01-01", a = 1 }]
answers = [{ json = [{ day = "2024-01-01", a = 1 }, { day = "2024-01-02", a = 2 }] }]
"""
POLLED = """\
[[example]]
name = "a job that takes a while"
row = { date = 2024-01-01 }
state = "done"
records = [{ a = 1 }]
answers = [
    { status = 202, json = { id = "j1" } },
    { json = { state = "running" } },
    { json = { state = "done" } },
    { json = { rows = [{ a = 1 }] } },
]
"""


def test_a_row_of_a_batch_is_told_apart_as_in_a_run(tried):
    """The answer is the API's, to a batch of this row alone."""
    batch = "fetch.batch={size=2, each=['date'], match={answer='day', row='{date}'}}"
    assert "none failed" in tried(BATCHED, 0, "--set", batch, "--set", "parse.records='@'")


def test_a_job_at_the_server_is_followed_without_waiting(tried, monkeypatch):
    """Submitted, looked at twice, fetched: a minute between two looks passes at once."""

    async def refuse(_drain: object, wait_s: float) -> bool:
        raise AssertionError(f"waits for {wait_s} s")

    monkeypatch.setattr("fetcher.stations.undisturbed", refuse)
    ways = "path='/jobs/{job}', result_path='/jobs/{job}/rows'"
    poll = f"fetch.poll={{id='id', {ways}, done=\"state == 'done'\", every='1 min'}}"
    assert "none failed" in tried(POLLED, 0, "--set", poll)


TABLED = """\
[[example]]
name = "places beside readings"
row = { date = 2024-01-01 }
records = [{ a = 1 }]
tables.places = [{ id = "p" }, { id = "q" }]
answers = [{ json = { rows = [{ a = 1 }], places = [{ id = "p" }, { id = "PLACE" }] } }]
"""


def test_further_tables_are_held_against_the_file_too(tried):
    """By their names."""
    tables = ["--set", "write.tables.places={records='places[]'}"]
    assert "none failed" in tried(TABLED.replace("PLACE", "q"), 0, *tables)
    assert "tables.places: expected 2, got 2\n" in tried(TABLED, 3, *tables)
    assert "tables.places: expected 2, got 0\n" in tried(TABLED, 3)


def test_where_fields_are_from_is_no_part_of_an_example():
    """It has a time, and a version that changes with every rule."""
    assert texts_of('{"a":1,"_provenance":{"a":{"at":"2024"}}}') == texts_of([{"a": 1}])
