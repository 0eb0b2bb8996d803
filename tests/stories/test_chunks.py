"""Rows that are records, a chunk at a time: what holds for a row holds for each of a thousand."""

import hashlib
import json
import random
import sqlite3
from functools import partial

import pytest

from tests.reviews import JOB, LENGTH, WRITE
from tests.stories.conftest import ROOT
from tests.stories.feeds import until

SOURCE = """
import os

def length(record):
    if record["review"] == "raises":
        raise ValueError("no length")
    if record["review"] == "kills":
        os.kill(os.getpid(), 9)
    if record["review"] == "no number":
        return float("nan")
    return len(record["review"])
"""
ROWS = 3000
FRAMES = """
[[annotate]]
into = "length"
function = "labels.py:length"
frames = true
[parse]
workers = {workers}
"""
FRAME_SOURCE = """
import os, time

def length(frame):
    if "raises" in set(frame["review"]):
        raise ValueError("no length")
    if "kills" in set(frame["review"]):
        os.kill(os.getpid(), 9)
    while "hangs" in set(frame["review"]):
        pass
    found = frame["review"].str.len()
    return found.where(frame["review"] != "no number")
"""


@pytest.fixture
def job(tmp_path):
    """`job(reviews, more)`: the path of a job over a table with these reviews; `more` goes in before its folder."""

    def written(reviews, more="", write=""):
        lines = "".join(f"{number},{review}\n" for number, review in enumerate(reviews))
        (tmp_path / "reviews.csv").write_text(f"id,review\n{lines}")
        (tmp_path / "labels.py").write_text(SOURCE)
        (tmp_path / "job.toml").write_text(f"{JOB}{more}{WRITE}{write}")
        return str(tmp_path / "job.toml")

    return written


def states(folder):
    with sqlite3.connect(folder / ".fetcher" / "ledger.sqlite") as ledger:
        return dict(ledger.execute("SELECT state, COUNT(*) FROM rows GROUP BY state"))


def check_ranges(folder):
    """The ledger names for each row the number of its own line, by that line's digest."""
    lines = [line for file in sorted(folder.glob("records-*")) for line in file.read_bytes().splitlines(True)]
    with sqlite3.connect(folder / ".fetcher" / "ledger.sqlite") as ledger:
        found = ledger.execute("SELECT first_record, digest FROM rows WHERE state = 'done'").fetchall()
    assert sorted(number for number, _ in found) == list(range(len(lines)))
    assert all(hashlib.sha256(lines[number]).digest() == digest for number, digest in found)


def test_records_come_in_the_order_of_the_table(fetcher, output, job, tmp_path):
    """Each once, equal lines as often as they are there, and the ledger knows where each of them lies."""
    chance = random.Random(1)
    reviews = [chance.choice(["late", "broken", "late and broken", "fine"]) for _ in range(ROWS)]
    ran = fetcher("run", job(reviews))
    assert ran.code == 0, ran.err
    records = output(tmp_path / "out").records()
    assert [record["review"] for record in records] == reviews
    assert [record["id"] for record in records] == [str(number) for number in range(ROWS)]
    assert all(("late" in record["review"]) == ("logistics" in record["topics"]) for record in records)
    check_ranges(tmp_path / "out")
    assert fetcher("verify", tmp_path / "job.toml").code == 0


def test_a_record_that_cannot_be_taken_costs_itself_alone(fetcher, output, job, tmp_path):
    """One that a function raises for, one that it dies of, one that is no JSON, a line that cannot be read."""
    reviews = ["fine"] * 200
    reviews[50], reviews[100], reviews[150], reviews[160] = "raises", "kills", "no number", "too,many"
    ran = fetcher("run", job(reviews, LENGTH))
    assert ran.code == 3, ran.err
    kept = [number for number in range(200) if number not in (50, 100, 150, 160)]
    assert [record["id"] for record in output(tmp_path / "out").records()] == [str(number) for number in kept]
    assert states(tmp_path / "out") == {"done": 196, "quarantined": 4}
    check_ranges(tmp_path / "out")
    failures = (tmp_path / "out" / "failures.jsonl").read_text()
    assert "no length" in failures
    assert "died" in failures
    assert "reviews.csv:162 expected 2 fields, got 3" in failures


@pytest.mark.parametrize("workers", [0, 2])
def test_a_function_has_many_records_at_once(fetcher, output, job, tmp_path, workers):
    """Each gets its own value, in the order of the table; what cannot be taken costs itself alone."""
    reviews = ["x" * (number % 50) + "late" for number in range(ROWS)]
    reviews[50], reviews[1500] = "raises", "no number"
    path = job(reviews, FRAMES.format(workers=workers))
    (tmp_path / "labels.py").write_text(FRAME_SOURCE)
    ran = fetcher("run", path)
    assert ran.code == 3, ran.err
    records = output(tmp_path / "out").records()
    assert [record["id"] for record in records] == [str(number) for number in range(ROWS) if number not in (50, 1500)]
    assert all(record["length"] == len(record["review"]) for record in records)
    assert all(
        type(record["length"]) is int and record["topics"] == ["logistics"] * (record["length"] == 4)
        for record in records
    )
    failures = [json.loads(line) for line in (tmp_path / "out" / "failures.jsonl").read_text().splitlines()]
    nan = "length gave nan, which JSON cannot hold: give None, or fill it (.fillna)"
    assert sorted(failure["reason"] for failure in failures) == [
        f"reviews.csv:1502 {nan}: id=1500, review=no number",
        "reviews.csv:52 length raised ValueError: no length (labels.py, line 6): id=50, review=raises",
    ]
    check_ranges(tmp_path / "out")


def test_a_record_that_ends_or_holds_the_worker_of_a_frame_costs_itself_alone(fetcher, output, job, tmp_path):
    """Its frame is done again record by record, so it is known after one more timeout, however many there were."""
    reviews = ["late"] * 300
    reviews[100], reviews[200] = "kills", "hangs"
    path = job(reviews, FRAMES.format(workers=2) + 'timeout = "4 s"\n')
    (tmp_path / "labels.py").write_text(FRAME_SOURCE)
    ran = fetcher("run", path)
    assert ran.code == 3, ran.err
    records = output(tmp_path / "out").records()
    assert [record["id"] for record in records] == [str(number) for number in range(300) if number not in (100, 200)]
    failures = [json.loads(line) for line in (tmp_path / "out" / "failures.jsonl").read_text().splitlines()]
    assert sorted(failure["reason"].partition(": ")[0] for failure in failures) == [
        "reviews.csv:102 the parser's process died (SIGKILL; out of memory?)",
        "reviews.csv:202 the parser took longer than 4 s and was stopped",
    ]


RUNAWAY = "a" * 60 + "!"


def test_a_pattern_that_runs_away_costs_the_record_alone(fetcher, output, job, tmp_path):
    """One that only `re` can do, which looks ahead: the record is known after a second timeout."""
    path = job(["late"] * 250 + [RUNAWAY] + ["late"] * 250, '[parse]\nworkers = 2\ntimeout = "2 s"\n')
    text = (tmp_path / "job.toml").read_text()
    (tmp_path / "job.toml").write_text(text.replace('terms = ["broken"]', 'patterns = ["(?!x)(a+)+$"]'))
    ran = fetcher("run", path)
    assert ran.code == 3, ran.err
    assert [record["id"] for record in output(tmp_path / "out").records()] == [
        str(number) for number in range(501) if number != 250
    ]
    (failure,) = [json.loads(line) for line in (tmp_path / "out" / "failures.jsonl").read_text().splitlines()]
    assert failure["reason"].startswith("reviews.csv:252 the parser took longer than 2 s and was stopped")


def test_a_pattern_cannot_run_away_with_the_extra(fetcher, output, job, tmp_path):
    """Even without a process that could be stopped: the time that it takes grows with the text alone."""
    path = job(["late", RUNAWAY, "aaa"], "[parse]\nworkers = 0\n")
    text = (tmp_path / "job.toml").read_text()
    (tmp_path / "job.toml").write_text(text.replace('terms = ["broken"]', 'patterns = ["(a+)+$"]'))
    ran = fetcher("run", path)
    assert ran.code == 0, ran.err
    assert [record["topics"] for record in output(tmp_path / "out").records()] == [["logistics"], [], ["quality"]]


def test_what_failed_is_taken_up_again_alone(fetcher, output, job, tmp_path):
    """`--only failed`, once the function is mended."""
    path = job(["fine", "raises", "late"], LENGTH)
    assert fetcher("run", path).code == 3
    (tmp_path / "labels.py").write_text(SOURCE.replace('"raises"', '"never"'))
    assert fetcher("run", path, "--only", "failed", "--as-is").code == 0
    assert [record["id"] for record in output(tmp_path / "out").records()] == ["0", "2", "1"]
    check_ranges(tmp_path / "out")


def test_repeats_by_key_are_dropped(fetcher, output, job, tmp_path):
    """Within a chunk, over chunks and over runs."""
    reviews = ["late", "fine"] * 500
    ran = fetcher("run", job(reviews, write='key = ["review"]'))
    assert ran.code == 0, ran.err
    assert [record["review"] for record in output(tmp_path / "out").records()] == ["late", "fine"]
    assert "998 repeats" in ran.err + ran.out


def test_a_line_that_changed_under_its_key_is_labelled_again(fetcher, output, job, tmp_path):
    """Its record takes the place of the one before; the others are left alone."""
    more = '[read]\nkey = ["id"]\n'
    path = job(["late", "fine", "broken"])
    (tmp_path / "job.toml").write_text(JOB.replace("[read.table]", f"{more}[read.table]") + WRITE)
    assert fetcher("run", path).code == 0
    (tmp_path / "reviews.csv").write_text("id,review\n0,late\n1,broken\n2,broken\n")
    ran = fetcher("run", path)
    assert ran.code == 0, ran.err
    assert [record["id"] for record in output(tmp_path / "out").records()] == ["0", "1", "2", "1"]


def test_reparse_labels_everything_anew(fetcher, job, tmp_path):
    """By the rules as they are now; each row has one record then."""
    path = job(["late", "fine", "broken"] * 300)
    assert fetcher("run", path).code == 0
    (tmp_path / "job.toml").write_text(JOB.replace('"broken"', '"fine"') + WRITE)
    ran = fetcher("run", path, "--reparse")
    assert ran.code == 0, ran.err
    ran = fetcher("export", path, tmp_path / "all.jsonl")
    assert ran.code == 0, ran.err
    records = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert len(records) == 900
    assert all((record["review"] == "fine") == ("quality" in record["topics"]) for record in records)


def has_done(ledger, least: int) -> bool:
    """Whether more rows than that are done."""
    return ledger.exists() and done_rows(ledger) > least


def test_a_killed_run_goes_on_without_loss_or_repeat(fetcher, start, output, job, tmp_path):
    """kill -9 twice; the last run ends well, and each row has its record once."""
    slow = LENGTH.replace("length", "slow")
    path = job([f"late {number}" for number in range(2000)], slow)
    (tmp_path / "labels.py").write_text("import time\n\ndef slow(record):\n    time.sleep(0.002)\n    return 1\n")
    ledger = tmp_path / "out" / ".fetcher" / "ledger.sqlite"
    for least in (200, 400):
        process = start("run", path)
        until(partial(has_done, ledger, least), process)
        process.kill()
        process.wait()
    ran = fetcher("run", path)
    assert ran.code == 0, ran.err
    assert sorted(int(record["id"]) for record in output(tmp_path / "out").records()) == list(range(2000))
    check_ranges(tmp_path / "out")


def test_reviews_get_their_topics_by_the_shipped_rules(fetcher, output, tmp_path):
    """`configs/review_topics.toml`, over the reviews beside it."""
    ran = fetcher("run", ROOT / "configs" / "review_topics.toml", "--set", f"write.folder='{tmp_path / 'out'}'")
    assert ran.code == 0, ran.err
    records = output(tmp_path / "out").records()
    assert [record["id"] for record in records] == sorted((record["id"] for record in records), key=int)
    assert records[0]["because"] == {"quality": "soft"}
    assert records[1]["topics"] == ["quality"]


def done_rows(ledger):
    try:
        with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as reader:
            return reader.execute("SELECT COUNT(*) FROM rows").fetchone()[0]
    except sqlite3.Error:
        return 0
