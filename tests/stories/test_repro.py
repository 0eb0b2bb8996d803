"""An answer that was set aside is parsed again by itself, until it works."""

import json
import stat

import pytest

from fetcher.model import RowState
from tests.stories.feeds import days, make_job, published, serving, states
from tests.stories.services import FREE, make_names_job, serving_services

BAD = days(1)[0]
PARSER = """\
import ctypes, json, os, time

def parse(body, row):
    items = json.loads(body)["items"]
    if str(row["date"]) == "{bad}":
        print("looking at", row["date"])
        {deed}
    yield from items
"""


@pytest.fixture
def feed():
    with serving(published) as feed:
        yield feed


def parser(tmp_path, deed):
    """The job's function, with what it does to one day."""
    (tmp_path / "parser.py").write_text(PARSER.format(bad=BAD, deed=deed))


def job_with(tmp_path, feed, deed, *more):
    """A job whose function does something to one day; `more` are lines of its parse section and what follows."""
    job = make_job(tmp_path, feed.url)
    lines = [line for line in job.read_text().splitlines() if not line.startswith("records =")]
    at = lines.index("[parse]") + 1
    job.write_text("\n".join([*lines[:at], 'function = "parser.py:parse"', *more, *lines[at:], ""]))
    parser(tmp_path, deed)
    return job


def repros(tmp_path):
    """The files that are kept."""
    return sorted((tmp_path / "out" / ".fetcher" / "repros").glob("*"))


def test_a_row_that_raised_is_done_again_until_it_works(fetcher, tmp_path, feed):
    """The traceback shows the function's own line; once it is mended the row is taken in without a request."""
    job = job_with(tmp_path, feed, "raise KeyError('station')")
    assert fetcher("run", job).code == 3
    again = fetcher("failures", "repro", job, BAD)
    assert again.code == 3
    assert "it still fails: KeyError: 'station' (parser.py, line 7)" in again.out
    assert "raise KeyError('station')" in again.out
    assert f"printed: looking at {BAD}" in again.out
    assert "changed since" not in again.out
    parser(tmp_path, "pass")
    mended = fetcher("failures", "repro", job, BAD)
    assert mended.code == 0
    assert "changed since: the job's parse part" in mended.out
    assert "it works now: 3 records; `fetcher run --reparse` takes the row up again" in mended.out
    feed.taken()
    assert fetcher("run", "--reparse", job).code == 0
    assert feed.taken() == []
    assert repros(tmp_path) == []


@pytest.mark.parametrize(
    ("deed", "reason"),
    [("ctypes.string_at(0)", "died (SIGSEGV)"), ("os._exit(5)", "died (exit code 5)"), ("time.sleep(600)", "longer")],
)
def test_a_row_that_took_its_worker_along_does_so_alone(fetcher, tmp_path, feed, deed, reason):
    """In a worker of its own, with the job's limits: whoever looks into it is not taken along."""
    job = job_with(tmp_path, feed, deed, 'timeout = "2 s"')
    assert fetcher("run", job).code == 3
    again = fetcher("failures", "repro", job, BAD)
    assert again.code == 3
    assert reason in again.out.split("it still fails:")[1]
    if "SIGSEGV" in reason:
        assert "parser.py" in again.out.split("Fatal Python error")[1]


def test_an_answer_that_no_cache_keeps_is_kept_for_its_owner_until_it_is_given_up(fetcher, tmp_path, feed):
    """Nobody else reads it; a row that is discarded takes it along."""
    job = job_with(tmp_path, feed, "raise ValueError(row)", "[fetch.cache]", 'keep = "none"')
    assert fetcher("run", job).code == 3
    (kept,) = repros(tmp_path)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    told = json.loads(kept.read_text())
    assert told["values"]["date"] == ["date", BAD]
    assert {"python", "polite-fetcher", "msgspec"} <= set(told["versions"])
    feed.taken()
    assert "date(2019" in fetcher("failures", "repro", job, BAD).out
    assert feed.taken() == []
    assert fetcher("failures", "discard", job, BAD).code == 0
    assert repros(tmp_path) == []
    assert fetcher("failures", "repro", job, BAD).code == 2


def test_p02_an_answer_that_kills_its_worker_is_tried_once(fetcher, tmp_path, feed):
    """Neither the same run nor the next one tries it again, so it ends in no loop."""
    job = job_with(tmp_path, feed, f"open({str(tmp_path / 'tries')!r}, 'a').write('x'); os._exit(1)")
    assert fetcher("run", job).code == 3
    assert fetcher("run", job).code == 3
    assert (tmp_path / "tries").read_text() == "x"
    assert states(tmp_path / "out")[RowState.QUARANTINED] == 1


SKIPPING = """\
name = "names"
read.table = { path = "names.csv" }
[fetch]
base_url = "URL"
url = "/place/{name}"
skip = { blank = ["name"], answer = { name = "nobody" } }
[parse]
function = "parser.py:parse"
[write]
folder = "out"
"""


def test_an_answer_that_the_job_states_is_done_again_without_a_request(fetcher, tmp_path):
    """Its row has none: a blank is no part of a path. It failed for what its parser says."""
    (tmp_path / "names.csv").write_text("id,name\n0,ann\n1,\n")
    (tmp_path / "parser.py").write_text("import json\n\ndef parse(body, row):\n    yield json.loads(body)['place']\n")
    with serving_services() as services:
        job = tmp_path / "job.toml"
        job.write_text(SKIPPING.replace("URL", services.url))
        assert fetcher("run", job).code == 3
        assert states(tmp_path / "out") == {RowState.DONE: 1, RowState.QUARANTINED: 1}
        ((key, _),) = [line.split("\t", 1) for line in fetcher("failures", "list", job).out.splitlines()]
        again = fetcher("failures", "repro", job, key)
    assert again.code == 3
    assert "it still fails: KeyError: 'place' (parser.py, line 4)" in again.out


BEHIND = """\
import os

def broken(record):
    print("at", record["city"])
    if record["id"] == "1":
        {deed}
    return record["length"]
"""


@pytest.mark.parametrize(
    ("deed", "reason"),
    [("raise KeyError('station')", "KeyError: 'station' (more.py, line 6)"), ("os._exit(5)", "died")],
)
def test_what_failed_behind_an_annotator_that_asks_is_done_again_by_itself(fetcher, tmp_path, deed, reason):
    """With what was answered, and without a request; once it is mended the row is taken in."""
    (tmp_path / "more.py").write_text(BEHIND.format(deed=deed))
    with serving_services() as services:
        behind = '[[annotate]]\ninto = "same"\nfunction = "more.py:broken"\n'
        job = make_names_job(tmp_path, services.url, ["ann", "bo"], FREE + behind)
        assert fetcher("run", job).code == 3
        ((key, _),) = [line.split("\t", 1) for line in fetcher("failures", "list", job).out.splitlines()]
        services.taken()
        again = fetcher("failures", "repro", job, key)
        assert again.code == 3
        assert "it still fails: " in again.out
        assert reason in again.out
        (tmp_path / "more.py").write_text(BEHIND.format(deed="pass"))
        mended = fetcher("failures", "repro", job, key)
        assert mended.code == 0
        assert "printed: at city of bo" in mended.out
        assert "it works now: 1 record; `fetcher run --reparse` takes the row up again" in mended.out
        assert fetcher("run", "--reparse", job).code == 0
        assert services.taken() == {}
    assert repros(tmp_path) == []


def test_a_repro_of_an_annotator_that_is_gone_says_so(fetcher, tmp_path):
    """There is nothing that the records could be given to."""
    (tmp_path / "more.py").write_text(BEHIND.format(deed="raise KeyError"))
    with serving_services() as services:
        job = make_names_job(
            tmp_path, services.url, ["ann", "bo"], FREE + '[[annotate]]\ninto = "same"\nfunction = "more.py:broken"\n'
        )
        assert fetcher("run", job).code == 3
        ((key, _),) = [line.split("\t", 1) for line in fetcher("failures", "list", job).out.splitlines()]
        make_names_job(
            tmp_path, services.url, ["ann", "bo"], '[[annotate]]\ninto = "same"\nfunction = "more.py:broken"\n'
        )
        ran = fetcher("failures", "repro", job, key)
    assert ran.code != 0
    assert "the job has fewer of these now" in ran.err
