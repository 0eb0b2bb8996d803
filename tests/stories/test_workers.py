"""What answers do to the workers of a run, and that it costs nobody else."""

import json

import pytest

from fetcher.model import RowState
from tests.stories.feeds import days, expected, in_order, make_job, published, serving, states

CANARY = "C4n4ry+S3cret/of=ours"
MANY = 1000
CRASHING, HANGING, HUGE = days(MANY)[100], days(MANY)[500], days(MANY)[501]
PARSER = """\
import ctypes, json, time

def parse(body, row):
    day = str(row["date"])
    if day == "{crashing}":
        ctypes.string_at(0)
    while day == "{hanging}":
        pass
    if day == "{huge}":
        bytearray(10_000_000_000)
    yield from json.loads(body)["items"]
"""
PLAIN_PARSER = """\
import json

def parse(body, row):
    return json.loads(body)["items"]
"""
WHEREABOUTS = """\
import json, multiprocessing, threading

def parse(body, row):
    with open("{file}", "a") as file:
        is_worker = multiprocessing.parent_process() is not None
        file.write(("a worker" if is_worker else threading.current_thread().name) + "\\n")
    return json.loads(body)["items"]
"""
NOSY_PARSER = """\
import json, os, subprocess, sys
from pathlib import Path

def parse(body, row):
    seen = [Path("/proc/self/environ").read_text(), Path("/proc/self/cmdline").read_text(), str(dict(os.environ))]
    seen.append(subprocess.run(["env"], capture_output=True, text=True, check=True).stdout)
    Path("{seen}").write_text("\\n".join(seen))
    yield from json.loads(body)["items"]
"""


@pytest.fixture
def feed():
    with serving(published) as feed:
        yield feed


def with_function(job, text, *more):
    """The job, whose records a function of its own makes; `more` are lines of its parse section."""
    (job.parent / "parser.py").write_text(text)
    lines = ['function = "parser.py:parse"', *more]
    job.write_text(job.read_text().replace('records = "items[]"', "\n".join(lines)))
    return job


def test_p01_p03_p04_three_bad_answers_of_a_thousand_cost_three_rows(fetcher, output, tmp_path, feed):
    """One crashes its worker, one hangs, one wants ten gigabytes: exactly they are set aside, with their reasons."""
    text = PARSER.format(crashing=CRASHING, hanging=HANGING, huge=HUGE)
    job = with_function(make_job(tmp_path, feed.url, MANY), text, "workers = 2", 'timeout = "5 s"', 'memory = "1 GB"')
    ran = fetcher("run", job)
    assert ran.code == 3, ran.err
    bad = {CRASHING, HANGING, HUGE}
    assert in_order(output(tmp_path / "out").records()) == [
        record for record in expected(MANY) if record["day"] not in bad
    ]
    assert states(tmp_path / "out") == {RowState.DONE: MANY - 3, RowState.QUARANTINED: 3}
    failed = map(json.loads, (tmp_path / "out" / "failures.jsonl").read_text().splitlines())
    assert {line["row"]: line["reason"] for line in failed} == {
        CRASHING: "the parser's process died (SIGSEGV)",
        HANGING: "the parser took longer than 5 s and was stopped",
        HUGE: "the parser needed more than 1 GB of memory (parser.py, line 10)",
    }


def test_p15_no_secret_is_in_a_workers_environment_or_arguments(fetcher, tmp_path, feed, monkeypatch):
    """Nor in those of a program that it starts; what is no secret stays."""
    seen = tmp_path / "seen"
    job = make_job(tmp_path, feed.url, 1)
    job.write_text(job.read_text().replace("[parse]", '[fetch.headers]\nX-Key = "a ${secret:CANARY}"\n[parse]'))
    with_function(job, NOSY_PARSER.format(seen=seen))
    for name, value in {"CANARY": CANARY, "CANARY_URL": f"https://{CANARY}@there", "HARMLESS": "harmless"}.items():
        monkeypatch.setenv(name, value)
    assert fetcher("run", job).code == 0
    assert "harmless" in seen.read_text()
    assert CANARY not in seen.read_text()


@pytest.mark.parametrize("workers", [0, 1])
def test_p14_no_code_of_the_job_runs_where_requests_are_made(fetcher, tmp_path, feed, workers):
    """However small an answer is: nothing that it does can hold the loop up."""
    job = with_function(make_job(tmp_path, feed.url, 2), WHEREABOUTS.format(file=tmp_path / "where"))
    assert fetcher("run", job, "--set", f"parse.workers={workers}").code == 0
    assert set((tmp_path / "where").read_text().splitlines()) == {"fetcher-parser" if workers == 0 else "a worker"}


def test_without_processes_a_thread_does_the_work(fetcher, output, tmp_path, feed):
    """What raises costs its row, and what is printed is not our output."""
    bad = days(5)[4]
    text = PLAIN_PARSER.replace("return", f"print(1 / (str(row['date']) != {bad!r})); return")
    ran = fetcher("run", with_function(make_job(tmp_path, feed.url), text), "--set", "parse.workers=0")
    assert (ran.code, ran.out) == (3, ""), ran.err
    assert "1 x quarantined: ZeroDivisionError: division by zero (parser.py, line 4)" in ran.err
    assert "parsers printed 9 lines" in ran.err
    assert in_order(output(tmp_path / "out").records()) == [one for one in expected(10) if one["day"] != bad]


def test_a_system_whose_processes_share_no_locks_does_the_work_too(fetcher, output, tmp_path, feed, monkeypatch):
    """As in some sandboxes: no run ends for it, and it says so."""
    (tmp_path / "sitecustomize.py").write_text(
        "import multiprocessing.context as c\n"
        "def none(self): raise OSError(38, 'Function not implemented')\n"
        "c.BaseContext.RLock = none\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ran = fetcher("run", with_function(make_job(tmp_path, feed.url), PLAIN_PARSER), anew=True)
    assert ran.code == 0, ran.err
    assert "answers are parsed in a thread" in ran.err
    assert in_order(output(tmp_path / "out").records()) == expected(10)
