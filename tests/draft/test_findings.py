"""What one answer teaches about pages, limits and formats."""

import tomllib

import pytest

from fetcher.draft.findings import findings, format_of
from fetcher.job.pages import Pages
from fetcher.model import Response

ROWS = {"rows": [{"a": 1}, {"a": 2}]}


def answer(*headers: tuple[str, str]) -> Response:
    return Response(200, headers, b"", 0.0, url="http://x.org/v1")


def pages_of(body: dict, query: dict[str, str] | None = None, *headers: tuple[str, str]) -> dict[str, object]:
    found = findings(answer(*headers), {**ROWS, **body}, query or {}, 0.0)
    told = tomllib.loads("\n".join(found.pages))
    if told:
        Pages.model_validate(told)
    return told


@pytest.mark.parametrize(
    ("body", "query", "found"),
    [
        ({}, {}, {}),
        ({"total": 2}, {}, {}),
        ({"next": "https://x.org/v1?page=2"}, {}, {"kind": "next_url", "next": "next"}),
        ({"links": {"next": "/v1?page=2"}}, {}, {"kind": "next_url", "next": "links.next"}),
        ({"links": {"next": {"href": "/v1?page=2"}}}, {}, {"kind": "next_url", "next": "links.next.href"}),
        ({"links": {"self": {"href": "/v1?page=2"}}}, {}, {}),
        (
            {"@odata.nextLink": "https://x.org/v1?skip=2"},
            {},
            {"kind": "next_url", "next": '"@odata.nextLink"'},
        ),
        ({"meta": {"next_cursor": "abc"}}, {}, {"kind": "cursor", "next": "meta.next_cursor", "parameter": "cursor"}),
        ({"next-cursor": "abc"}, {}, {"kind": "cursor", "next": '"next-cursor"', "parameter": "cursor"}),
        (
            {"paginationToken": "abc"},
            {},
            {"kind": "cursor", "next": "paginationToken", "parameter": "paginationToken"},
        ),
        ({"nextPageToken": "abc"}, {}, {"kind": "cursor", "next": "nextPageToken", "parameter": "pageToken"}),
        (
            {"next_cursor": "abc", "total": 9, "more": True},
            {"cursor": "*"},
            {
                "kind": "cursor",
                "next": "next_cursor",
                "parameter": "cursor",
                "total": "total",
                "more": "more",
            },
        ),
        (
            {"total": 9},
            {"page": "0", "rows": "50"},
            {
                "kind": "page",
                "parameter": "page",
                "first": 0,
                "size_parameter": "rows",
                "size": 50,
                "total": "total",
            },
        ),
        ({}, {"offset": "0"}, {"kind": "offset", "parameter": "offset", "first": 0}),
        ({"page": 1, "pages": 7}, {}, {"kind": "page", "parameter": "page", "pages": "pages"}),
    ],
)
def test_hints_of_pages_become_a_section_that_loads(body, query, found):
    """By the names that APIs use; none where there is nothing to go by."""
    assert pages_of(body, query) == found


def test_a_link_header_comes_before_all():
    """RFC 8288 leaves nothing to guess."""
    link = ("Link", '<https://x.org/v1?page=2>; rel="next"')
    assert pages_of({"next": "https://x.org"}, {}, link) == {"kind": "link"}


def test_a_policy_becomes_a_rate():
    """As the headers tell it, in a job file's words."""
    found = findings(
        answer(("RateLimit-Policy", '"default";q=100;w=60'), ("RateLimit", '"default";r=9;t=5')), {}, {}, 0
    )
    assert found.rates == ["100/60 s"]
    assert findings(answer(), {}, {}, 0).rates == []


@pytest.mark.parametrize(
    ("told", "name"),
    [
        ("application/json; charset=utf-8", "json"),
        ("application/vnd.api+json", "json"),
        ("application/x-ndjson", "ndjson"),
        ("text/csv", "csv"),
        ("application/rss+xml", "xml"),
        ("text/html", "html"),
        ("application/octet-stream", ""),
    ],
)
def test_formats_go_by_the_content_type(told, name):
    """Or have none."""
    assert format_of(answer(("content-type", told))) == name
