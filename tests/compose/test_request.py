import re
from datetime import date
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fetcher.compose.request import compose
from fetcher.errors import Refused
from fetcher.job.sections import Fetch
from fetcher.model import Row

DOTS = ("", ".", "..")
TEXTS = st.one_of(
    st.text(max_size=30),
    st.lists(st.sampled_from(["/", "..", ".", "?", "&", "=", "#", "%2F", "%", ";", "+", " ", "\\", "é", "x"])).map(
        "".join
    ),
)


def asked(values, **section):
    section.setdefault("url", "/v1/{station}/days")
    return compose(Fetch(base_url="https://api.example.org/base", **section), Row("key", values))


def test_a_row_and_a_section_make_one_request():
    """Base address, path and query in this order; numbers, booleans and dates as a person would write them."""
    request = asked(
        {"station": "S109", "day": date(2024, 2, 29), "none": None},
        query={"date": "{day:%Y/%m/%d}", "day": "{day}", "per page": 100, "raw": True, "half": 0.5},
        headers={"X-Day": "{day}"},
    )
    assert request.method == "GET"
    assert request.url == (
        "https://api.example.org/base/v1/S109/days?date=2024%2F02%2F29&day=2024-02-29&per+page=100&raw=true&half=0.5"
    )
    assert request.headers == (("X-Day", "2024-02-29"),)


def test_a_query_in_the_path_is_continued():
    """A path may bring a query of its own."""
    assert asked({}, url="/v1?a=1", query={"b": "2"}).url == "https://api.example.org/base/v1?a=1&b=2"
    assert asked({"a": "x?&y"}, url="/v1/{a}", query={"b": "2"}).url.endswith("/v1/x%3F%26y?b=2")


@given(TEXTS)
def test_no_value_changes_the_structure_of_the_path(text):
    """One segment stays one segment, and says what the row says; what cannot be one is refused."""
    assume(text not in DOTS)
    parts = urlsplit(asked({"station": text}).url)
    assert parts.path.split("/")[:4] == ["", "base", "v1", parts.path.split("/")[3]]
    assert parts.path.count("/") == 4
    assert unquote(parts.path.split("/")[3]) == text
    assert (parts.netloc, parts.query, parts.fragment) == ("api.example.org", "", "")


@given(TEXTS, TEXTS, TEXTS)
def test_no_value_adds_a_parameter_to_the_query(in_path, in_own, in_query):
    """Every parameter is one that the job names, and has the row's value, exactly."""
    assume(in_path not in DOTS)
    values = {"a": in_path, "b": in_own, "c": in_query}
    url = asked(values, url="/v1/{a}?b={b}", query={"c": "{c}", "d": "x{c}y"}).url
    assert re.fullmatch(r"[!-~]+", url)
    told = parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)
    assert told == [("b", in_own), ("c", in_query), ("d", f"x{in_query}y")]


@pytest.mark.parametrize("text", DOTS)
@pytest.mark.parametrize("url", ["/v1/{station}", "/v1/{station}/days", "/v1/{station}?day=1"])
def test_a_value_that_would_leave_its_folder_is_refused(text, url):
    """`.`, `..` and nothing at all name another resource, encoded or not (RFC 3986 section 5.2.4)."""
    with pytest.raises(Refused, match=re.escape(url.partition("?")[0])):
        asked({"station": text}, url=url)


def test_dots_within_a_segment_or_a_query_are_as_good_as_any():
    """Only a segment that consists of them is another place."""
    url = asked({"station": ".."}, url="/v1/a{station}b/c?d={station}").url
    assert url == "https://api.example.org/base/v1/a..b/c?d=.."
    assert asked({"station": "x"}, url="/v1/{station}/").url.endswith("/v1/x/")


@pytest.mark.parametrize("text", ["a\nX-Admin: 1", "a\r", "a\0b", "\x7f"])
def test_a_header_that_would_forge_another_is_refused(text):
    """Line breaks and what no header can carry end the row, not the run."""
    with pytest.raises(Refused, match="X-Name"):
        asked({"station": "x", "name": text}, headers={"X-Name": "{name}"})


@pytest.mark.parametrize(
    "section", [{"url": "/{name}"}, {"url": "/", "query": {"q": "{name}"}}, {"url": "/", "headers": {"X": "{name}"}}]
)
def test_half_a_character_is_refused(section):
    """A lone surrogate has no bytes that could be sent."""
    with pytest.raises(Refused, match=r"lone surrogate"):
        asked({"name": "a\ud800b"}, **section)


def test_letters_of_any_language_in_the_jobs_own_path_are_encoded():
    """The job file may be written in the user's language; the wire is ASCII, and what is encoded stays so."""
    assert asked({}, url="/v1/städte/a%2Fb?ö=(1)").url == "https://api.example.org/base/v1/st%C3%A4dte/a%2Fb?%C3%B6=(1)"


@given(st.dictionaries(st.sampled_from("abc"), st.integers()), st.dictionaries(st.sampled_from("abc"), st.integers()))
def test_equal_requests_and_no_others_have_equal_keys(one, other):
    """The key is what the cache knows an answer by."""
    section = {"url": "/", "query": {"a": "1"}}
    first, second = (asked({}, **(section | {"query": query})) for query in (one, other))
    assert (first.key == second.key) == (first.url == second.url)


@pytest.mark.parametrize(("cost", "expected"), [(3, 3), ("{tokens}", 7), ("{tokens}0", 70)])
def test_a_request_counts_for_what_the_job_or_the_row_says(cost, expected):
    """One unless told; the answer is found again whatever it is."""
    request = asked({"station": "a", "tokens": 7}, limits={"cost": cost})
    assert request.cost == expected
    assert asked({"station": "a"}).cost == 1
    assert request.key == asked({"station": "a"}).key


@pytest.mark.parametrize("tokens", [0, -1, 11, "many", 1.5, "²", None])
def test_a_cost_that_no_window_holds_refuses_the_row(tokens):
    """Nothing waits for ever."""
    with pytest.raises(Refused):
        asked({"station": "a", "tokens": tokens}, limits={"cost": "{tokens}", "rate": ["10/s", "20/day"]})
