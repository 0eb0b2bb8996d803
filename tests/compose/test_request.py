import hashlib
import json
import re
from datetime import date
from urllib.parse import parse_qsl, unquote, urlsplit
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fetcher.compose.pages import Place
from fetcher.compose.request import compose, with_idempotency_key
from fetcher.errors import Refused
from fetcher.job.sections import Fetch
from fetcher.model import Request, Row

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


def body_of(values, body):
    """What the body says, read by another library."""
    return json.loads(asked(values, url="/", method="POST", json=body).body)


def test_a_body_keeps_types_where_a_slot_is_the_whole_text():
    """Numbers, flags and nothing stay what they are; within a longer text they are written out; dates are text."""
    values = {"n": 3, "half": 0.5, "on": True, "none": None, "day": date(2024, 2, 29), "name": 'a"b\n'}
    body = {
        "n": "{n}",
        "text": "n={n}",
        "list": ["{half}", {"on": "{on}", "none": "{none}"}],
        "day": "{day}",
        "month": "{day:%Y-%m}",
        "name": "{name}",
        "own": [1, 2.5, False, "plain {{braces}}"],
    }
    assert body_of(values, body) == {
        "n": 3,
        "text": "n=3",
        "list": [0.5, {"on": True, "none": None}],
        "day": "2024-02-29",
        "month": "2024-02",
        "name": 'a"b\n',
        "own": [1, 2.5, False, "plain {braces}"],
    }


@given(TEXTS, TEXTS)
def test_no_value_changes_the_structure_of_a_body(whole, part):
    """Quotes, braces and backslashes stay within their text."""
    body = {"a": "{a}", "b": ["x{b}y"], "c": {"d": "{a}"}}
    assert body_of({"a": whole, "b": part}, body) == {"a": whole, "b": [f"x{part}y"], "c": {"d": whole}}


def test_a_body_says_what_it_is():
    """Its type is sent along; a request without one has none. Names of fields are no templates."""
    request = asked({}, url="/", method="PUT", json={"{a}": 1})
    assert (request.method, request.body, request.headers) == (
        "PUT",
        b'{"{a}":1}',
        (("Content-Type", "application/json"),),
    )
    assert asked({}, url="/", method="DELETE").headers == ()
    assert asked({}, url="/", method="POST", json=[]).body == b"[]"


def test_half_a_character_in_a_body_is_refused():
    """As anywhere else."""
    with pytest.raises(Refused, match=r"lone surrogate"):
        body_of({"name": "a\ud800b"}, {"name": "{name}"})


@given(st.lists(st.tuples(st.sampled_from(["POST", "PUT"]), st.sampled_from(["/a", "/b"]), TEXTS), min_size=2))
def test_method_body_and_address_make_the_key(told):
    """Two requests are one to the cache only where all of it is equal."""
    made = [asked({"x": text}, url=url, method=method, json={"x": "{x}"}) for method, url, text in told]
    assert len({request.key for request in made}) == len({(one.method, one.url, one.body) for one in made})


def test_a_get_is_known_by_the_key_that_earlier_versions_knew_it_by():
    """Answers that were kept before there were bodies are found again."""
    request = Request("GET", "https://api.example.org/x", (("A", "b"),))
    assert request.key == hashlib.sha256(b"GET\nhttps://api.example.org/x\na: b").hexdigest()


PAGED = {"url": "/", "query": {"page": "0", "q": "{q}"}}


def test_a_page_takes_its_place_in_the_query():
    """Instead of what the job says there; the rest stays."""
    fetch = Fetch(base_url="https://api.example.org", pages={"kind": "page"}, **PAGED)
    row = Row("key", {"q": "x&page=9"})
    assert compose(fetch, row).url == "https://api.example.org/?q=x%26page%3D9&page=1"
    assert compose(fetch, row, Place(3, 20)).url == "https://api.example.org/?q=x%26page%3D9&page=3"


@given(TEXTS)
def test_no_cursor_adds_a_parameter_to_the_query(cursor):
    """A server's text is data, as a row's is."""
    fetch = Fetch(base_url="https://api.example.org", pages={"kind": "cursor", "next": "next"}, url="/")
    url = compose(fetch, Row("key", {}), Place(2, 1, 1, cursor)).url
    assert parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True) == [("cursor", cursor)]


def test_an_address_that_an_answer_named_is_asked_as_it_is():
    """The job's own query belongs to the first page; its headers and its method go with every page."""
    keys = {"pages": {"kind": "next_url", "next": "next"}, "headers": {"A": "b"}, "method": "POST", "json": {"q": 1}}
    fetch = Fetch(base_url="https://api.example.org", **PAGED, **keys)
    row = Row("key", {"q": "x"})
    assert compose(fetch, row).url == "https://api.example.org/?page=0&q=x"
    second = compose(fetch, row, Place(2, 1, 1, "https://api.example.org/next?c=%2F"))
    assert (second.url, second.method, second.body) == ("https://api.example.org/next?c=%2F", "POST", b'{"q":1}')
    assert second.headers == compose(fetch, row).headers


def test_pages_of_one_cursor_are_several_requests():
    """Where a server keeps the place on its side, the answers must not be taken for one."""
    fetch = Fetch(base_url="https://api.example.org", pages={"kind": "cursor", "next": "next"}, url="/")
    made = [compose(fetch, Row("key", {}), Place(number, number, number, "same")) for number in (2, 3, 4)]
    assert len({request.url for request in made}) == 1
    assert len({request.key for request in made}) == 3


@given(st.lists(st.tuples(TEXTS, TEXTS, st.integers(1, 3), st.integers(0, 2)), min_size=2, max_size=6))
def test_an_idempotency_key_belongs_to_one_request_for_ever(told):
    """The same row, page and revision have the same key whenever they are asked for; nothing else has it. It is no
    part of what the cache knows the answer by."""
    keys: dict[tuple, str] = {}
    for text, row, page, revision in told:
        request = asked({"x": text}, url="/", method="POST", json={"x": "{x}"})
        about = ("job", row, str(page), str(revision))
        keyed = with_idempotency_key(request, *about)
        assert keyed.idempotency_key == with_idempotency_key(request, *about).idempotency_key
        assert (keyed.key, keyed.headers) == (request.key, request.headers)
        keys[request.body, row, page, revision] = keyed.idempotency_key
    assert len(set(keys.values())) == len(keys)


def test_an_idempotency_key_is_the_same_in_every_process_and_version():
    """It outlives a restart: the server must know it again. A UUID of version 4, as servers expect."""
    request = Request("POST", "https://api.example.org/x", body=b"{}")
    assert (
        with_idempotency_key(request, "job", "2024-01-01", "1", "0").idempotency_key
        == "627309ab-6d72-4c44-aa55-ea1b47be22b2"
    )
    assert UUID(with_idempotency_key(request, "a").idempotency_key).version == 4


@pytest.mark.parametrize(
    ("method", "key", "is_repeatable"),
    [
        *((method, "", True) for method in ("GET", "PUT", "DELETE")),
        *((method, "", False) for method in ("POST", "PATCH")),
        *((method, "k", True) for method in ("POST", "PATCH")),
    ],
)
def test_only_idempotent_and_keyed_requests_may_be_repeated(method, key, is_repeatable):
    """RFC 9110 section 9.2.2."""
    assert Request(method, "https://api.example.org/", idempotency_key=key).is_repeatable == is_repeatable


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


@pytest.mark.parametrize(
    ("parameter", "body", "sent"),
    [
        ("page", {}, {"page": 3}),
        ("paging.number", {"paging": {"size": 5}, "q": "a"}, {"paging": {"size": 5, "number": 3}, "q": "a"}),
        ("a.b", {"a": "text"}, {"a": {"b": 3}}),
    ],
)
def test_a_page_is_asked_for_in_the_body_where_the_job_says_so(parameter, body, sent):
    """`into = "json"` puts the parameter into its table, and nothing into the query."""
    pages = {"kind": "page", "parameter": parameter, "into": "json"}
    fetch = Fetch.model_validate(
        {"base_url": "https://api.example.org", "url": "/search", "method": "POST", "json": body, "pages": pages}
    )
    request = compose(fetch, Row("1", {}), Place(3))
    assert json.loads(request.body) == sent
    assert request.url == "https://api.example.org/search"


AUTH = {"kind": "query", "parameter": "api_key", "value": "canary"}


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("https://api.example.org/x?tenant=***&page=2", "https://api.example.org/x?tenant=s3cret%26&page=2"),
        ("https://api.example.org/x?page=2&api_key=***", "https://api.example.org/x?page=2"),
        ("https://api.example.org/x?api%5Fkey=***", "https://api.example.org/x"),
        ("https://api.example.org/x?tenant=other&q=***", "https://api.example.org/x?tenant=other&q=***"),
        ("https://files.example.org/x?tenant=***", "https://files.example.org/x?tenant=s3cret%26"),
        ("https://evil.example/x?tenant=***&api_key=***", "https://evil.example/x?tenant=***&api_key=***"),
        ("https://api.example.org/x", "https://api.example.org/x"),
    ],
)
def test_a_key_that_a_link_repeats_is_the_jobs_own_again(link, url):
    """It came masked. One of `fetch.auth` is added when the request is sent; a stranger's address is left as it is."""
    told = {"allowed_hosts": ["files.example.org"], "pages": {"kind": "link"}, "auth": AUTH}
    fetch = Fetch(base_url="https://api.example.org", url="/", query={"tenant": "s3cret&"}, **told)
    request = compose(fetch, Row("1", {}), Place(2, cursor=link))
    assert request.url == url
    assert "canary" not in f"{request.url}{request.headers}"


def test_whose_a_request_is_makes_its_key_and_shows_nothing():
    """Another credential has other answers; none has the key that it always had."""
    told = {"base_url": "https://api.example.org", "url": "/"}
    row = Row("1", {})
    plain, one = compose(Fetch(**told), row), compose(Fetch(**told, auth=AUTH), row)
    other = compose(Fetch(**told, auth={**AUTH, "value": "another"}), row)
    assert plain.key == Request("GET", "https://api.example.org/").key
    assert len({plain.key, one.key, other.key}) == 3
    assert (one.url, one.headers, plain.credential) == (plain.url, plain.headers, "")
    assert "canary" not in repr(one)
