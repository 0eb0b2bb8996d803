"""What a request carries."""

import json
from email import message_from_bytes
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fetcher.compose.pages import Place
from fetcher.compose.request import compose
from fetcher.job.sections import Fetch
from fetcher.model import Request, Row

SENDABLE = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def asked(values, place=None, **body) -> Request:
    section = {"base_url": "https://a.example", "url": "/", "method": "POST", **body}
    return compose(Fetch.model_validate(section), Row("key", values), place or Place())


def header(request: Request, name: str) -> str:
    return dict(request.headers)[name]


@given(SENDABLE)
def test_a_form_says_what_the_row_says(value):
    """Whatever it holds, `&` and `=` too, it stays in its field."""
    request = asked({"value": value}, form={"a": "{value}", "b": 3})
    assert parse_qsl(request.body.decode(), keep_blank_values=True) == [("a", value), ("b", "3")]
    assert header(request, "Content-Type") == "application/x-www-form-urlencoded"


@given(SENDABLE.filter(lambda text: "\r" not in text), SENDABLE)
def test_a_part_says_what_the_row_says(value, name):
    """RFC 7578: no value ends its part early, no file name forges a header."""
    part = {"content": "{value}", "filename": "{name}", "content_type": "text/csv"}
    request = asked({"value": value, "name": name or "x"}, multipart={"rows": part, "n": 4})
    head = f"Content-Type: {header(request, 'Content-Type')}\r\n\r\n".encode()
    parts: Any = message_from_bytes(head + request.body).get_payload()
    assert [part.get_content_type() for part in parts] == ["text/csv", "text/plain"]
    assert parts[0].get_payload(decode=True) == value.encode()
    assert parts[1].get_payload() == "4"


def test_the_same_parts_are_the_same_bytes():
    """A boundary by chance would make each attempt another request to the cache."""
    assert asked({}, multipart={"a": "b"}) == asked({}, multipart={"a": "b"})


def test_a_graphql_query_keeps_its_braces_and_its_variables_have_slots():
    """The query is code of the job's author; rows go into variables, where nothing can break out."""
    query = "query($day: String!) { items(day: $day) { id } }"
    body = {"query": query, "variables": {"day": "{day}", "n": "{n}"}, "operation": "Q"}
    request = asked({"day": '"} evil {', "n": 3}, graphql=body)
    assert json.loads(request.body) == {
        "query": query,
        "variables": {"day": '"} evil {', "n": 3},
        "operationName": "Q",
    }


def test_pages_of_a_graphql_query_go_into_its_variables():
    """By a dotted name; the query is as it was."""
    pages = {"kind": "cursor", "next": "next", "into": "json", "parameter": "variables.after"}
    request = asked({}, Place(2, cursor="abc"), graphql={"query": "q", "variables": {"a": 1}}, pages=pages)
    assert json.loads(request.body) == {"query": "q", "variables": {"a": 1, "after": "abc"}}


def test_text_is_sent_as_it_is():
    """With the media type that the job gives it, or names in a header of its own."""
    request = asked({"a": "é"}, text="a={a}", content_type="text/csv")
    assert (request.body, header(request, "Content-Type")) == ("a=é".encode(), "text/csv")
    own = asked({}, json={}, headers={"content-type": "application/vnd.api+json"})
    assert own.headers == (("content-type", "application/vnd.api+json"),)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"json": {}, "form": {}}, "expected one body, got json and form"),
        ({"method": "GET", "form": {"a": "b"}}, "a GET has no body"),
        ({"method": "GET", "text": "b"}, "a GET has no body"),
        ({"graphql": {"query": ""}}, "at least 1 character"),
        ({"text": "x", "content_type": "a\nb"}, "without line breaks"),
        ({"pages": {"kind": "page", "into": "json"}}, "needs a table 'json' or 'graphql'"),
        ({"pages": {"kind": "link", "into": "json"}, "json": {}}, "no parameter that could go into"),
        ({"batch": {"size": 2, "each": ["a"]}, "pages": {"kind": "page"}}, "either 'pages' or 'batch'"),
        ({"batch": {"size": 2, "each": []}}, "at least 1 item"),
        ({"expect": [{"status": [400], "action": "split"}]}, "needs pages = { kind = 'split' }"),
        ({"pages": {"kind": "split"}}, "needs something that says when a window holds too much"),
        ({"batch": {"size": 2, "each": ["day"]}, "json": ["{date}"]}, "batch.each names 'day', which is no slot"),
    ],
)
def test_what_does_not_fit_together_is_a_fault(body, said):
    """Told when the job is loaded, not by the first row."""
    with pytest.raises(ValidationError) as caught:
        asked({}, **body)
    assert said in str(caught.value)
