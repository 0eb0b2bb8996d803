"""What is said of an exception: its class, its words, and the line that somebody can mend."""

import csv
import json
import sysconfig
from pathlib import Path

import pytest

from fetcher.engines import tracebacks
from fetcher.engines.functions import function_of
from fetcher.engines.tracebacks import described, is_own, trace_of

SOURCE = """
import json
import helper
from lxml import etree

def directly(text):
    raise KeyError(text)

def by_a_library(text):
    return json.loads(text)

def back_and_forth(text):
    return json.loads(text, object_hook=lambda found: found["no such key"])

def by_compiled_code(text):
    return etree.fromstring(text)

def by_another_file(text):
    return helper.help(text)
"""


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("directly", "x", "(labels.py, line 7)"),
        ("by_a_library", "x", "(labels.py, line 10)"),
        ("back_and_forth", "{}", "(labels.py, line 13)"),
        ("by_compiled_code", "<a", "(labels.py, line 16)"),
        ("by_another_file", "x", "(helper.py, line 2)"),
    ],
)
def test_the_place_is_the_innermost_of_the_jobs_own_code(tmp_path, monkeypatch, name, text, place):
    """A line inside of a library is nothing that anybody could mend; the traceback has it all the same."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "labels.py").write_text(SOURCE)
    (tmp_path / "helper.py").write_text("def help(text):\n    return int(text)\n")
    function = function_of(str(tmp_path / "labels.py"), name)
    with pytest.raises((KeyError, ValueError, SyntaxError)) as caught:
        function(text)
    assert described(caught.value).endswith(place)
    if name == "by_a_library":
        assert "decoder.py" in trace_of(caught.value)


def test_libraries_python_and_this_program_are_not_the_jobs():
    """Wherever they are installed."""
    foreign = [json.__file__, csv.__file__, pytest.__file__, tracebacks.__file__, "<string>", "<frozen posixpath>"]
    foreign += ["src/lxml/parser.pxi", "strptime.pyx", "src/charset_normalizer/md.py"]  # compiled from these
    foreign += ["/usr/lib/python3/dist-packages/pandas/core/frame.py", f"{sysconfig.get_paths()['purelib']}/x.py"]
    assert [is_own(file) for file in foreign] == [False] * len(foreign)
    assert is_own("/srv/weather/labels.py")
    assert is_own(str(Path(__file__)))


def test_what_no_code_of_the_job_has_raised_has_its_own_place():
    """Rather that of a library than none."""
    assert described(ValueError("x")) == "ValueError: x"
    with pytest.raises(ValueError, match="Expecting") as caught:
        json.loads("x")
    assert caught.value.__traceback__
    assert "decoder.py" in described(caught.value.with_traceback(caught.value.__traceback__.tb_next))
