"""`--set KEY=VALUE`: any key, the value as TOML, the last one wins."""

import pytest

from fetcher.job.overrides import read_override


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("fetch.limits.concurrency=8", ("fetch", "limits", "concurrency"), 8),
        ('name = "a=b"', ("name",), "a=b"),
        ('fetch.headers."X=Y.Z"="v"', ("fetch", "headers", "X=Y.Z"), "v"),
        ('fetch.limits={rate = "1/s"}', ("fetch", "limits"), {"rate": "1/s"}),
        ('fetch.limits.rate=["1/s",\n"2/min"]', ("fetch", "limits", "rate"), ["1/s", "2/min"]),
    ],
)
def test_an_override_is_one_assignment_of_toml(override, path, value):
    """Keys are dotted and may be quoted; an equals sign in quotes belongs to the text."""
    assert read_override(override) == (path, value)


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("name=x", "--set name: the value is not TOML; text needs quotes of its own: --set 'KEY=\"text\"'"),
        ("name=", "--set name: the value is not TOML"),
        ("name", "--set name: expected KEY=VALUE, such as fetch.limits.concurrency=8"),
        ("", "--set: expected KEY=VALUE"),
        ("=3", "--set: expected KEY=VALUE"),
        ('name="a"\nparse.workers=1', "--set name: expected one KEY=VALUE"),
        ("name.first=1", "--set name.first: 'name' is not a table, so nothing can be set in it"),
        ("colour=1", "--set colour: unknown key; known here: name"),
    ],
)
def test_a_wrong_override_is_a_fault_that_names_it(faults_of, override, line):
    """A fault of the command line points at the command line, not at a line of the file."""
    (fault,) = faults_of(overrides=[override])
    assert fault.startswith(f"job.toml {line}")


def test_overrides_replace_what_the_file_says_and_the_last_one_wins(load):
    """A key is set whether or not the file has it, and is checked like the file's own."""
    job = load(overrides=["fetch.limits.concurrency=8", "fetch.limits.concurrency=9", 'name="other"'])
    assert job.fetch.limits.concurrency == 9
    assert job.name == "other"


def test_faults_of_file_and_overrides_come_together(faults_of):
    """One run of the program shows all that is wrong."""
    lines = faults_of(("records", "record"), overrides=["name=x", "fetch.retries.attempts=0"])
    assert [line.split(": ")[0] for line in lines] == [
        "job.toml --set fetch.retries.attempts",
        "job.toml --set name",
        "job.toml:8:2 parse",
        "job.toml:9:1 parse.record",
    ]
