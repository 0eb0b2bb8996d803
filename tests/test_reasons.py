"""Reasons that differ only in what they quote are counted as one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.engines.tracebacks import described
from fetcher.model import RowState
from fetcher.progress import reason_lines
from fetcher.reasons import OTHER_REASONS, REASONS_KEPT, Reasons, kind_of


def counted(*reasons: str) -> Reasons:
    """Quarantined rows with these reasons."""
    found = Reasons()
    for reason in reasons:
        found.add(RowState.QUARANTINED, reason)
    return found


@pytest.mark.parametrize(
    ("one", "like_it"),
    [
        ("ValueError: bad value: 'x y' (clean.py, line 12)", "ValueError: no (idea) (clean.py, line 12)"),
        (
            "record 3: clean raised KeyError: 'a' (clean.py, line 2)",
            "record 41: clean raised KeyError: 7 (clean.py, line 2)",
        ),
        (
            "reviews.csv:17 clean raised ValueError: x (clean.py, line 2): id=17, text=a: b",
            "reviews.csv:900 clean raised ValueError: y: z (clean.py, line 2): id=900, text=(c, line 7)",
        ),
        (
            "reviews.csv:5 expected 2 fields, got 3: 3,too,many",
            "reviews.csv:6 expected 2 fields, got 3: 4,two: too,many",
        ),
        (
            "names.csv:3 annotate[0].service 'label': HTTP 404 no such name: id=3, name=a: b",
            "names.csv:41 annotate[0].service 'label': HTTP 404 no such name: id=41, name=c",
        ),
        (
            "annotate[1].model: HTTP 503 (attempt 3)",
            "annotate[1].model: HTTP 503 (attempt 5)",
        ),
        (
            "topics: raised ValueError: Odd: x (a.py, line 3)",
            "topics: raised ValueError: y raised Even: z (a.py, line 3)",
        ),
        ("error: Odd: x (a.py, line 3)", "error: y raised Even: z (a.py, line 3)"),
        ("HTTP 404 no such day 2019-01-02", "HTTP 404 no such day 2019-01-03"),
        ('HTTP 422 {"detail": "no station S7"}', 'HTTP 422 {"detail": "no station north"}'),
        ('HTTP 400 {"id":"a1b2c3"}', 'HTTP 400 {"id":"f4e5d6"}'),
        (f'HTTP 400 {{"id":"{"a" * 31}"}}', f'HTTP 400 {{"id":"{"b" * 31}"}}'),
        ("record 3 has no date: 'x y'", "record 3 has no date: '1st'"),
        ('HTTP 400 {"code":"E1","type":"https://a.org/x"}', 'HTTP 400 {"code":"E1","type":"https://a.org/y"}'),
        ('HTTP 400 {"code":"E1","at":"https://a.org/x', 'HTTP 400 {"code":"E1","at":"https://a.org/y'),
        ("photos/a b.jpg: cannot identify image file", "photos/c b.jpg: cannot identify image file"),
        ("a.jpg: cannot identify image file", "b.jpg: cannot identify image file"),
        ("the answer is not JSON (byte 5)", "the answer is not JSON (byte 1,205)"),
    ],
)
def test_what_a_reason_quotes_makes_no_kind_of_its_own(one, like_it):
    """Values in an exception's text, numbers, quotations, lines and names of files."""
    assert kind_of(one) == kind_of(like_it)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ValueError: x (clean.py, line 12)", "ValueError: x (clean.py, line 13)"),
        ("ValueError: x (clean.py, line 12)", "KeyError: x (clean.py, line 12)"),
        ("ValueError: x (clean.py, line 12)", "ValueError: x (other.py, line 12)"),
        ("record 1: clean raised KeyError: 1 (a.py, line 2)", "record 1: shape raised KeyError: 1 (a.py, line 2)"),
        ("topics: raised ValueError: x (a.py, line 3)", "topics: raised KeyError: x (a.py, line 3)"),
        ("topics: raised error: x (a.py, line 3)", "topics: raised timeout: x (a.py, line 3)"),
        ("topics: raised KeyError (a.py, line 3)", "topics: raised IndexError (a.py, line 3)"),
        ("a.jpg: cannot be decoded: OSError: x (p.py, line 3)", "a.jpg: cannot be decoded: EOFError: x (p.py, line 3)"),
        (
            "names.csv:3 annotate[0].service 'label': HTTP 404 x: a=1",
            "names.csv:3 annotate[0].service 'label': HTTP 422 x: a=1",
        ),
        (
            "names.csv:3 annotate[0].service 'label': HTTP 404: a=1",
            "names.csv:3 annotate[1].service 'label': HTTP 404: a=1",
        ),
        (
            "names.csv:3 annotate[0].service 'label': HTTP 404: a=1",
            "names.csv:3 annotate[0].service 'it's': HTTP 404: a=1",
        ),
        (
            "names.csv:3 annotate[0].service 'a b': HTTP 404: a=1",
            "names.csv:3 annotate[0].service 'c d': HTTP 404: a=1",
        ),
        (
            "names.csv:3 annotate[0].model 'label': 'review' of this record is empty, and the model is asked: a=1",
            "names.csv:3 annotate[0].model 'label': a record cannot be read again: it is odd: a=1",
        ),
        ("annotate[0].model: the model said nothing", "annotate[1].model: the model said nothing"),
        ("HTTP 404 not here", "HTTP 410 not here"),
        ('HTTP 400 {"code":"E1"}', 'HTTP 400 {"code":"quota"}'),
        ('HTTP 400 {"code":"E1"}', 'HTTP 400 {"code":"E2"}'),
        ('HTTP 400 {"code":"E1","type":"https://a.org/x"}', 'HTTP 400 {"code":"quota","type":"https://a.org/x"}'),
        ("record 3 has no 'name', which write.key names", "record 3 has no 'größe', which write.key names"),
        (f"HTTP 400 '{'a' * 30}'", f"HTTP 400 '{'b' * 30}'"),
        ("HTTP 400 unknown date", "HTTP 400 unknown station"),
        ("reviews.csv:5 is no JSON: {", "reviews.csv:5 expected 2 fields, got 1: {"),
        ("the parser took longer than 60 s", "the parser's process died (SIGSEGV)"),
    ],
)
def test_reasons_of_two_kinds_are_told_apart(one, other):
    """By class and place of an exception, by status, by words."""
    assert kind_of(one) != kind_of(other)


def raised(text: str) -> str:
    """The reason for an exception that says this, always raised at one place."""
    try:
        raise ValueError(text)
    except ValueError as error:
        return described(error)


@given(st.lists(st.text(), min_size=1, max_size=20))
def test_one_place_and_one_class_are_one_kind_whatever_is_said(texts):
    """But for an exception that says nothing, which may be another."""
    assert len({kind_of(raised(text)) for text in texts if text.strip()}) <= 1


@given(st.text())
def test_every_reason_has_a_kind(text):
    """Whatever a server writes into one."""
    assert isinstance(kind_of(text), str)


def test_a_group_is_shown_by_its_reason_or_by_its_first():
    """Whole where all of it are equal; else as one of several."""
    same = "ValueError: a (clean.py, line 2)"
    assert list(reason_lines(counted(same, same, "not JSON"))) == [
        f"  2 x quarantined: {same}",
        "  1 x quarantined: not JSON",
    ]
    assert list(reason_lines(counted("not JSON", same, "ValueError: b (clean.py, line 2)"))) == [
        f"  2 x quarantined, such as: {same}",
        "  1 x quarantined: not JSON",
    ]


def test_reasons_that_are_all_different_do_not_grow_with_the_table():
    """A million of them are counted, not kept, and those already known still count."""
    names = [f"no row {'x' * number}" for number in range(REASONS_KEPT + 50)]
    groups = list(counted(*names, names[0]))
    assert len(groups) == REASONS_KEPT + 1
    assert [(group.first, group.rows) for group in groups[:2]] == [(OTHER_REASONS, 50), (names[0], 2)]
