"""How a credential goes into a request, how a token is asked for and read. Pure."""

from urllib.parse import parse_qs, parse_qsl, urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import CredentialRefused
from fetcher.fetch.auth import (
    Placed,
    Token,
    has_tokens,
    placed,
    placed_token,
    renew_at,
    seconds,
    signed,
    token_in,
    token_request,
)
from fetcher.job.auth import Auth
from fetcher.model import Request, Response

BASE = "https://api.example.org/v1"
OAUTH = {"kind": "oauth2", "token_url": "https://login.example.org/token", "client_id": "us", "client_secret": "s&cret"}
RENEWED = {**OAUTH, "grant": "refresh_token", "refresh_token": "a"}
LOGIN = {"kind": "request", "token_url": "/login", "token_path": "data.token", "lifetime_path": "data.ttl"}
FORM = ("Content-Type", "application/x-www-form-urlencoded")
JSON = ("Content-Type", "application/json")
ACCEPT = ("Accept", "application/json")


@pytest.mark.parametrize(
    ("auth", "shown"),
    [
        ({"kind": "header", "name": "X-Api-Key", "value": "k"}, Placed("X-Api-Key", "k")),
        ({"kind": "query", "parameter": "key", "value": "k"}, Placed("key", "k", is_header=False)),
        ({"kind": "bearer", "token": "t"}, Placed("Authorization", "Bearer t")),
        ({"kind": "basic", "user": "Aladdin", "password": "open sesame"},
         Placed("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")),
        ({"kind": "basic", "user": "k"}, Placed("Authorization", "Basic azo=")),
    ],
)  # fmt: skip
def test_each_kind_has_its_place(auth, shown):
    """RFC 6750 section 2.1, RFC 7617 section 2 with its own example."""
    assert placed(Auth(**auth)) == shown
    assert not has_tokens(Auth(**auth))


@pytest.mark.parametrize(
    ("kind", "place"), [("header", {"name": "X"}), ("query", {"parameter": "key"}), ("bearer", {})]
)
def test_of_several_keys_each_is_shown_by_its_number(kind, place):
    auth = Auth(kind=kind, keys=("first", "second"), **place)
    assert [placed(auth, number).value.removeprefix("Bearer ") for number in (0, 1)] == ["first", "second"]


def test_a_token_goes_where_the_job_says():
    """The usual header, another one with another word before it, or the query."""
    assert placed_token(Auth(**OAUTH), "t") == Placed("Authorization", "Bearer t")
    assert placed_token(Auth(**LOGIN, name="X-Session", prefix=""), "t") == Placed("X-Session", "t")
    assert placed_token(Auth(**LOGIN, parameter="token"), "t") == Placed("token", "t", is_header=False)
    assert has_tokens(Auth(**OAUTH)) and has_tokens(Auth(**LOGIN)) and not has_tokens(None)


def test_a_credential_takes_the_place_of_a_header_by_its_name():
    """Two of them would be one too many for a server, or for whoever takes one away."""
    request = Request("POST", f"{BASE}/x", (("authorization", "old"), ("X", "y")), b"{}", 2, "k", 3, "whose")
    shown = signed(request, Placed("Authorization", "new"))
    assert shown.headers == (("X", "y"), ("Authorization", "new"))
    assert (shown.method, shown.url, shown.body) == (request.method, request.url, request.body)
    assert signed(request, None) is request


@pytest.mark.parametrize(
    ("url", "after"),
    [
        (f"{BASE}/x", f"{BASE}/x?key=a%26b"),
        (f"{BASE}/x?", f"{BASE}/x?key=a%26b"),
        (f"{BASE}/x?y=1&key=old&k%65y=&z", f"{BASE}/x?y=1&z&key=a%26b"),
    ],
)
def test_a_credential_in_the_query_comes_last_and_encoded(url, after):
    assert signed(Request("GET", url), Placed("key", "a&b", is_header=False)).url == after


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), min_size=1))
def test_x06_a_credential_in_the_query_stays_one_parameter(value):
    """Whatever is in it."""
    url = signed(Request("GET", f"{BASE}/x?a=1"), Placed("key", value, is_header=False)).url
    assert parse_qsl(urlsplit(url).query, keep_blank_values=True) == [("a", "1"), ("key", value)]


def test_client_credentials_are_asked_for_as_rfc_6749_says():
    """Section 4.4.2, the client in the body or in a header (section 2.3.1); a scope only where there is one."""
    asked = token_request(Auth(**OAUTH, scope="read write"), BASE, None)
    assert (asked.method, asked.url, asked.headers) == ("POST", OAUTH["token_url"], (ACCEPT, FORM))
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["client_credentials"], "scope": ["read write"], "client_id": ["us"], "client_secret": ["s&cret"]
    }  # fmt: skip
    asked = token_request(Auth(**OAUTH, client_auth="basic"), BASE, None)
    assert asked.headers == (ACCEPT, ("Authorization", "Basic dXM6cyZjcmV0"), FORM)
    assert asked.body == b"grant_type=client_credentials"


def test_a_refresh_token_is_the_newest_one():
    """Section 6; a client without a secret sends none."""
    auth = Auth(kind="oauth2", token_url="/t", client_id="us", grant="refresh_token", refresh_token="first")
    asked = token_request(auth, BASE, "second")
    assert asked.url == f"{BASE}/t"
    assert parse_qs(asked.body.decode()) == {
        "grant_type": ["refresh_token"], "refresh_token": ["second"], "client_id": ["us"]
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "method", "url", "headers", "body"),
    [
        ({"json": {"user": "me"}}, "POST", f"{BASE}/login", (ACCEPT, JSON), b'{"user":"me"}'),
        ({"form": {"user": "a&b"}}, "POST", f"{BASE}/login", (ACCEPT, FORM), b"user=a%26b"),
        ({"form": {"user": "a&b"}, "method": "GET"}, "GET", f"{BASE}/login?user=a%26b", (ACCEPT,), b""),
        ({"method": "GET"}, "GET", f"{BASE}/login", (ACCEPT,), b""),
    ],
)
def test_a_token_by_a_request_is_asked_for_as_the_job_says(more, method, url, headers, body):
    asked = token_request(Auth(**LOGIN, **more), BASE, None)
    assert (asked.method, asked.url, asked.headers, asked.body) == (method, url, headers, body)


def told(auth, answer):
    body = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
    return token_in(Auth(**auth), Response(200, (), body, 0.0))


@pytest.mark.parametrize(
    ("auth", "answer", "token"),
    [
        (OAUTH, {"access_token": "t", "expires_in": 3600}, Token("t", 3600.0)),
        (OAUTH, {"access_token": " t\n", "expires_in": "60", "refresh_token": "r"}, Token("t", 60.0)),
        (OAUTH, {"access_token": "t", "expires_in": None}, Token("t")),
        (LOGIN, {"data": {"token": "t", "ttl": 1.5}}, Token("t", 1.5)),
        (LOGIN, {"data": {"token": "t"}, "access_token": "x", "expires_in": 1}, Token("t")),
        (RENEWED, {"access_token": "t", "refresh_token": "b"}, Token("t", None, "b")),
        (RENEWED, {"access_token": "t", "refresh_token": ""}, Token("t")),
    ],
)  # fmt: skip
def test_a_token_is_read_with_its_lifetime(auth, answer, token):
    assert told(auth, answer) == token


@pytest.mark.parametrize(
    ("auth", "answer", "why"),
    [
        (OAUTH, b"<html>canary", "gives no JSON for a token"),
        (OAUTH, b"[" * 100_000, "gives no JSON for a token"),
        (OAUTH, {"token": "canary"}, "gives no token at 'access_token'"),
        (OAUTH, {"access_token": 5}, "gives no token at 'access_token'"),
        (OAUTH, {"access_token": " "}, "gives no token at 'access_token'"),
        (OAUTH, {"access_token": "canary\r\nX-Admin: 1"}, "gives no token at 'access_token'"),
        (OAUTH, ["canary"], "gives no token at 'access_token'"),
        (LOGIN, {"data": "canary"}, "gives no token at 'data.token'"),
        ({**LOGIN, "token_path": "max(data)"}, {"data": [1, "canary"]}, "gives no token"),
    ],
)
def test_x06_what_is_no_token_is_refused_and_not_shown(auth, answer, why):
    """A line break in one would forge headers."""
    with pytest.raises(CredentialRefused, match=why) as caught:
        told(auth, answer)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("lifetime", "expected"),
    [(3600, 3600.0), ("60", 60.0), (0.5, 0.5), (0, None), (-1, None), ("soon", None), (None, None), ([], None),
     ("nan", None), ("inf", 10 * 365 * 86400.0), (1e30, 10 * 365 * 86400.0), ("", None)],
)  # fmt: skip
def test_a_lifetime_is_a_time_or_nothing(lifetime, expected):
    assert seconds(lifetime) == expected


@pytest.mark.parametrize(
    ("lifetime_s", "at"), [(3600.0, 1000 + 3540), (600.0, 1000 + 540), (100.0, 1000 + 90), (None, float("inf"))]
)
def test_a_token_is_renewed_a_little_before_its_end(lifetime_s, at):
    """A tenth of its life, a minute at most: what is on its way arrives in time."""
    assert renew_at(1000.0, lifetime_s) == at
    assert renew_at(1000.0, 10.0) == 1009.0


def test_nothing_that_is_shown_has_a_text_of_its_own():
    """A credential in a traceback is a credential in a log."""
    assert "canary" not in f"{Placed('X', 'canary')!r} {Token('canary')!r}"
