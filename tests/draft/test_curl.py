"""What a curl command asks."""

import pytest

from fetcher.draft.asked import asked_of
from fetcher.draft.curl import asked_by


def test_options_are_read_however_they_are_written():
    """Bundled, glued to their value, with and without `=`, in any order."""
    commands = [
        "curl -sSL -X PUT -H 'A: 1' https://x.org/p",
        "curl https://x.org/p -XPUT -sH'A: 1' --compressed",
        "curl --request PUT --header='A: 1' --url https://x.org/p -o out.json",
        "$ /usr/bin/curl --max-time 5 --request PUT --header 'A:1' x.org/p 2",
    ]
    found = [asked_by(command.removesuffix(" 2"), {}) for command in commands]
    assert all(asked == found[0] for asked in found)
    assert (found[0].method, found[0].base_url, found[0].path) == ("PUT", "https://x.org", "/p")
    assert found[0].headers == [("A", "1")]


@pytest.mark.parametrize(
    ("command", "method", "query", "json", "rest"),
    [
        ("curl x.org", "GET", [], None, ""),
        ("curl 'x.org/?a=1&b=&a=2'", "GET", [("a", "1"), ("b", ""), ("a", "2")], None, ""),
        ("curl x.org -d a=1 -d b=2", "POST", [], None, [("a", "1"), ("b", "2")]),
        ("curl x.org -d a=1 -d a=2", "POST", [], None, "a=1&a=2"),
        ("curl x.org -F a=1 --form-string b=@c", "POST", [], None, [("a", "1"), ("b", "@c")]),
        ("curl x.org --data-urlencode 'q=a b&c'", "POST", [], None, [("q", "a b&c")]),
        (
            "curl -G 'x.org?z=0' -d a=1 --data-urlencode 'q=a b'",
            "GET",
            [("z", "0"), ("a", "1"), ("q", "a b")],
            None,
            "",
        ),
        ("""curl x.org --json '{"a": [1, null]}'""", "POST", [], {"a": [1, None]}, ""),
        ("""curl x.org -X PATCH --data-raw '[1]'""", "PATCH", [], [1], ""),
        ("curl x.org --data-raw @me", "POST", [], None, "@me"),
        ("curl x.org --url-query 'a=b c'", "GET", [("a", "b c")], None, ""),
        ("curl -I x.org", "GET", [], None, ""),
    ],
)
def test_method_query_and_body(command, method, query, json, rest):
    """Data makes a POST, -G puts it into the query, JSON is known by what it is."""
    asked = asked_by(command, {})
    assert (asked.method, asked.query, asked.json) == (method, query, json)
    assert (asked.body or asked.form or asked.parts or "") == rest


def test_credentials_are_taken_in_every_way_that_curl_has():
    """-u, an address, --oauth2-bearer and -b."""
    assert asked_by("curl -u me:pw x.org", {}).user == "me:pw"
    assert asked_by("curl https://me:p%40w@x.org", {}).user == "me:p@w"
    asked = asked_by("curl --oauth2-bearer abc -b 'sid=1' x.org", {})
    assert asked.headers == [("Authorization", "Bearer abc"), ("Cookie", "sid=1")]
    assert asked.base_url == "https://x.org"


def test_what_a_browser_adds_is_left_out_and_told():
    """The copied command of a browser has a dozen headers that mean nothing to the API."""
    noise = ["accept-encoding: br", "sec-ch-ua: x", "user-agent: Mozilla/5.0", "referer: y", "content-length: 3"]
    asked = asked_by("curl x.org -H 'test: 1' -A mine " + " ".join(f"-H '{header}'" for header in noise), {})
    assert asked.headers == [("test", "1"), ("User-Agent", "mine")]
    assert "accept-encoding, sec-ch-ua, user-agent, referer, content-length" in asked.notes[0]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("wget x.org", "begins with 'curl', got 'wget'"),
        ("curl", "one address, got 0"),
        ("curl a.org b.org", "one address, got 2: a.org b.org"),
        ("curl x.org -d @body.json", "reads a file"),
        ("curl x.org -H", "-H is the last word"),
        ("curl ftp://x.org", "expected an address such as"),
        ("curl https://", "expected an address such as"),
    ],
)
def test_what_cannot_be_read_is_told(command, message):
    """Expected, got."""
    with pytest.raises(ValueError, match=message):
        asked_by(command, {})


def test_what_a_job_cannot_send_is_noted():
    """Rather than left out silently."""
    asked = asked_by("curl -F a=@b -F c=d -r 0-9 x.org", {})
    assert [note.partition(" is left out")[0] for note in asked.notes] == [
        "the part a is the file b, whose content has to be put here",
        "a part of the answer (-r)",
    ]


@pytest.mark.parametrize(
    ("url", "base_url", "path"),
    [
        ("x.org", "https://x.org", "/"),
        ("localhost:80/a", "http://localhost:80", "/a"),
        ("127.0.0.1:80/a", "http://127.0.0.1:80", "/a"),
        ("[::1]:80/a", "http://[::1]:80", "/a"),
        ("HTTP://X.org/a b/%41#c", "http://X.org", "/a%20b/%41"),
    ],
)
def test_addresses_are_taken_as_people_write_them(url, base_url, path):
    """Without a scheme it is https, but for one's own machine."""
    asked = asked_of(url)
    assert (asked.base_url, asked.path) == (base_url, path)
