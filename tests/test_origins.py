from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from fetcher.origins import Homes, Origin, homes_of, is_ipv6, is_name, origin_of, resolved, without_user

API = "https://api.example.org/v1/items?page=1"
OWN = Origin("https", "api.example.org", 443)


@pytest.mark.parametrize(
    ("url", "origin", "written"),
    [
        ("https://api.example.org/x", OWN, "https://api.example.org"),
        ("HTTPS://API.Example.ORG:443", OWN, "https://api.example.org"),
        ("https://api.example.org:/x", OWN, "https://api.example.org"),
        ("https://api.example.org.", Origin("https", "api.example.org.", 443), "https://api.example.org."),
        ("https://api.example.org:444", Origin("https", "api.example.org", 444), "https://api.example.org:444"),
        ("http://api.example.org:443", Origin("http", "api.example.org", 443), "http://api.example.org:443"),
        ("http://127.0.0.1:80/", Origin("http", "127.0.0.1", 80), "http://127.0.0.1"),
        ("http://[::1]:8080/", Origin("http", "::1", 8080), "http://[::1]:8080"),
        ("http://a_b-c.de", Origin("http", "a_b-c.de", 80), "http://a_b-c.de"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url, origin, written):
    """However they are written; a dot at the end of a name is another name."""
    assert origin_of(url) == origin
    assert str(origin) == written


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("ftp://api.example.org", "'ftp:' is neither http nor https"),
        ("file:///etc/passwd", "neither http nor https"),
        ("javascript:alert(1)", "neither http nor https"),
        ("//api.example.org", "neither http nor https"),
        ("https://user@api.example.org", "names a user"),
        ("https://@api.example.org", "names a user"),
        ("https:///x", "host cannot be read"),
        ("https://", "host cannot be read"),
        ("https://api.example.org:0", "host cannot be read"),
        ("https://api.example.org:65536", "Port out of range"),
        ("https://api.example.org:x", "Port could not be cast"),
        ("https://api%2eexample.org", "host cannot be read"),
        ("https://a b", "host cannot be read"),
        ("https://a\\b", "host cannot be read"),
        ("https://a!b", "host cannot be read"),
        ("https://[::1", "Invalid IPv6 URL"),
        ("https://[fe80::1%25eth0]", "host cannot be read"),
        ("https://[::g]", "address"),
    ],
)
def test_what_cannot_be_asked_says_why(url, why):
    """One text that parsers may read in two ways is no address."""
    with pytest.raises(ValueError, match=why):
        origin_of(url)


def test_a_name_is_letters_digits_and_what_stands_between():
    """Nothing else, and not nothing."""
    assert [is_name(host) for host in ("a", "a.b-c_9", "é.org", "", "a/b", "a:b", "a%b")] == [True] * 3 + [False] * 4
    assert [is_ipv6(host) for host in ("::1", "fe80::1%eth0", "1.2.3.4", ":")] == [True, False, False, False]


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("?page=2", "https://api.example.org/v1/items?page=2"),
        ("next", "https://api.example.org/v1/next"),
        ("/", "https://api.example.org/"),
        ("", "https://api.example.org/v1/items?page=1"),
        ("#part", "https://api.example.org/v1/items?page=1"),
        ("https://cdn.example.org", "https://cdn.example.org/"),
        ("HTTPS://CDN.Example.org:443/A?b=C#d", "https://cdn.example.org/A?b=C"),
        ("https://cdn.example.org:8443?x", "https://cdn.example.org:8443/?x"),
        ("//cdn.example.org/a%2Fb c", "https://cdn.example.org/a%2Fb%20c"),
        ("/a\\b", "https://api.example.org/a%5Cb"),
        ("///evil.example/x", "https://api.example.org/evil.example/x"),
        ("https://[2001:db8::1]/x", "https://[2001:db8::1]/x"),
    ],
)
def test_a_link_becomes_an_absolute_address(link, url):
    """Resolved, percent-encoded, its fragment left; put together from what was checked."""
    assert resolved(link, API) == url


@pytest.mark.parametrize(
    ("link", "why"),
    [
        ("http://api.example.org/x", "leads from https to http"),
        ("a\r\nX-Admin: 1", "control character"),
        ("\x00", "control character"),
        ("a\x7fb", "control character"),
        ("https://user@api.example.org/", "names a user"),
        ("https://api.example.org\\@evil.example/", "names a user"),
        ("mailto:somebody", "neither http nor https"),
        ("?q=\ud800", "surrogates"),
    ],
)
def test_a_link_that_cannot_be_asked_says_why(link, why):
    with pytest.raises(ValueError, match=why):
        resolved(link, API)


def test_a_plain_address_may_lead_to_tls():
    """Only the other way is a loss."""
    assert resolved("https://a.org/", "http://a.org/") == "https://a.org/"
    assert resolved("http://a.org/x", "http://b.org/") == "http://a.org/x"


LINKS = st.text(alphabet=st.sampled_from("ab./\\@:?#[]% \t\nhtps1é-_"), max_size=24) | st.from_regex(
    r"(https?:)?//?[a-c.@:\\/\[\]%0-9]{0,16}(/[a-b?#@]*)?", fullmatch=True
)


@given(LINKS)
def test_whoever_reads_an_address_finds_the_same_host(link):
    """What was checked is what is connected to, whatever the text was."""
    try:
        url = resolved(link, API)
    except ValueError:
        return
    sent, where = URL(url, encoded=True), origin_of(url)
    assert (sent.scheme, sent.raw_host, sent.port, sent.user) == (
        where.scheme,
        urlsplit(url).hostname,
        where.port,
        None,
    )
    assert sent.fragment == ""


def test_home_is_the_jobs_own_origin_and_what_it_lists():
    """A listed host without a scheme has that of the base address, and the usual port of it."""
    homes = homes_of("https://api.example.org/v1", ["files.example.org", "https://cdn.example.org:8443"])
    assert homes == Homes(
        OWN, frozenset({Origin("https", "files.example.org", 443), Origin("https", "cdn.example.org", 8443)})
    )
    assert homes_of("http://a.org", ["b.org:81"]).listed == {Origin("http", "b.org", 81)}
    assert homes.has("https://api.example.org/x?y") and homes.has("https://files.example.org/x")
    for other in (
        "http://api.example.org/",
        "https://api.example.org:8443/",
        "https://cdn.example.org/",
        "https://x.org",
    ):
        assert not homes.has(other)
    with pytest.raises(ValueError, match="neither"):
        homes.has("ftp://api.example.org/")


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("https://user:word@host/a@b", "https://***@host/a@b"),
        ("//user@host", "//***@host"),
        ("https://host/a@b", "https://host/a@b"),
    ],
)
def test_no_message_shows_what_stands_before_the_host(link, shown):
    assert without_user(link) == shown
