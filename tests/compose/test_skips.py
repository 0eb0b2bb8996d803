"""Rows that are not asked about, and what stands in place of their answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.compose.skips import stated_answer
from fetcher.errors import Refused
from fetcher.job.sections import Fetch
from fetcher.model import Row

BLANKS = st.one_of(st.none(), st.text(" \t\r\n\u00a0", max_size=5))


def fetch_of(**skip) -> Fetch:
    return Fetch(base_url="https://api.example.org", url="/{ip}", skip=skip or None)


@given(BLANKS)
def test_a_row_is_not_asked_about_where_a_value_is_blank(value):
    """Nothing, no text, or any kind of blanks."""
    assert stated_answer(fetch_of(blank=["name", "ip"]), Row("1", {"name": "a", "ip": value})) == b""


@given(st.one_of(st.integers(), st.booleans(), st.text(min_size=1).filter(str.strip)))
def test_every_other_row_is(value):
    """Zero and false are values."""
    assert stated_answer(fetch_of(blank=["ip"]), Row("1", {"ip": value})) is None
    assert stated_answer(fetch_of(), Row("1", {"ip": value})) is None


def test_the_answer_is_as_the_job_has_it_and_may_use_the_row():
    """A slot that is the whole text keeps its type."""
    fetch = fetch_of(blank=["ip"], answer={"message": "row {number} is empty", "number": "{number}"})
    told = stated_answer(fetch, Row("1", {"ip": "", "number": 7}))
    assert told and json.loads(told) == {"message": "row 7 is empty", "number": 7}


def test_a_name_that_the_row_does_not_have_is_an_error():
    """A misspelt name would skip nothing, and be paid for."""
    with pytest.raises(Refused, match="names 'ipp', which this row does not have"):
        stated_answer(fetch_of(blank=["ipp"]), Row("1", {"ip": ""}))
