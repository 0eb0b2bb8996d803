"""Programs that are forked are what `python -m` would have started."""

import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from tests.stories.conftest import ROOT, quiet_environment
from tests.stories.feeds import days, make_job, published, serving
from tests.stories.programs import IMPORTED

PARSER = """\
import json

def parse(body, row):
    print("a day")
    if str(row["date"]) == "{bad}":
        raise KeyError("items")
    return json.loads(body)["items"]
"""
EXAMPLES = """\
[[example]]
name = "a day"
row = { date = 2019-01-01 }
state = "done"
records = '{"day": "2019-01-01", "number": 1}'
answers = [{ json = { items = [{ day = "2019-01-01", number = 1 }] } }]

[[example]]
name = "a day that is none"
row = { date = 2019-01-02 }
state = "done"
records = []
answers = [{ json = { items = [{ day = "2019-01-02" }] } }]
"""
TIMES = re.compile(r"^.* INFO feed: .*\n|^\S+ [\d:]+,\d+(?= INFO)|[\d.,]+ (?=s; )|\d+ commits? took \S+%", re.MULTILINE)
"""What differs between runs that take different times: how they go on, and how long they took."""


@pytest.fixture
def job(tmp_path):
    """A job of ten days, parsed by a function in two workers, that fails for one of them; with examples, of which one
    does not hold."""
    (tmp_path / "parser.py").write_text(PARSER.format(bad=days(4)[3]))
    (tmp_path / "job.test.toml").write_text(EXAMPLES)
    with serving(published) as feed:
        job = make_job(tmp_path, feed.url)
        job.write_text(job.read_text().replace('records = "items[]"', 'function = "parser.py:parse"\nworkers = 2'))
        yield job


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("run",), ("check", "no-such-job.toml"), ("walk",)])
def test_it_says_and_ends_as_one_with_an_interpreter_of_its_own(fetcher, arguments):
    """Its name, its streams, its exit code."""
    forked, anew = fetcher(*arguments), fetcher(*arguments, anew=True)
    assert (forked.code, forked.out, forked.err) == (anew.code, anew.out, anew.err)
    assert forked.out or forked.err


def test_what_tells_of_a_finished_job_is_the_same(fetcher, job):
    """To the letter, in each of its streams."""
    assert fetcher("run", job).code == 3
    for told in (("failures", "list"), ("cache", "ls"), ("status",), ("verify",), ("test",)):
        forked, anew = fetcher(*told, job), fetcher(*told, job, anew=True)
        assert (told, forked.code, forked.out, forked.err) == (told, anew.code, anew.out, anew.err)
        assert forked.out


def test_a_run_with_workers_is_the_same(fetcher, output, job, tmp_path):
    """What it says, but for the time that it took; and what it leaves."""
    found = []
    for anew in (False, True):
        ran = fetcher("run", job, anew=anew)
        found.append((ran.code, ran.out, TIMES.sub("", ran.err), sorted(output(tmp_path / "out").lines())))
        shutil.rmtree(tmp_path / "out")
    assert found[0] == found[1]
    assert found[0][0] == 3
    assert "KeyError" in found[0][2]


def test_a_signal_that_ends_it_is_its_exit_code(programs):
    """As `subprocess` has it, and none is sent to a process that has ended."""
    reading, writing = os.pipe()
    with programs.start("fetcher.testing.server", ["--port", "0"], os.environ, stdout=writing) as program:
        os.close(writing)
        with os.fdopen(reading) as url:
            assert url.readline().startswith("http://127.0.0.1:")
        assert program.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            program.wait(0)
        program.kill()
        assert program.wait() == program.poll() == -signal.SIGKILL
        program.terminate()
        assert program.returncode == -signal.SIGKILL


def test_it_ends_with_the_with(programs):
    """However long it would go on."""
    with programs.start("fetcher.testing.server", ["--port", "0"], os.environ) as program:
        assert program.poll() is None
    assert program.returncode == -signal.SIGKILL


def test_it_has_the_environment_that_it_is_given_and_no_other(programs):
    """The time zone, which the C library keeps, is of it."""
    environ = {**quiet_environment(), "TZ": "Asia/Tokyo", "COLUMNS": "50"}
    del environ["PATH"]
    with programs.start("tests.stories.surroundings", ["a", "b c"], environ) as program:
        assert program.communicate()[0].splitlines() == ["a|b c", "JST", "50", "None", str(ROOT)]


def test_settings_of_the_interpreter_come_too_late(programs):
    """Or a story that needs them would show nothing."""
    with pytest.raises(AssertionError, match="too late"), programs.start("fetcher", [], {"PYTHONPATH": "elsewhere"}):
        pass


def test_what_is_imported_starts_no_thread():
    """A process that is forked would lack it."""
    told = f"import os, {', '.join(IMPORTED)}; print(len(os.listdir('/proc/self/task')))"
    ran = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout == "1\n"
