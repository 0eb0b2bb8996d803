"""Records are labelled on their way, and labelled anew without a request."""

import json
import re
from pathlib import Path

import pytest
from aiohttp import web

from fetcher import read_records
from fetcher.job.load import load_job
from tests.stories.conftest import Output
from tests.stories.feeds import days, make_job, serving

DOCS = Path(__file__).parents[2] / "docs" / "annotate.md"
ASKING = re.compile(r"^\[annotate\.(service|model)", re.MULTILINE)
TOPICS = """\
[[rule]]
label = "odd"
terms = ["one", "three"]
"""
LABELS = "def score(record):\n    return record['number'] * 2\n"
FRAMES = "def urgency(frame):\n    return frame['text'].str.len()\n"
ANNOTATE = """
[[annotate]]
into = "topics"
rules = { field = "text", table = "topics.toml" }
[[annotate]]
into = "score"
function = "labels.py:score"
when = "topics"
[[annotate]]
lookup = { table = "days.csv", field = "day", column = "date", take = { weekday = "name" } }
"""


def answer(day: str) -> web.Response:
    words = ["zero", "one", "two", "three"]
    return web.json_response({"items": [{"day": day, "number": n, "text": f"Number {words[n]}."} for n in range(4)]})


@pytest.fixture
def feed():
    with serving(answer) as feed:
        yield feed


@pytest.fixture
def job(tmp_path, feed):
    job = make_job(tmp_path, feed.url, 3, ANNOTATE)
    (tmp_path / "topics.toml").write_text(TOPICS)
    (tmp_path / "labels.py").write_text(LABELS)
    (tmp_path / "days.csv").write_text("date,name\n2019-01-01,Tuesday\n2019-01-03,Thursday\n")
    return job


def by_day(job: Path) -> dict[str, list[dict]]:
    found: dict[str, list[dict]] = {}
    for record in Output(job.parent / "out").records():
        found.setdefault(record["day"], []).append(record)
    return found


def test_the_records_of_an_answer_are_a_frame(fetcher, feed, job):
    """Those that the annotator is for; numbers are text there."""
    job.write_text(job.read_text().replace('"labels.py:score"', '"labels.py:score"\nframes = true'))
    (job.parent / "labels.py").write_text("def score(frame):\n    return frame['number'] + f' of {len(frame)}'\n")
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    assert [record.get("score") for record in by_day(job)["2019-01-02"]] == [None, "1 of 2", None, "3 of 2"]


def test_records_are_labelled_on_their_way(fetcher, feed, job):
    """By rules, by a function for those that the rules have labelled, and from a table."""
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    found = by_day(job)
    assert sorted(found) == days(3)
    assert [record["topics"] for record in found["2019-01-02"]] == [[], ["odd"], [], ["odd"]]
    assert [record.get("score") for record in found["2019-01-02"]] == [None, 2, None, 6]
    assert {day: records[0]["weekday"] for day, records in found.items()} == {
        "2019-01-01": "Tuesday",
        "2019-01-02": None,
        "2019-01-03": "Thursday",
    }


@pytest.mark.parametrize(
    ("name", "text", "new", "old"),
    [
        ("topics.toml", TOPICS.replace("odd", "uneven"), '"uneven"', '"odd"'),
        ("labels.py", LABELS.replace("2", "3"), '"score": 9', '"score": 2'),
        ("days.csv", "date,name\n2019-01-01,Mardi\n", '"Mardi"', '"Tuesday"'),
    ],
)
def test_a_changed_rule_labels_everything_anew_without_a_request(fetcher, feed, job, name, text, new, old):
    """The run says so, and `--reparse` does it from kept answers."""
    assert fetcher("run", job).code == 0
    (job.parent / name).write_text(text)
    feed.taken()
    assert fetcher("run", job).code == 78
    assert fetcher("run", job, "--reparse").code == 0
    assert feed.taken() == []
    assert fetcher("verify", job).code == 0
    frames = [frame.to_dict("records") for frame in read_records(job.parent / "out", latest=True)]
    assert sum(map(len, frames)) == 12
    assert (new in json.dumps(frames), old in json.dumps(frames)) == (True, False)


def test_an_annotator_that_raises_costs_its_own_row(fetcher, feed, job):
    """The other days come."""
    (job.parent / "labels.py").write_text("def score(record):\n    return 1 / (record['day'] != '2019-01-02')\n")
    ran = fetcher("run", job)
    assert ran.code == 3
    assert sorted(by_day(job)) == ["2019-01-01", "2019-01-03"]
    assert "score raised ZeroDivisionError" in ran.out + ran.err


def test_faults_of_annotators_are_told_with_all_others(fetcher, feed, job):
    """With the place in the job file, before any request."""
    job.write_text(
        job.read_text()
        .replace("topics.toml", "missing.toml")
        .replace("labels.py:score", "labels.py:scores")
        .replace('into = "score"', 'into = ""')
    )
    ran = fetcher("run", job)
    assert ran.code == 78
    assert "missing.toml" in ran.err
    assert "did you mean 'score'?" in ran.err
    assert "annotate[1].into" in ran.err
    assert feed.taken() == []


def test_the_examples_of_the_documentation_are_a_job(fetcher, feed, job):
    """All of them together, their files beside them; but for whole jobs, and those that ask somebody."""
    blocks = re.findall(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    blocks = [block for block in blocks if not (ASKING.search(block) or block.startswith("name ="))]
    topics = next(block for block in blocks if block.startswith("[[rule]]"))
    (job.parent / "topics.toml").write_text(topics)
    (job.parent / "stations.csv").write_text("id,name,district\n1,a,b\n")
    (job.parent / "labels.py").write_text(LABELS + FRAMES)
    annotators = "\n".join(block for block in blocks if block.startswith("[[annotate]]") and "image" not in block)
    job.write_text(job.read_text().partition("\n[[annotate]]")[0] + "\n" + annotators)
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    record = by_day(job)["2019-01-01"][1]
    assert (record["topics"], record["score"], record["station"], record["urgency"]) == ([], 2, None, 11)


def test_the_examples_that_ask_somebody_load(job):
    """Each with a job around it."""
    blocks = re.findall(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    asking = [block for block in blocks if ASKING.search(block)]
    head = job.read_text().partition("\n[[annotate]]")[0]
    for block in asking:
        job.write_text(f"{head}\n{block}")
        assert load_job(job, {"MODEL_KEY": "a model's key"}).asking
    assert len(asking) >= 3
