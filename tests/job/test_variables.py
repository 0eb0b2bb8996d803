"""Variables of the environment in a job file: filled in before anything is read, and secrets never shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.job.variables import Variables
from fetcher.template import Template

HEADERS = ("[parse]", 'headers = { Authorization = "Bearer ${secret:TOKEN}" }\n[parse]')


def test_variables_are_filled_in_before_units_are_read(load):
    """`timeout = "${SECONDS} s"` is a time; a default stands in for what is not set or empty, as in a shell."""
    timeout = ("[parse]", 'timeout = "${SECONDS:-7} s"\n[parse]')
    assert load(timeout, environ={"SECONDS": "5"}).fetch.timeout == 5.0
    assert load(timeout, environ={"SECONDS": ""}).fetch.timeout == 7.0
    assert load(timeout).fetch.timeout == 7.0


def test_a_secret_is_filled_in_and_remembered(load):
    """The job holds its secrets for redaction; nothing that prints the job shows them."""
    job = load(HEADERS, environ={"TOKEN": "hunter2"})
    assert job.fetch.headers["Authorization"].fill({}) == "Bearer hunter2"
    assert job.secrets == {"hunter2"}
    assert "hunter2" not in repr(job)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${NAMEE}", "name: the environment variable NAMEE is not set; did you mean NAME?"),
        ("${secret:TOKEN}", "name: the environment variable TOKEN is not set"),
        ("${secret:EMPTY}", "name: the environment variable EMPTY is empty"),
        ("${}", "name: '${}' is not a variable; expected ${NAME}"),
        ("${a b}", "name: '${a b}' is not a variable"),
        ("${NAME", "name: '${' is never closed"),
    ],
)
def test_a_variable_that_is_not_there_is_the_only_fault_of_its_key(faults_of, text, message):
    """What stands in the file where a value is missing is not judged again."""
    (line,) = faults_of(('"air-temperature"', f'"{text}"'), environ={"NAME": "x", "EMPTY": ""})
    assert line.startswith(f"job.toml:1:1 {message}")


@pytest.mark.parametrize(
    "change",
    [
        ('"air-temperature"', '"${secret:TOKEN}"'),
        ('"https://api.example.org"', '"ftp://${secret:TOKEN}"'),
        ('"/v1/air-temperature"', '"${secret:TOKEN}"'),
        ('"items[].readings[]"', '"${secret:TOKEN}"'),
        ("[parse]", 'timeout = "${secret:TOKEN}"\n[parse]'),
        ("[parse]", 'limits.rate = ["${secret:TOKEN}"]\n[parse]'),
        ("[parse]", 'limits.smooth = "${secret:TOKEN}"\n[parse]'),
        ("[parse]", "headers = { A = ['${secret:TOKEN}'] }\n[parse]"),
        ("[parse]", 'limits = "${secret:TOKEN}"\n[parse]'),
        ("[parse]", 'limits.concurrency = ["${secret:TOKEN}"]\n[parse]'),
        ("[parse]", 'headers = { A = "${secret:TOKEN} {nothing}" }\n[parse]'),
    ],
)
def test_no_fault_shows_a_secret(faults_of, change):
    """Wherever a secret is filled in where it does not fit, it is not in the message, not even a part of it."""
    lines = faults_of(change, environ={"TOKEN": "hunter2[{ \n" + "correct horse battery staple" * 5})
    assert "hunter2" not in "\n".join(lines)
    assert "horse" not in "\n".join(lines)


def test_a_fault_of_another_key_does_not_show_a_secret_either(faults_of):
    """The step of the days is named where a slot does not fit it; a secret step is not."""
    every = ('from = "2024-01-01"', 'from = "2024-01-01"\nevery = "${secret:STEP}"')
    (line,) = faults_of(every, environ={"STEP": "7 days"})
    assert line.endswith("the rows offer {start}, {end} and {until} because read.dates.every is '***'")


@given(st.text(), st.sampled_from([("fetch", "url"), ("fetch", "query", "a"), ("fetch", "headers", "a")]))
def test_what_a_variable_holds_never_becomes_a_slot(value, path):
    """The environment is data: braces in it reach the API as braces."""
    template = Variables({"X": value, "Y": "{y}"}).fill("${X:-}{slot}${Y}", path)
    assert isinstance(template, Template)
    assert template.slots == ("slot",)
    assert template.fill({"slot": 1}) == f"{value}1{{y}}"


def test_tables_and_lists_are_filled_too_and_other_values_left():
    """Any text, however deep; a value is filled once, so a variable cannot name another."""
    tree = {"a": [{"b": "${X}"}, 1], "c": True}
    assert Variables({"X": "${X}"}).fill(tree) == {"a": [{"b": "${X}"}, 1], "c": True}
    assert Variables({"X": "x"}).fill(tree) == {"a": [{"b": "x"}, 1], "c": True}
