"""A job without `[fetch]`: its rows are records, and annotators do the work."""

import pytest

JOB = """
name = "reviews"
[read.table]
path = "reviews.csv"
[[annotate]]
into = "topics"
[annotate.rules]
field = "review"
rule = [{ label = "logistics", terms = ["late", "deliver*"] }, { label = "quality", terms = ["broken"] }]
[write]
folder = "out"
"""
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
        assert "fetch: this section is missing; without it [parse] has timeout and workers alone" in refused.err


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
