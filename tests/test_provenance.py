"""Where fields are from: said in the record, and no part of what the record says."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.provenance import PROVENANCE, Origin, lasting, note

FIRST = Origin("rules topics.toml", "1a2b3c4d", "2024-01-01T00:00:00Z")
SECOND = Origin("service", "5e6f7a8b", "2025-01-01T00:00:00Z")
NAMES = st.sampled_from(["a", "at", "cost", "b\"'", ',"at":"', PROVENANCE + "x"])
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(['","at":"x"', f',"{PROVENANCE}":{{']),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)
RECORDS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=4)


def lines_of(records):
    texts = (json.dumps(record, separators=(",", ":"), ensure_ascii=False) for record in records)
    return b"".join(text.encode() + b"\n" for text in texts)


def noted(record, fields, origin, cost=None):
    made = dict(record)
    note(made, fields, origin, cost)
    return made


def test_each_field_says_who_added_it():
    """The last one who did; a cost where there is one. It is the last key of the record."""
    record = {"id": 1, "topics": []}
    note(record, ["topics"], FIRST)
    record["place"] = "Bedok"
    note(record, ["place", "topics"], SECOND, cost=0.5)
    told = {"annotator": "service", "version": "5e6f7a8b", "at": "2025-01-01T00:00:00Z", "cost": 0.5}
    assert record[PROVENANCE] == {"topics": told, "place": told}
    assert list(record)[-1] == PROVENANCE


@pytest.mark.parametrize("before", ["text", None, ["a"]])
def test_a_column_of_that_name_gives_way(before):
    """As a table has it that was exported with it."""
    assert noted({PROVENANCE: before}, ["a"], FIRST)[PROVENANCE].keys() == {"a"}


@given(st.lists(RECORDS, max_size=3), st.lists(NAMES, min_size=1))
def test_time_and_cost_do_not_tell_records_apart(records, fields):
    """Nothing else of the record is taken for them, whatever its names and texts are."""
    one = lines_of(noted(record, fields, FIRST) for record in records)
    later = Origin(FIRST.annotator, FIRST.version, SECOND.at)
    assert lasting(one) == lasting(lines_of(noted(record, fields, later, 1e-7) for record in records))
    for line, record in zip(lasting(one).splitlines(), records, strict=True):
        found = json.loads(line)
        told = found.pop(PROVENANCE)
        assert (found, told.keys()) == (record, set(fields))
        assert all(value == {"annotator": FIRST.annotator, "version": FIRST.version} for value in told.values())


@given(st.lists(RECORDS, max_size=3))
def test_records_that_say_nothing_of_it_stay_as_they_are(records):
    """Byte by byte."""
    lines = lines_of(records)
    assert lasting(lines) == lines


@pytest.mark.parametrize("own", [{"at": "2024"}, {"a": {"at": "2024"}, "b": 1}])
def test_a_field_of_somebody_elses_counts(own):
    """One of that name that is no such account, or that others follow."""
    lines = lines_of([{"id": 1, PROVENANCE: own}]) + lines_of([{"id": 1, PROVENANCE: {"a": {"at": "1"}}, "at": "2024"}])
    assert lasting(lines) == lines
