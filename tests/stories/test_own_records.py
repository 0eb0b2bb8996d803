"""A job without `[fetch]`: its rows are records, and annotators do the work."""

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fetcher import read_records
from fetcher.errors import JobError
from fetcher.job.load import load_job
from fetcher.launch import run
from fetcher.model import RowState
from fetcher.progress import summary
from fetcher.tabular.delimited import delimited_parts
from fetcher.tabular.lines import Cells, Line, TableFile
from tests import reviews

JOB = f"{reviews.JOB}{reviews.WRITE}"
REVIEWS = """id,review
1,Delivered late and broken
2,"Fine,
thanks"
3,
"""


@pytest.fixture
def job(tmp_path):
    """`job(text)`: the path of a job file with that text, beside its table."""

    def written(text: str = JOB, table: str = REVIEWS) -> str:
        (tmp_path / "reviews.csv").write_text(table)
        (tmp_path / "job.toml").write_text(text)
        return str(tmp_path / "job.toml")

    return written


def test_a_table_is_labelled_without_a_request(fetcher, output, job, tmp_path):
    """Its columns stay text as it stands; a second run finds everything done."""
    ran = fetcher("run", job())
    assert ran.code == 0, ran.err
    records = output(tmp_path / "out").records()
    assert sorted(records, key=lambda record: record["id"]) == [
        {"id": "1", "review": "Delivered late and broken", "topics": ["logistics", "quality"]},
        {"id": "2", "review": "Fine,\nthanks", "topics": []},
        {"id": "3", "review": "", "topics": []},
    ]
    again = fetcher("run", job())
    assert again.code == 0, again.err
    assert len(output(tmp_path / "out").records()) == 3


def test_how_records_are_worked_at_may_be_said_and_nothing_else(fetcher, output, job, tmp_path):
    """There is no answer that could be parsed; how long a record may take changes none."""
    work = '[parse]\nworkers = 1\ntimeout = "5 s"\n'
    assert fetcher("run", job(JOB.replace("[write]", work + "[write]"))).code == 0
    assert len(output(tmp_path / "out").records()) == 3
    assert fetcher("run", job()).code == 0
    for told in ('format = "csv"', 'records = "a"', 'function = "job.py:parse"'):
        refused = fetcher("run", job(JOB.replace("[write]", f"{work}{told}\n[write]")))
        assert refused.code == 78
        assert "fetch: this section is missing; without it [parse] has timeout, memory and workers alone" in refused.err


def test_a_new_line_alone_is_labelled(fetcher, output, job, tmp_path):
    """And rules that changed label everything anew, on request, from the rows as they are."""
    assert fetcher("run", job()).code == 0
    assert fetcher("run", job(table=REVIEWS + "4,broken\n")).code == 0
    assert len(output(tmp_path / "out").records()) == 4
    changed = job(JOB.replace('"broken"', '"fine"'), REVIEWS + "4,broken\n")
    refused = fetcher("run", changed)
    assert refused.code == 78
    assert "--reparse" in refused.err
    assert fetcher("run", changed, "--reparse").code == 0


@pytest.mark.parametrize("command", ["check", "plan", "status", "verify", "preview"])
def test_every_command_takes_such_a_job(fetcher, job, command):
    """None speaks of requests that nobody makes."""
    assert fetcher("run", job()).code == 0
    ran = fetcher(command, job())
    assert ran.code == 0, ran.err
    assert "localhost" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("removed", "message"),
    [
        ('[[annotate]]\ninto = "topics"\n[annotate.rules]\nfield = "review"\n', "or, where the rows are records"),
        ('name = "reviews"\n', "name: this key is required"),
    ],
)
def test_a_section_that_was_forgotten_is_named(fetcher, job, removed, message):
    """A job that adds nothing has rather lost its [fetch]."""
    text = JOB.replace(removed, "")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("rule =") or removed[0] != "[")
    ran = fetcher("run", job(text))
    assert ran.code == 78
    assert message in ran.err


def test_each_field_says_where_it_is_from_on_request(fetcher, output, job, tmp_path):
    """Its annotator, what tells its rules from what they were before, and when; of a skipped record nothing."""
    rules = "[annotate.rules]"
    text = JOB.replace(rules, f'provenance = true\nwhen = "review"\n{rules}')
    lookup = "[[annotate]]\nlookup = { table = 'names.csv', field = 'id', take = ['name'] }\nprovenance = true\n[write]"
    (tmp_path / "names.csv").write_text("id,name\n1,Ann\n")
    text = text.replace("[write]", lookup)
    assert fetcher("run", job(text)).code == 0
    found = {record["id"]: record for record in output(tmp_path / "out").records()}
    assert [list(found[key]) for key in "123"] == [
        ["id", "review", "topics", "name", "_provenance"],
        ["id", "review", "topics", "name", "_provenance"],
        ["id", "review", "name", "_provenance"],
    ]
    told = found["1"]["_provenance"]
    assert {field: origin["annotator"] for field, origin in told.items()} == {
        "topics": "rules",
        "name": "lookup names.csv",
    }
    assert found["3"]["_provenance"] == {"name": told["name"]}
    for origin in told.values():
        assert re.fullmatch("[0-9a-f]{8}", origin["version"])
        assert datetime.fromisoformat(origin["at"]).tzinfo == UTC
    (tmp_path / "names.csv").write_text("id,name\n1,Anne\n")
    assert fetcher("run", job(text), "--reparse").code == 0
    frames = [frame for frame in read_records(tmp_path / "out", latest=True)]
    (newest,) = [record for frame in frames for record in frame.to_dict("records") if record["id"] == "1"]
    now = newest["_provenance"]
    assert now["topics"]["version"] == told["topics"]["version"]
    assert now["name"]["version"] != told["name"]["version"]


def test_records_labelled_anew_are_the_rows_of_a_child_that_they_were(fetcher, job, tmp_path):
    """Where their fields are from is no part of them for a job that reads them."""
    text = JOB.replace("[annotate.rules]", "provenance = true\n[annotate.rules]")
    child = JOB.replace("reviews", "child").replace('folder = "out"', 'folder = "child"')
    child = child.replace('[read.table]\npath = "child.csv"', '[read.records]\njob = "job.toml"')
    (tmp_path / "child.toml").write_text(child)
    job(text)
    ran = fetcher("run", tmp_path / "child.toml")
    assert "child: 3 rows = 3 done" in ran.err, ran.err
    job(text.replace('"broken"]', '"broken", "shattered"]'))
    assert fetcher("run", tmp_path / "job.toml", "--reparse").code == 0
    ran = fetcher("run", tmp_path / "child.toml")
    assert "child: 3 rows = 3 done (3 of them in earlier runs)" in ran.err, ran.err


def test_a_failing_line_is_told_with_its_number_and_content(fetcher, job, tmp_path):
    """In the summary, by `failures list` and by `failures show`: one that no function takes, and one that is none."""
    function = "def score(record):\n    return 1 / len(record['review'])\n"
    (tmp_path / "labels.py").write_text(function)
    text = JOB.replace("[write]", '[[annotate]]\ninto = "score"\nfunction = "labels.py:score"\n[write]')
    told = job(text, REVIEWS + "4,a,b\n")
    ran = fetcher("run", told)
    assert ran.code == 3
    raised = "reviews.csv:5 score raised ZeroDivisionError: division by zero (labels.py, line 2): id=3, review="
    bad = "reviews.csv:6 expected 2 fields, got 3: 4,a,b"
    assert f"1 x quarantined: {raised}\n" in ran.err
    assert f"1 x quarantined: {bad}\n" in ran.err
    listed = fetcher("failures", "list", told).out
    assert f"\t{raised}\n" in listed
    assert f"\t{bad}\n" in listed
    shown = fetcher("failures", "show", told).out
    assert f"reason   {raised}\n" in shown
    assert "asked    nobody: the row is the record of reviews.csv:5: id=3, review=\n" in shown
    assert "asked    nobody: the line could not be read\n" in shown


@pytest.mark.parametrize("key", ["", 'key = ["id"]'])
def test_an_edited_table_labels_only_new_and_changed_rows(fetcher, job, tmp_path, key):
    """Lines may move. Without read.key a changed line is a new row, beside the records of the old one; with it the new
    records take their place. The function keeps account of what it was given."""
    given = tmp_path / "given"
    (tmp_path / "labels.py").write_text(
        f"def score(record):\n    with open({str(given)!r}, 'a') as file:\n        file.write(record['id'])\n"
    )
    text = JOB.replace("[write]", '[[annotate]]\ninto = "score"\nfunction = "labels.py:score"\n[write]')
    text = text.replace("[read.table]", f"[read]\n{key}\n[read.table]")
    first = "id,review\n1,late\n2,fine\n3,broken\n"
    assert fetcher("run", job(text, first)).code == 0
    given.write_text("")
    ran = fetcher("run", job(text, "id,review\n3,broken\n4,new\n1,late\n2,late\n"))
    assert ran.code == 0, ran.err
    assert sorted(given.read_text()) == ["2", "4"]
    newest = [row for frame in read_records(tmp_path / "out", latest=True) for row in frame.to_dict("records")]
    assert sorted(row["id"] for row in newest) == (["1", "2", "3", "4"] if key else ["1", "2", "2", "3", "4"])
    assert [row["review"] for row in newest if row["id"] == "2"] == (["late"] if key else ["fine", "late"])


def test_a_run_over_a_table_that_somebody_writes_to_is_to_be_continued(job, monkeypatch):
    """Its rows are labelled; the run says that there may be more, and the next one is whole."""
    told = Path(job())

    def written_to(file: TableFile) -> Iterator[Cells | list[Line]]:
        yield from delimited_parts(file)
        os.utime(told.with_name("reviews.csv"), (0, 0))

    monkeypatch.setattr("fetcher.read.tables.delimited_parts", written_to)
    report = run(load_job(told, {}))
    assert report.exit_code == 75
    assert report.tally.by_state()[RowState.DONE] == 3
    assert "reviews.csv changed while it was read: run again for what is new" in summary(report)
    assert run(load_job(told, {})).exit_code == 0


SCORE = "function = 'labels.py:score'"
SCORED = f"{SCORE}\ninto = 'x'"
NAMES = "lookup = { table = 'reviews.csv', field = 'ids', column = 'id', take = ['id'] }"


def labels_of(field: str) -> str:
    """An annotator with rules that look at a field."""
    return f"into = 'a'\nrules = {{ field = '{field}', rule = [{{ label = 'a', terms = ['b'] }}] }}"


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ([labels_of("Review")], "[0].rules.field: no record has 'Review': they have 'id' and 'review'"),
        ([NAMES], "[0].lookup.field: no record has 'ids'"),
        ([SCORE, labels_of("x")], ""),
        ([SCORED, labels_of("x")], ""),
        ([SCORED, labels_of("y")], "[1].rules.field: no record has 'y': they have 'id', 'review' and 'x'"),
    ],
)
def test_a_field_that_no_record_has_is_a_fault(job, tmp_path, sections, message):
    """A rule that looks at it would label nothing, in silence. What a function adds without `into` cannot be known."""
    (tmp_path / "labels.py").write_text("def score(record):\n    return {}\n")
    annotators = "".join(f"[[annotate]]\n{section}\n" for section in sections)
    text = JOB[: JOB.index("[[annotate]]")] + annotators + JOB[JOB.index("[write]") :]
    if not message:
        load_job(Path(job(text)), {})
        return
    with pytest.raises(JobError) as caught:
        load_job(Path(job(text)), {})
    assert message in str(caught.value)


LOOKUP = '[[annotate]]\n[annotate.lookup]\ntable = "topics.csv"\nfield = "id"\ntake = ["topic"]\n'


@pytest.mark.parametrize("before", ["", LOOKUP])
def test_a_record_that_a_condition_cannot_be_told_of_costs_itself(fetcher, output, job, tmp_path, before):
    """Here and in a worker, whichever annotator was before: the others are written, the reason names the line."""
    (tmp_path / "topics.csv").write_text("id,topic\n1,a\n2,b\n3,c\n")
    condition = 'into = "topics"\nwhen = "id != \'2\' || abs(review)"'
    text = JOB.replace("[[annotate]]", before + "[[annotate]]").replace('into = "topics"', condition)
    ran = fetcher("run", job(text, "id,review\n1,late\n2,broken\n3,fine\n"))
    assert ran.code == 3, ran.err
    assert "reviews.csv:3 'when' cannot be told" in ran.err
    assert [record["id"] for record in output(tmp_path / "out").records()] == ["1", "3"]


def test_a_text_that_a_pattern_hangs_at_is_not_taken_for_the_last_one_of_the_step_before(
    fetcher, output, job, tmp_path
):
    """What a worker has noted of one annotator says nothing of the next: it is found alone, and costs itself."""
    (tmp_path / "topics.csv").write_text("id,topic\n1,a\n")
    rule = JOB[JOB.index("rule = ") : JOB.index("\n[write]")]
    text = JOB.replace("[[annotate]]", LOOKUP + "[[annotate]]").replace(
        rule, """rule = [{ label = "odd", patterns = ["(?!y)(x+x+)+z"] }]\n[parse]\nworkers = 1\ntimeout = "1 s\""""
    )
    ran = fetcher("run", job(text, f"id,review\n1,fine\n2,{'x' * 40} z\n3,fine\n4,fine\n"))
    assert ran.code == 3, ran.err
    assert [record["id"] for record in output(tmp_path / "out").records()] == ["1", "3", "4"]
