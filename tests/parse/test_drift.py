"""What records must look like."""

import pytest

from fetcher.errors import Quarantined
from fetcher.parse.drift import MOST_KINDS, OTHER_DRIFT
from tests.parse.shaping import parsed, records

ROWS = 'records = "rows"\n[expect]\n'


@pytest.mark.parametrize(
    ("section", "rows", "reason"),
    [
        ('required = ["id"]', [{"id": 0}, {"a": 1}], "record 2 has no 'id', which parse.expect.required names"),
        ('required = ["id"]', [{"id": None}], "record 1 has no 'id'"),
        ("least = 2", [{}], "the answer has 1 records, expected at least 2"),
        ("least = 1", [], "the answer has 0 records, expected at least 1"),
        ("most = 1", [{}, {}], "the answer has 2 records, expected at most 1"),
        ('types.a = "int"\nstrict = true', [{"a": 1}, {"a": "x"}], "record 2: 'a' is text, expected int"),
        ('types.a = "int"\nstrict = true', [{"b": 1}], "record 1: new field 'b'"),
    ],
)
def test_c13_what_must_not_be_costs_the_answer(section, rows, reason):
    """A field that is missing or null, too few records, too many, and drift where the job is strict."""
    with pytest.raises(Quarantined, match=f"^{reason}"):
        records(ROWS + section, {"rows": rows})


def test_c13_drift_is_counted_and_the_records_are_kept():
    """By what is different: new fields and other types. Null is of any type, and a float can be a whole number."""
    section = ROWS + 'types = { i = "int", n = "number", t = "text", b = "bool", l = "list", o = "object" }'
    good = {"i": 1, "n": 1, "t": "", "b": True, "l": [], "o": {}}
    assert parsed(section, {"rows": [good, {**good, "n": 1.5, "i": 2.0}, dict.fromkeys(good), {}]}).drift == {}
    found = parsed(
        section, {"rows": [{**good, "i": "1", "x": 1}, {**good, "i": 1.5, "x": None}, {"i": "2", "b": 1, "x": []}]}
    )
    assert found.records == 3
    assert found.drift == {
        "'i' is text, expected int": 2,
        "'i' is number, expected int": 1,
        "'b' is int, expected bool": 1,
        "new field 'x'": 2,
    }


def test_c13_drift_is_bounded():
    """An answer whose fields are all new does not fill the memory of a run."""
    found = parsed(ROWS + 'types.a = "int"', {"rows": [{f"f{n}": 1 for n in range(1000)}]})
    assert len(found.drift) == MOST_KINDS + 1
    assert found.drift[OTHER_DRIFT] == 1000 - MOST_KINDS


def test_c13_what_is_judged_is_the_finished_record():
    """After fields, types and null; and what a decimal becomes is a number."""
    section = """
        records = "rows"
        fields = { id = "a.id", p = "p" }
        types = { id = "int", p = "decimal" }
        expect = { required = ["id"], types = { id = "int", p = "number" } }
    """
    assert parsed(section, {"rows": [{"a": {"id": "7"}, "p": "1.10"}]}).drift == {}
    with pytest.raises(Quarantined, match="has no 'id'"):
        records(section, {"rows": [{"a": {"id": ""}}]})
