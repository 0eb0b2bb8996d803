"""Where a redirect leads, and what goes along: the decisions. Over sockets: test_credentials_stay_home."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import Refused
from fetcher.fetch.redirects import MOST_HOPS, Hop, first_hop, method_after, next_hop, with_address, with_kept_address
from fetcher.model import Request, Response
from fetcher.origins import homes_of

HOMES = homes_of("https://api.example.org/v1", ["files.example.org"])
HERE = "https://api.example.org/v1/items?key=1"
HEADERS = (("X-Tenant", "t"), ("content-type", "application/json"), ("Content-Language", "en"), ("Cookie", "a=b"))
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def asked(method="GET", body=b"", **more):
    return Request(method, HERE, HEADERS, body, page=2, cost=3, credential="whose", **more)


def answer(status, location=None):
    return Response(status, (("Location", location),) if location is not None else (), b"", 0.0)


def after(status, location, request=None, secrets=(), hop=None):
    return next_hop(hop or first_hop(request or asked(), HOMES), answer(status, location), HOMES, secrets)


def test_a_chain_begins_with_the_request_itself():
    """At home it carries all that it has."""
    request = asked("POST", b"{}")
    assert first_hop(request, HOMES) == Hop(request, is_home=True)


def test_a_question_elsewhere_is_bare_from_the_beginning():
    """An address that came from data, such as a download's: it is told nothing of the job."""
    request = Request("GET", "https://cdn.example.net/file?sig=1", HEADERS, cost=3, credential="whose")
    assert first_hop(request, HOMES) == Hop(Request("GET", request.url, cost=3), is_home=False)
    listed = Request("GET", "https://files.example.org/file", HEADERS)
    assert first_hop(listed, HOMES) == Hop(listed, is_home=True)


def test_an_address_elsewhere_that_holds_a_secret_is_not_asked():
    """Nor is one that came from data and not by a redirect."""
    with pytest.raises(Refused, match=r"would take a secret along to https://cdn\.example\.net$"):
        first_hop(Request("GET", "https://cdn.example.net/?k=s3cret"), HOMES, ("other", "s3cret"))
    assert first_hop(Request("GET", "https://cdn.example.net/?k=1"), HOMES, ("s3cret",)).request.url.endswith("?k=1")
    assert first_hop(Request("GET", f"{HERE}&k=s3cret"), HOMES, ("s3cret",)).is_home


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (Request("POST", "https://cdn.example.net/", HEADERS, b"{}"), "POST .* not sent to https://cdn.example.net"),
        (Request("DELETE", "https://cdn.example.net/"), "fetch.allowed_hosts"),
        (Request("GET", "https://cdn.example.net/", (), b"{}"), "fetch.allowed_hosts"),
        (Request("GET", "file:///etc/passwd"), "not a URL that can be asked: 'file:'"),
        (Request("GET", "https://u@api.example.org/"), "names a user"),
    ],
)
def test_more_than_a_question_goes_nowhere_else(request_, why):
    with pytest.raises(Refused, match=why):
        first_hop(request_, HOMES)


@pytest.mark.parametrize("status", [200, 204, 300, 304, 305, 306, 309, 400, 401, 500])
def test_other_statuses_lead_nowhere(status):
    """Also where they have a Location."""
    assert after(status, "/x") is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_without_a_target_leads_nowhere(status):
    assert after(status, None) is None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", METHODS)
def test_a_method_changes_as_the_specification_says(status, method):
    """RFC 9110 section 15.4: 301 and 302 for a POST alone, 303 for all but HEAD, 307 and 308 for none."""
    becomes_get = (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST")
    assert method_after(status, method) == ("GET" if becomes_get else method)


@pytest.mark.parametrize("host", ["https://api.example.org", "https://files.example.org"])
@pytest.mark.parametrize(("status", "method"), [(307, "POST"), (308, "PUT"), (301, "PATCH"), (302, "GET")])
def test_at_home_the_request_goes_on_as_it_was(host, status, method):
    """Headers, body and idempotency key; a listed host is home."""
    request = asked(method, b"{}" if method != "GET" else b"", idempotency_key="k")
    hop = after(status, f"{host}/v2?a=1#part", request)
    expected = Request(method, f"{host}/v2?a=1", HEADERS, request.body, idempotency_key="k", cost=3)
    assert hop == Hop(expected, True, 1, False, frozenset({(method, HERE)}))


@pytest.mark.parametrize("status", [301, 302, 303])
def test_what_has_become_a_get_has_no_body_nor_what_describes_it(status):
    """It asks for what came of the POST, which was carried out."""
    hop = after(status, "/v1/orders/1", asked("POST", b"{}", idempotency_key="k"))
    expected = Request("GET", "https://api.example.org/v1/orders/1", (HEADERS[0], HEADERS[3]), cost=3)
    assert hop == Hop(expected, True, 1, True, frozenset({("POST", HERE)}))
    later = after(307, "/v1/orders/2", hop=hop)
    assert later is not None and later.is_result and later.request.headers == (HEADERS[0], HEADERS[3])


@pytest.mark.parametrize(
    "location",
    [
        "https://evil.example/v1",
        "//evil.example/",
        "https://api.example.org:8443/",
        "https://api.example.org./",
        "https://api.example.org.evil.example/",
        "https://sub.api.example.org/",
        "https://api.ex\u0430mple.org/",
        "https://127.0.0.1/",
        "https://files.example.org:444/",
    ],
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_x01_elsewhere_goes_a_bare_question(location, status):
    """No header, no cookie, no credential, no key of an answer: method and address."""
    hop = after(status, location)
    assert hop is not None
    assert hop.request == Request("GET", hop.request.url, cost=3)
    assert (hop.is_home, hop.number) == (False, 1)


@pytest.mark.parametrize("status", [301, 302, 303])
def test_x01_a_post_elsewhere_becomes_a_bare_question(status):
    hop = after(status, "https://evil.example/", asked("POST", b"{}", idempotency_key="k"))
    assert hop is not None
    assert hop.request == Request("GET", "https://evil.example/", cost=3)
    assert hop.is_result


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [(307, "POST", b"{}"), (308, "POST", b""), (301, "PUT", b"{}"), (302, "DELETE", b""), (307, "GET", b"{}")],
)
def test_h15_nothing_but_a_question_goes_elsewhere(status, method, body):
    """Neither a body nor a method that changes something."""
    with pytest.raises(Refused, match=rf"a {method} .* https://evil\.example; list that host in fetch\.allowed_hosts"):
        after(status, "https://evil.example/x", asked(method, body))


def test_a_chain_that_has_left_home_stays_bare():
    """Whoever sent it back has chosen the address: it is not asked for with our credential."""
    away = after(302, "https://evil.example/")
    back = after(302, "https://api.example.org/admin", hop=away)
    assert back is not None
    assert (back.is_home, back.request) == (False, Request("GET", "https://api.example.org/admin", cost=3))


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("http://api.example.org/v1", "leads from https to http"),
        ("http://evil.example/", "leads from https to http"),
        ("ftp://api.example.org/", "'ftp:'"),
        ("file:///etc/passwd", "'file:'"),
        ("javascript:alert(1)", "'javascript:'"),
        ("https://user:word@api.example.org/", "names a user"),
        ("https://api.example.org@evil.example/", "names a user"),
        ("https://[::1/", "Invalid IPv6"),
        ("/a\nb", "control character"),
    ],
)
def test_x02_what_no_api_says_is_refused(location, why):
    with pytest.raises(Refused, match=why) as caught:
        after(302, location)
    assert "word" not in str(caught.value)
    assert "HTTP 302: a redirect to" in str(caught.value)


def test_h14_what_was_asked_before_goes_round():
    """The same method and address, of this hop or of an earlier one; a fragment makes no difference."""
    with pytest.raises(Refused, match="goes round"):
        after(302, f"{HERE}#again")
    second = after(302, "/b")
    with pytest.raises(Refused, match="goes round"):
        after(302, HERE, hop=second)
    assert second is not None and second.asked == {("GET", HERE)}


def test_a_post_may_lead_to_a_get_of_the_same_address():
    """It is another request."""
    hop = after(303, HERE, asked("POST", b"{}"))
    assert hop is not None and (hop.request.method, hop.request.url) == ("GET", HERE)


def test_h14_five_hops_and_no_more():
    hop = first_hop(asked(), HOMES)
    for number in range(MOST_HOPS):
        found = after(302, f"/{number}", hop=hop)
        assert found is not None and found.number == number + 1
        hop = found
    with pytest.raises(Refused, match="one too many: no more than 5"):
        after(302, "/more", hop=hop)


def test_x01_an_address_elsewhere_holds_no_secret():
    """A server that repeats the key that it was asked with would hand it on. At home it may."""
    with pytest.raises(Refused, match=r"would take a secret along to https://evil\.example") as caught:
        after(302, "https://evil.example/?key=s3cret%2F", secrets=("other", "s3cret%2F"))
    assert "is not followed" in str(caught.value)
    assert after(302, "/v2?key=s3cret%2F", secrets=("s3cret%2F",)) is not None
    assert after(302, "https://evil.example/?key=public", secrets=("s3cret",)) is not None


@given(
    st.lists(st.tuples(st.sampled_from([301, 302, 303, 307, 308]), st.sampled_from("abcd")), max_size=7),
    st.sampled_from(METHODS),
)
def test_x01_nothing_of_the_job_is_in_what_leaves_home(hops, method):
    """Any chain over two homes and two strangers: home alone hears of headers and body, and never after a stranger."""
    origins = {
        "a": "https://api.example.org",
        "b": "https://files.example.org",
        "c": "https://c.org",
        "d": "https://d.org",
    }
    hop, has_left = first_hop(asked(method, b"" if method in ("GET", "HEAD") else b"{}"), HOMES), False
    for number, (status, place) in enumerate(hops):
        try:
            found = after(status, f"{origins[place]}/{number}", hop=hop)
        except Refused:
            return
        assert found is not None
        hop, has_left = found, has_left or place in "cd"
        assert hop.is_home != has_left
        if has_left:
            assert hop.request == Request(hop.request.method, f"{origins[place]}/{number}", cost=3)
            assert hop.request.method in ("GET", "HEAD")


def test_h25_a_kept_answer_knows_where_it_came_from():
    """What it links to counts from there, also when it comes from the cache."""
    came = Response(200, (("X", "y"),), b"", 0.0, url="https://api.example.org/v2")
    kept = with_address(came, HERE)
    assert kept.headers == (("X", "y"), (":url", "https://api.example.org/v2"))
    assert with_kept_address(kept, HERE) == came
    plain = Response(200, (("X", "y"),), b"", 0.0, url=HERE)
    assert with_address(plain, HERE) is plain
    assert with_address(Response(200, (), b"", 0.0), HERE).headers == ()
    assert with_kept_address(Response(200, (("X", "y"),), b"", 0.0), HERE) == plain
