"""The JSON Schema: every key explained, and in agreement with what the loader reads."""

import re
from typing import Any

import pytest

from fetcher.job import job_schema
from fetcher.job.units import parse_duration, parse_rate, parse_size


def definitions() -> Any:
    """The sections by name."""
    return job_schema()["$defs"]


def sections(schema):
    return [schema, *schema["$defs"].values()]


def test_every_key_has_a_description():
    """An editor shows it to somebody who has never read the manual."""
    for section in sections(job_schema()):
        assert section["description"]
        assert section["additionalProperties"] is False
        for key, entry in section["properties"].items():
            assert len(entry.get("description", "")) > 15, key


def test_defaults_are_written_as_a_job_file_writes_them():
    """A default that an editor inserts must load: "30 s", and not 30.0."""
    fetch = definitions()["Fetch"]["properties"]
    assert fetch["timeout"]["default"] == "30 s"
    assert fetch["max_body"]["default"] == "64 MB"
    assert "'type': 'null'" not in str(job_schema())


def test_keys_are_named_as_in_the_file():
    """`from` is a word of Python and a key of the file."""
    dates = definitions()["Dates"]
    assert set(dates["properties"]) == {"from", "to", "every", "timezone", "lookback", "order"}
    assert dates["required"] == ["from"]
    assert job_schema()["required"] == ["name", "read", "write"]
    assert job_schema()["dependentRequired"] == {"fetch": ["parse"]}


@pytest.mark.parametrize(
    ("section", "key", "parse"),
    [("Fetch", "timeout", parse_duration), ("Fetch", "max_body", parse_size), ("Limits", "rate", parse_rate)],
)
def test_the_examples_of_a_unit_fit_its_pattern_and_load(section, key, parse):
    """An editor and the loader agree on what is right, and a variable is right for both."""
    entry = definitions()[section]["properties"][key]
    entry = entry.get("anyOf", [entry])[0]
    for example in entry["examples"]:
        assert re.search(entry["pattern"], example)
        parse(example)
    assert re.search(entry["pattern"], "${TIMEOUT:-3} s")
    assert not re.search(entry["pattern"], "30")
