"""`[[annotate]]` in a job file."""

import pytest
from pydantic import ValidationError

from fetcher.job.annotate import AnnotateSection, LookupSection
from fetcher.job.rule_tables import rules_in_file

TOML = """\
[[rule]]
label = "logistics"
terms = ["late", "deliver*"]
unless = ["not late"]
priority = 2
[[rule]]
label = "service"
patterns = ["refund(ed)?"]
"""
RULE = {"label": "a", "terms": ["b"]}
CSV = """\
label,term,pattern,unless,priority
logistics,late,,,2
logistics,deliver*,,not late,
service,,refund(ed)?,,
"""


@pytest.mark.parametrize(("name", "text"), [("topics.toml", TOML), ("topics.csv", CSV)])
def test_rules_are_read_from_a_table(tmp_path, name, text):
    """TOML with a table for each rule, CSV with a line for each term; they say the same."""
    (tmp_path / name).write_text(text)
    logistics, service = rules_in_file(tmp_path / name)
    assert (logistics.label, logistics.terms, logistics.unless, logistics.priority) == (
        "logistics",
        ("late", "deliver*"),
        ("not late",),
        2,
    )
    assert (service.label, service.patterns) == ("service", ("refund(ed)?",))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("t.toml", "", "'t.toml' rule: Field required"),
        ("t.toml", "[[rule]]\nlabel = 'a'\n", "'t.toml' rule.0: expected 'terms' or 'patterns', got neither"),
        ("t.toml", "[[rule]]\nlabel = 'a'\nterms = ['*']\n", "'t.toml' rule.0.terms.0: expected a word"),
        ("t.toml", "[[rule]]\nlabel = 'a'\npatterns = ['(']\n", "'t.toml' rule.0.patterns.0: expected a regular"),
        ("t.toml", "[[rule]\n", "'t.toml' cannot be read"),
        ("t.csv", "word\na\n", "'t.csv' line 1: expected the columns label, term"),
        ("t.csv", "label,term,priority\na,b,high\n", "'t.csv' line 2: priority is 'high', expected a number"),
    ],
)
def test_a_table_of_rules_that_cannot_be_meant_says_where(tmp_path, name, text, said):
    """A rule that never matches because of a typing mistake would be found by nobody."""
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=f"^{said}".replace("(", r"\(")):
        rules_in_file(tmp_path / name)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"field": "station"}, "'t.csv' has no column 'station'; did you mean 'stations'?"),
        ({"field": "x", "column": "stations", "take": ["nam"]}, "'t.csv' has no column 'nam'; did you mean 'name'?"),
        ({"field": "x", "column": "stations", "take": {"place": "district"}}, "'t.csv' has no column 'district'"),
    ],
)
def test_a_column_that_a_table_does_not_have_is_a_fault(tmp_path, told, said):
    """Every record would get a null, and nobody would know why."""
    (tmp_path / "t.csv").write_text("stations,name\n1,a\n")
    with pytest.raises(ValidationError) as caught:
        LookupSection.model_validate({"table": "t.csv", "take": ["name"], **told}, context={"folder": tmp_path})
    assert said in str(caught.value)


def test_frames_are_for_a_function():
    """Nothing else could make use of one."""
    with pytest.raises(ValidationError, match="frames = true is for a function"):
        AnnotateSection.model_validate({"into": "a", "frames": True, "rules": {"field": "x", "rule": [RULE]}})
