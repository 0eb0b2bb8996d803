"""Annotators, one after the other."""

import pytest

from fetcher.annotate.lookups import Lookup
from fetcher.annotate.rules import Rule, Rules
from fetcher.annotate.steps import ByFunction, ByRules, Step, annotated
from fetcher.errors import JobError, Quarantined

LABELS = ByRules("text", Rules.ordered([Rule("late", ("late",)), Rule("cold", ("cold",))]))


def added(record, *steps):
    (found,) = annotated(steps, [record])
    return {name: value for name, value in found.items() if name not in record or record[name] != value}


def function(tmp_path, source, name="label"):
    file = tmp_path / "labels.py"
    file.write_text(source)
    return ByFunction(str(file), name)


@pytest.mark.parametrize(
    ("by", "labels"),
    [
        (LABELS, {"topics": ["late", "cold"]}),
        (ByRules("text", LABELS.rules, is_first=True), {"topics": "late"}),
        (
            ByRules("text", LABELS.rules, why="why"),
            {"topics": ["late", "cold"], "why": {"late": "late", "cold": "cold"}},
        ),
        (ByRules("text", LABELS.rules, is_first=True, why="why"), {"topics": "late", "why": "late"}),
        (ByRules("missing", LABELS.rules), {"topics": []}),
        (ByRules("missing", LABELS.rules, is_first=True, why="why"), {"topics": None, "why": None}),
        (ByRules("number", LABELS.rules), {"topics": []}),
    ],
)
def test_labels_go_into_their_field(by, labels):
    """All of them or the first, with the reason where it is asked for; what is no text has none."""
    assert added({"text": "cold and late", "number": 3}, Step(by, "topics")) == labels


def test_an_annotator_sees_what_the_one_before_has_added(tmp_path):
    """They run in the order of the job."""
    count = function(tmp_path, "def label(record):\n    return len(record['topics'])")
    assert added({"text": "late"}, Step(LABELS, "topics"), Step(count, "count")) == {"topics": ["late"], "count": 1}


@pytest.mark.parametrize(("when", "is_met"), [("number > `2`", True), ("number > `3`", False), ("missing", False)])
def test_a_condition_leaves_other_records_alone(when, is_met):
    """A field that is not met is not there: nobody has looked."""
    assert bool(added({"text": "late", "number": 3}, Step(LABELS, "topics", when=when))) == is_met


@pytest.mark.parametrize(("before", "is_left"), [("x", True), (["x"], True), (0, True), ("", False), (None, False)])
def test_a_field_that_has_something_is_left_where_the_job_says_so(before, is_left):
    """An empty text, an empty list and null are nothing; a zero is something."""
    step = Step(LABELS, "topics", only_empty=True)
    assert bool(added({"text": "late", "topics": before}, step)) != is_left


def test_a_function_gives_a_value_or_fields(tmp_path):
    """With `into` its result is one field, without they are its own."""
    by = function(tmp_path, "def label(record):\n    return {'a': record['text'], 'b': 2}")
    assert added({"text": "x"}, Step(by)) == {"a": "x", "b": 2}
    assert added({"text": "x"}, Step(by, "found")) == {"found": {"a": "x", "b": 2}}


def test_a_function_that_raises_or_gives_no_fields_says_at_which_record(tmp_path):
    """The record's answer is set aside, with the line of the function."""
    by = function(tmp_path, "def label(record):\n    return record['missing']")
    with pytest.raises(Quarantined, match=r"record 1: label raised KeyError: 'missing' \(labels.py, line 2\)"):
        added({}, Step(by))
    with pytest.raises(Quarantined, match="gave a value of type int, expected a dict of fields"):
        added({"missing": 3}, Step(by))


def test_a_function_that_cannot_be_loaded_is_the_jobs_fault(tmp_path):
    """Every record would fail."""
    file = tmp_path / "broken.py"
    file.write_text("1 / 0")
    with pytest.raises(JobError, match="cannot be loaded: ZeroDivisionError"):
        added({}, Step(ByFunction(str(file), "label")))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", 'id,name,size\n00,"a, b",1\n00,again,2\n1,c,3\n'),
        ("t.tsv", "id\tname\tsize\n00\ta, b\t1\n1\tc\t3\n"),
        ("t.jsonl", '{"id": "00", "name": "a, b", "size": "1"}\n\n{"id": 1, "name": "c", "size": "3"}\n'),
    ],
)
def test_a_lookup_takes_fields_of_the_row_with_the_key(tmp_path, name, text):
    """Of rows with one key the first; 00 is not 0; an unknown key gives nulls, so that all records have the fields."""
    (tmp_path / name).write_text(text)
    step = Step(Lookup(tmp_path / name, "station", "id", (("name", "name"), ("bytes", "size"))))
    assert added({"station": "00"}, step) == {"name": "a, b", "bytes": "1"}
    assert added({"station": 1}, step) == {"name": "c", "bytes": "3"}
    assert added({"station": "0"}, step) == {"name": None, "bytes": None}
    assert added({"station": None}, step) == {"name": None, "bytes": None}


def test_a_table_that_cannot_be_read_is_the_jobs_fault(tmp_path):
    """It names the file."""
    file = tmp_path / "t.jsonl"
    file.write_text("{half")
    with pytest.raises(JobError, match=r"t.jsonl.* cannot be read as a table"):
        added({"id": "1"}, Step(Lookup(file, "id", "id", (("a", "a"),))))


def test_what_is_no_record_is_told_by_its_number():
    """As without annotators."""
    with pytest.raises(Quarantined, match="record 2 is of type int, expected a dict"):
        list(annotated((Step(LABELS, "topics"),), [{}, 3]))  # type: ignore[list-item]
