"""Every MUST and SHOULD of RFC 9111 sections 3 to 5 that concerns a private cache, each held over real sockets.

What is about shared caches alone (s-maxage, proxy-revalidate, Authorization in section 3.5) is left out, but where a
private cache must not be moved by it.
"""

from dataclasses import dataclass, field
from typing import Any

import pytest

from fetcher.errors import CredentialRefused, GaveUp, NotKept, RowError
from fetcher.fetch.http_dates import as_http_date
from tests.fetch.origin import BEGAN, Say, Step, asked, kept, told

FOR_100_S = {"Cache-Control": "max-age=100"}
STALE = {"Cache-Control": "max-age=1"}
TAGGED = {"Cache-Control": "max-age=1", "ETag": '"a"'}
DATED = {"Cache-Control": "max-age=1", "Last-Modified": as_http_date(BEGAN - 1000)}
FRESH, AGAIN = Say(FOR_100_S), Say(FOR_100_S, "two")
UNCHANGED = Say({"ETag": '"a"', "Cache-Control": "max-age=100"}, "", 304)
NO_ANSWER = Say(fault="drop")


@dataclass(frozen=True)
class Rule:
    """A sentence of the RFC: its section, how strict it is, what it says, and a story that would not go so without."""

    section: str
    level: str
    text: str
    steps: list[Step]
    client: dict[str, Any] = field(default_factory=dict)


def modified(seconds_ago):
    return as_http_date(BEGAN - seconds_ago)


STORING = [
    Rule(
        "3",
        "MUST NOT",
        "store an answer to a method it does not understand",
        [asked(FRESH, method="PROPFIND"), asked(AGAIN)],
    ),
    Rule("3", "MUST NOT", "store an answer to POST and give it to a GET", [asked(FRESH, method="POST"), asked(AGAIN)]),
    Rule(
        "3",
        "may",
        "give an answer to POST to a GET, where it says that it is what that gets (RFC 9110 section 9.3.3)",
        [
            asked(FRESH),
            asked(Say({**FOR_100_S, "Content-Location": "/a"}, "two"), method="POST"),
            kept("two", at=99),
            kept("", at=99, method="HEAD"),
            asked(Say({**FOR_100_S, "Content-Location": "/a"}, "three"), method="POST", at=99),
            kept("three", at=100),
        ],
    ),
    Rule(
        "4.1",
        "MUST NOT",
        "give a GET the answer to a POST whose credential, or a field that Vary names, differs",
        [
            asked(
                Say({**FOR_100_S, "Content-Location": "/a", "Vary": "Foo"}),
                method="POST",
                headers={"Foo": "1", "Authorization": "Bearer a"},
            ),
            asked(Say(FOR_100_S, "two")),
            asked(Say(FOR_100_S, "three"), headers={"Authorization": "Bearer a"}),
            asked(Say({"Cache-Control": "no-store"}, "four"), headers={"Foo": "1", "Authorization": "Bearer b"}),
            asked(
                Say({**FOR_100_S, "Content-Location": "/b", "Vary": "Foo"}),
                path="/b",
                method="POST",
                headers={"Foo": "1"},
            ),
            asked(AGAIN, path="/b"),
        ],
    ),
    *(
        Rule("3", "MUST NOT", f"give a GET the answer to {method} {what}", [asked(says, method=method), asked(AGAIN)])
        for what, method, says in (
            ("that is of another URL", "POST", Say({**FOR_100_S, "Content-Location": "/b"})),
            ("that names two", "POST", Say({**FOR_100_S, "Content-Location": ["/a", "/b"]})),
            ("whose URL cannot be read", "POST", Say({**FOR_100_S, "Content-Location": "http://["})),
            ("without a lifetime", "POST", Say({"Content-Location": "/a", "Last-Modified": modified(10**6)})),
            ("with no-store", "POST", Say({"Cache-Control": "max-age=9, no-store", "Content-Location": "/a"})),
            ("with another status", "POST", Say({**FOR_100_S, "Content-Location": "/a"}, status=201)),
            ("that is what a GET gets", "PUT", Say({**FOR_100_S, "Content-Location": "/a"})),
        )
    ),
    Rule(
        "3",
        "MUST NOT",
        "store an answer with must-understand whose status it does not understand",
        [asked(Say({"Cache-Control": "max-age=100, must-understand, no-store"}, status=599)), asked(AGAIN)],
        {"accept": [599]},
    ),
    Rule(
        "3",
        "MUST NOT",
        "store a 206 that does not say which part it is",
        [
            asked(Say(FOR_100_S, status=206), headers={"Range": "bytes=0-2"}),
            asked(Say({**FOR_100_S, "Content-Range": "bytes 0-2/9"}, "two", 206), headers={"Range": "bytes=0-2"}),
        ],
    ),
    Rule(
        "3",
        "MUST NOT",
        "store an answer with no-store",
        [asked(Say({"Cache-Control": "no-store, max-age=100"})), asked(AGAIN)],
    ),
    Rule(
        "3",
        "MUST NOT",
        "store an answer whose status is not cacheable by itself and that gives no leave",
        [asked(Say({"Last-Modified": modified(1000)}, status=201)), asked(AGAIN, sent={"If-Modified-Since": None})],
        {"caching": {"heuristic": True}},
    ),
    Rule("3", "may", "store an answer with max-age", [asked(FRESH), kept()]),
    Rule("3", "may", "store an answer with Expires", [asked(Say({"Expires": as_http_date(BEGAN + 100)})), kept(at=99)]),
    Rule(
        "3",
        "may",
        "store an answer with private: this cache serves one user",
        [asked(Say({"Cache-Control": "private, max-age=100"})), kept()],
    ),
    Rule(
        "3",
        "may",
        "store an answer with public that gives no time, for validation",
        [
            asked(Say({"Cache-Control": "public", "ETag": '"a"'}, status=203)),
            Step(UNCHANGED, sent={"If-None-Match": '"a"'}, body="one", status=203),
        ],
    ),
    Rule(
        "3",
        "may",
        "store errors that the caller takes for answers and that say for how long",
        [asked(Say(FOR_100_S, status=404)), kept(status=404)],
        {"accept": [404]},
    ),
    Rule(
        "3",
        "MUST NOT",
        "store 429 (RFC 6585 section 4)",
        [asked(Say(FOR_100_S, status=429)), asked(AGAIN)],
        {"accept": [429]},
    ),
    Rule(
        "3",
        "may",
        "share an answer to a request with Authorization only with the same one",
        [
            asked(FRESH, headers={"Authorization": "Bearer a"}),
            kept(headers={"Authorization": "Bearer a"}),
            asked(AGAIN, headers={"Authorization": "Bearer b"}),
            asked(Say(FOR_100_S, "three")),
        ],
    ),
    Rule(
        "3.1",
        "MUST",
        "store all fields, those it does not know included",
        [
            asked(Say({**FOR_100_S, "X-Unheard-Of": "yes", "Set-Cookie": "a=b"})),
            kept(has={"X-Unheard-Of": "yes", "Set-Cookie": "a=b"}),
        ],
    ),
    Rule(
        "3.1",
        "MUST NOT",
        "store fields that Connection names, and those of one connection",
        [
            asked(Say({**FOR_100_S, "Connection": "X-Hop", "X-Hop": "1", "Keep-Alive": "timeout=5", "Upgrade": "h2c"})),
            kept(has={"X-Hop": None, "Keep-Alive": None, "Connection": None, "Upgrade": None}),
        ],
    ),
    Rule(
        "3.1",
        "MUST NOT",
        "store fields of a proxy",
        [
            asked(Say({**FOR_100_S, "Proxy-Authenticate": "Basic", "Proxy-Authentication-Info": "a=b"})),
            kept(has={"Proxy-Authenticate": None, "Proxy-Authentication-Info": None}),
        ],
    ),
    Rule(
        "3.2",
        "MUST",
        "add and replace the fields that an update brings",
        [
            asked(Say({**TAGGED, "X-A": "old"})),
            Step(Say({"ETag": '"a"', "X-A": "new", "X-B": "more"}, "", 304), at=5, has={"X-A": "new", "X-B": "more"}),
            Step(Say({"ETag": '"a"'}, "", 304), at=9, has={"X-A": "new", "X-B": "more"}, body="one"),
        ],
    ),
    Rule(
        "3.2",
        "MUST NOT",
        "update Content-Length, nor the fields of one connection",
        [
            asked(Say({**TAGGED, "Content-Length": "3"})),
            Step(
                Say({"ETag": '"a"', "Connection": "X-Hop", "X-Hop": "1", "Content-Length": "77"}, "", 304),
                at=5,
                has={"Content-Length": "3", "X-Hop": None},
                body="one",
            ),
        ],
    ),
    Rule(
        "3.2",
        "SHOULD",
        "leave out of an update only what the kept body depends on",
        [
            asked(Say({**TAGGED, "Content-MD5": "old", "Content-Type": "text/plain"})),
            Step(
                Say({"ETag": '"a"', "Content-MD5": "new", "Content-Type": "text/html"}, "", 304),
                at=5,
                has={"Content-MD5": "old", "Content-Type": "text/html"},
            ),
        ],
    ),
    Rule(
        "3.3",
        "MUST NOT",
        "use an answer that was cut",
        [Step(Say(FOR_100_S, fault="cut"), raises=RowError), asked(AGAIN)],
    ),
    Rule(
        "3.3",
        "MUST NOT",
        "answer a request for the whole with a part",
        [
            asked(Say({**FOR_100_S, "Content-Range": "bytes 0-2/3"}, status=206), headers={"Range": "bytes=0-"}),
            asked(AGAIN),
        ],
    ),
    Rule(
        "3.3",
        "may",
        "answer a request for a part out of a part that holds it",
        [
            asked(Say({**FOR_100_S, "Content-Range": "bytes 4-8/10"}, "45678", 206), headers={"Range": "bytes=4-8"}),
            kept("567", headers={"Range": "bytes=5-7"}, status=206, has={"Content-Range": "bytes 5-7/10"}),
            kept("45678", headers={"Range": "bytes=4-8"}, status=206),
            asked(Say({**FOR_100_S, "Content-Range": "bytes 5-9/10"}, "56789", 206), headers={"Range": "bytes=5-9"}),
            kept("9", headers={"Range": "bytes=-1"}, status=206),
        ],
    ),
    Rule(
        "3.3",
        "MUST NOT",
        "send a part without marking it as one",
        [
            asked(Say(FOR_100_S, "0123456789")),
            kept(
                "234",
                headers={"Range": "bytes=2-4"},
                status=206,
                has={"Content-Range": "bytes 2-4/10", "Content-Length": "3"},
            ),
            kept("89", headers={"Range": "bytes=-2"}, status=206),
            kept("789", headers={"Range": "bytes=7-"}, status=206),
            kept("0123456789"),
        ],
    ),
    Rule(
        "3.4",
        "MUST NOT",
        "combine parts that may be of different things: it never does",
        [
            asked(Say({**FOR_100_S, "Content-Range": "bytes 0-2/6"}, "012", 206), headers={"Range": "bytes=0-2"}),
            asked(Say({**FOR_100_S, "Content-Range": "bytes 3-5/6"}, "345", 206), headers={"Range": "bytes=3-5"}),
            asked(Say({**FOR_100_S, "Content-Range": "bytes 2-3/6"}, "xx", 206), headers={"Range": "bytes=2-3"}),
            asked(AGAIN),
        ],
    ),
]

REUSING = [
    Rule("4", "MUST NOT", "reuse an answer for another URI", [asked(FRESH), asked(AGAIN, path="/a?b"), kept()]),
    Rule(
        "4",
        "may",
        "reuse an answer to GET for HEAD",
        [asked(FRESH), kept("", method="HEAD", has={"Content-Length": "3"})],
    ),
    Rule("4", "MUST NOT", "reuse an answer to HEAD for GET", [asked(FRESH, method="HEAD"), asked(AGAIN)]),
    Rule(
        "4",
        "MUST NOT",
        "reuse an answer with no-cache without validation",
        [
            asked(Say({"Cache-Control": "no-cache, max-age=100", "ETag": '"a"'})),
            Step(Say({"ETag": '"a"'}, "", 304), sent={"If-None-Match": '"a"'}, body="one"),
        ],
    ),
    Rule("4", "MUST NOT", "reuse an answer that is not fresh", [asked(Say(STALE)), asked(AGAIN, at=1)]),
    Rule(
        "4",
        "MUST",
        "generate Age in what it gives without validation, in place of the one that came",
        [asked(Say({**FOR_100_S, "Age": "7"})), kept(at=10, has={"Age": "17"})],
    ),
    Rule(
        "4",
        "MUST",
        "write unsafe methods through",
        [asked(FRESH), asked(Say(body="done"), method="DELETE"), asked(Say(body="done"), method="DELETE")],
    ),
    Rule(
        "4",
        "MUST",
        "use the most recent of several answers that match, by Date",
        [
            asked(Say({**FOR_100_S, "Vary": "A"}, "older"), headers={"A": "1"}),
            asked(Say({**FOR_100_S, "Vary": "B"}, "newer"), headers={"A": "2"}, at=1),
            kept("newer", headers={"A": "1"}, at=2),
            asked(Say({**FOR_100_S, "Vary": "A"}, "newer"), headers={"A": "1"}, path="/b", at=3),
            asked(
                Say({**FOR_100_S, "Vary": "B", "Date": as_http_date(BEGAN)}, "older"),
                headers={"A": "2"},
                path="/b",
                at=4,
            ),
            kept("newer", headers={"A": "1"}, path="/b", at=5),
        ],
    ),
    Rule(
        "4.1",
        "MUST NOT",
        "use an answer whose Vary names a field that differs",
        [asked(Say({**FOR_100_S, "Vary": "Foo"}), headers={"Foo": "1"}), asked(AGAIN, headers={"Foo": "2"})],
    ),
    Rule(
        "4.1",
        "MUST NOT",
        "match a field that is there with one that is not",
        [asked(Say({**FOR_100_S, "Vary": "Foo"})), asked(AGAIN, headers={"Foo": "1"})],
    ),
    Rule(
        "4.1",
        "MUST NOT",
        "match a field that is not there with one that is",
        [asked(Say({**FOR_100_S, "Vary": "Foo"}), headers={"Foo": "1"}), asked(AGAIN)],
    ),
    Rule(
        "4.1",
        "may",
        "match fields that are absent from both, and whose blanks differ",
        [asked(Say({**FOR_100_S, "Vary": "Foo, Bar"}), headers={"Foo": "1, 2"}), kept(headers={"foo": " 1,2"})],
    ),
    Rule(
        "4.1",
        "MUST",
        "match all of the fields that Vary names, over its lines",
        [
            asked(Say({**FOR_100_S, "Vary": ["Foo", "Bar"]}), headers={"Foo": "1", "Bar": "2"}),
            asked(Say({**FOR_100_S, "Vary": "Foo, Bar"}, "two"), headers={"Foo": "1", "Bar": "3"}),
            kept(headers={"Foo": "1", "Bar": "2"}),
            kept("two", headers={"Foo": "1", "Bar": "3"}),
        ],
    ),
    *(
        Rule(
            "4.1",
            "MUST",
            f"take Vary: {value} for a failure to match",
            [asked(Say({**FOR_100_S, "Vary": value})), asked(AGAIN)],
        )
        for value in ("*", "Foo, *", "*, Foo", ", *")
    ),
    Rule(
        "4.1",
        "MUST",
        "take * on another line for a failure to match",
        [asked(Say({**FOR_100_S, "Vary": ["Foo", "*"]})), asked(AGAIN)],
    ),
    Rule(
        "4.2",
        "SHOULD",
        "read dates whatever the case of their letters",
        [asked(Say({"Expires": as_http_date(BEGAN + 100).upper()})), kept(at=99)],
    ),
    Rule(
        "4.2",
        "SHOULD",
        "take a zone other than GMT for no date",
        [asked(Say({"Expires": as_http_date(BEGAN + 100).replace("GMT", "UTC")})), asked(AGAIN)],
    ),
    Rule(
        "4.2",
        "MUST NOT",
        "let the local zone move a date",
        [asked(Say({"Expires": as_http_date(BEGAN + 10)})), kept(at=9), asked(AGAIN, at=10)],
    ),
    Rule(
        "4.2.1",
        "MUST",
        "prefer max-age to Expires (section 5.3), and not be moved by s-maxage",
        [
            asked(Say({"Cache-Control": "max-age=10, s-maxage=1000", "Expires": as_http_date(BEGAN + 1000)})),
            kept(at=9),
            asked(AGAIN, at=10),
        ],
    ),
    Rule(
        "4.2.1",
        "MUST",
        "count Expires from Date",
        [asked(Say({"Expires": as_http_date(BEGAN - 900), "Date": as_http_date(BEGAN - 1000)})), asked(AGAIN)],
    ),
    Rule(
        "4.2.1",
        "should",
        "take two lifetimes that differ for none",
        [asked(Say({"Cache-Control": ["max-age=100", "max-age=5"]})), asked(AGAIN)],
    ),
    Rule(
        "4.2.1",
        "should",
        "honour the most restrictive of directives that conflict",
        [asked(Say({"Cache-Control": "max-age=100, no-cache"})), asked(AGAIN)],
    ),
    *(
        Rule(
            "4.2.1",
            "should",
            f"take {value!r} for stale",
            [asked(Say({"Cache-Control": value, "Expires": as_http_date(BEGAN + 1000)})), asked(AGAIN)],
        )
        for value in ("max-age=1e9", "max-age=-5", "max-age='100'", "max-age", "max-age=100.0", "max-age= 100x")
    ),
    Rule(
        "4.2.2",
        "MUST NOT",
        "guess where the lifetime is told",
        [asked(Say({**STALE, "Last-Modified": modified(100_000)})), asked(AGAIN, at=2)],
        {"caching": {"heuristic": True}},
    ),
    Rule(
        "4.2.2",
        "may",
        "guess a tenth of the time since it was modified, where it is told to guess",
        [asked(Say({"Last-Modified": modified(1000)})), kept(at=99), asked(AGAIN, at=100)],
        {"caching": {"heuristic": True}},
    ),
    Rule(
        "4.2.2", "may", "not guess at all: the default", [asked(Say({"Last-Modified": modified(1000)})), asked(AGAIN)]
    ),
    Rule(
        "4.2.3",
        "MUST",
        "count the age that came, and the time that it has been kept",
        [asked(Say({**FOR_100_S, "Age": "60"})), kept(at=39, has={"Age": "99"}), asked(AGAIN, at=40)],
    ),
    Rule(
        "4.2.3",
        "MUST",
        "count the time since Date where that is more",
        [asked(Say({**FOR_100_S, "Date": as_http_date(BEGAN - 60), "Age": "5"})), kept(at=39), asked(AGAIN, at=40)],
    ),
    Rule(
        "4.2.3",
        "MUST",
        "be stale where it comes from the future: the clock was wrong when it was kept (T03)",
        [asked(FRESH, at=5000), asked(AGAIN, at=10)],
    ),
    Rule(
        "4.2.4",
        "MUST NOT",
        "give a stale answer where nobody allows it",
        [asked(Say(TAGGED)), Step(NO_ANSWER, at=5, raises=GaveUp)],
    ),
    Rule(
        "4.2.4",
        "MUST NOT",
        "give a stale answer where must-revalidate forbids it, whatever the request allows",
        [
            asked(Say({"Cache-Control": "max-age=1, must-revalidate, stale-if-error=100"})),
            Step(NO_ANSWER, at=5, headers={"Cache-Control": "max-stale, stale-if-error=100"}, raises=GaveUp),
        ],
    ),
    Rule(
        "4.2.4",
        "MUST NOT",
        "give a stale answer where no-cache forbids it",
        [asked(Say({"Cache-Control": "no-cache, stale-if-error=100"})), Step(NO_ANSWER, at=5, raises=GaveUp)],
    ),
    Rule(
        "4.2.4",
        "may",
        "give a stale answer in place of an error (RFC 5861 section 4)",
        [
            asked(Say({"Cache-Control": "max-age=1, stale-if-error=10"})),
            Step(NO_ANSWER, at=5, body="one", has={"Age": "5"}),
            Step(Say(status=503), at=6, body="one"),
            Step(Say(status=404), at=7, raises=RowError),
            Step(Say(status=401), at=7, raises=CredentialRefused),
            Step(NO_ANSWER, at=11, raises=GaveUp),
        ],
    ),
    Rule(
        "4.2.4",
        "may",
        "give a stale answer in place of an error where the request says so",
        [asked(Say(STALE)), Step(NO_ANSWER, at=5, headers={"Cache-Control": "stale-if-error=10"}, body="one")],
    ),
]

VALIDATING = [
    Rule(
        "4.3.1",
        "MUST",
        "send the entity tag of what it validates",
        [
            asked(Say({**STALE, "ETag": 'W/"a"'})),
            Step(Say({"ETag": 'W/"a"'}, "", 304), at=5, sent={"If-None-Match": 'W/"a"'}, body="one"),
        ],
    ),
    Rule(
        "4.3.1",
        "SHOULD",
        "send its Last-Modified, with the tag where there is one",
        [
            asked(Say({**DATED, "ETag": '"a"'})),
            Step(UNCHANGED, at=5, sent={"If-Modified-Since": modified(1000), "If-None-Match": '"a"'}, body="one"),
        ],
    ),
    Rule(
        "4.3.1",
        "MUST",
        "send the fields that Vary names in the request that validates",
        [
            asked(Say({**TAGGED, "Vary": "Foo"}), headers={"Foo": "1"}),
            Step(UNCHANGED, at=5, headers={"Foo": "1"}, sent={"Foo": "1", "If-None-Match": '"a"'}, body="one"),
        ],
    ),
    Rule(
        "4.3.1",
        "may",
        "ask about variants that another request chose, and use the one that the server names",
        [
            asked(Say({**TAGGED, "Vary": "Foo"}), headers={"Foo": "1"}),
            Step(
                Say({"ETag": '"a"', "Vary": "Foo", **FOR_100_S}, "", 304),
                headers={"Foo": "2"},
                sent={"If-None-Match": '"a"'},
                body="one",
            ),
            kept(headers={"Foo": "2"}),
        ],
    ),
    Rule(
        "4.3.2",
        "MUST NOT",
        "judge conditions for which nothing is kept: they are for the server",
        [
            Step(
                Say({"ETag": '"z"'}, "", 304),
                headers={"If-None-Match": '"z"'},
                sent={"If-None-Match": '"z"'},
                status=304,
            )
        ],
    ),
    Rule(
        "4.3.2",
        "MUST NOT",
        "judge If-Match: it is for the origin",
        [asked(Say({**FOR_100_S, "ETag": '"a"'})), asked(AGAIN, headers={"If-Match": '"a"'}, sent={"If-Match": '"a"'})],
    ),
    Rule(
        "4.3.2",
        "may",
        "answer If-None-Match out of what is kept and fresh, with 304",
        [
            asked(Say({**FOR_100_S, "ETag": 'W/"a"'})),
            kept("", headers={"If-None-Match": '"b", "a"'}, status=304),
            kept("one", headers={"If-None-Match": '"c"'}),
        ],
    ),
    Rule(
        "4.3.2",
        "MUST",
        "let If-None-Match stand above If-Modified-Since",
        [
            asked(Say({**FOR_100_S, "ETag": '"a"', "Last-Modified": modified(1000)})),
            kept("one", headers={"If-None-Match": '"c"', "If-Modified-Since": modified(10)}),
        ],
    ),
    Rule(
        "4.3.2",
        "SHOULD",
        "judge If-Modified-Since by Last-Modified, or by Date where there is none",
        [
            asked(Say({**FOR_100_S, "Last-Modified": modified(1000)})),
            kept("", headers={"If-Modified-Since": modified(1000)}, status=304),
            kept("one", headers={"If-Modified-Since": modified(1001)}),
            asked(FRESH, path="/b"),
            kept("", path="/b", headers={"If-Modified-Since": modified(0)}, status=304),
            kept("one", path="/b", headers={"If-Modified-Since": modified(1)}),
        ],
    ),
    Rule(
        "4.3.3",
        "MUST",
        "use the whole answer that comes instead of a 304",
        [asked(Say(TAGGED)), asked(Say({**FOR_100_S, "ETag": '"b"'}, "two"), at=5), kept("two", at=6)],
    ),
    Rule(
        "4.3.3",
        "may",
        "pass an error of the server on, or take it for silence",
        [asked(Say(TAGGED)), Step(Say(status=500), at=5, raises=GaveUp)],
    ),
    Rule(
        "4.3.4",
        "MUST",
        "take a 304 for news of the answer with its tag: it is fresh again",
        [asked(Say(TAGGED)), Step(UNCHANGED, at=5, body="one"), kept(at=100, has={"Age": "95"})],
    ),
    Rule(
        "4.3.4",
        "MUST NOT",
        "update any answer by a 304 with a strong tag that none of them has",
        [
            asked(Say(DATED)),
            Step((Say({"ETag": '"z"', **FOR_100_S}, "", 304), AGAIN), at=5, body="two"),
            kept("two", at=6),
        ],
    ),
    Rule(
        "4.3.4",
        "MUST",
        "find the answer by Last-Modified where there is no tag",
        [
            asked(Say(DATED)),
            Step(Say({**DATED, **FOR_100_S}, "", 304), at=5, sent={"If-Modified-Since": modified(1000)}, body="one"),
            kept(at=90),
        ],
    ),
    Rule(
        "4.3.5",
        "SHOULD",
        "update what is kept by the head of the same thing",
        [
            asked(Say({**TAGGED, "X-A": "old"})),
            asked(Say({**FOR_100_S, "ETag": '"a"', "X-A": "new", "Content-Length": "3"}), method="HEAD", at=5),
            kept(at=90, has={"X-A": "new"}),
        ],
    ),
    Rule(
        "4.3.5",
        "SHOULD",
        "take what is kept for stale where the head is of something else",
        [
            asked(Say({"Cache-Control": "max-age=10", "ETag": '"a"'})),
            asked(Say({**FOR_100_S, "ETag": '"b"'}), method="HEAD", headers={"Cache-Control": "no-cache"}),
            asked(AGAIN),
        ],
    ),
    Rule(
        "4.3.5",
        "SHOULD",
        "take what is kept for stale where the head tells another length",
        [
            asked(FRESH),
            asked(
                Say({**FOR_100_S, "Content-Length": "4"}, body="four"),
                method="HEAD",
                headers={"Cache-Control": "no-cache"},
            ),
            asked(AGAIN),
        ],
    ),
]

INVALIDATING = [
    *(
        Rule(
            "4.4",
            "MUST",
            f"drop what is kept of a target that {method} has changed, every variant of it",
            [
                asked(Say({**FOR_100_S, "Vary": "Foo"}), headers={"Foo": "1"}),
                asked(Say({**FOR_100_S, "Vary": "Foo"}), headers={"Foo": "2"}),
                asked(Say(body="done"), method=method),
                asked(Say({**FOR_100_S, "Vary": "Foo"}, "two"), headers={"Foo": "1"}),
                asked(Say({**FOR_100_S, "Vary": "Foo"}, "two"), headers={"Foo": "2"}),
            ],
        )
        for method in ("POST", "PUT", "DELETE", "PATCH", "UNHEARD-OF")
    ),
    Rule(
        "4.4",
        "MUST",
        "drop what is kept where the answer is a redirect: that is no error",
        [asked(FRESH), asked(Say(status=303), method="POST"), asked(AGAIN)],
        {"accept": [303]},
    ),
    Rule(
        "4.4",
        "may",
        "keep it where the change has failed",
        [asked(FRESH), Step(Say(status=400), method="POST", raises=RowError), kept()],
    ),
    Rule(
        "4.4",
        "may",
        "drop what the answer names, of its own origin",
        [
            asked(FRESH),
            asked(FRESH, path="/c"),
            asked(Say({"Location": "/a", "Content-Location": "/c"}), method="POST", path="/b"),
            asked(AGAIN),
            asked(AGAIN, path="/c"),
        ],
    ),
    Rule(
        "4.4",
        "MUST NOT",
        "drop what is of another origin",
        [asked(FRESH), asked(Say({"Location": "http://elsewhere.example/a"}), method="POST", path="/b"), kept()],
    ),
    Rule(
        "4.4",
        "MUST",
        "drop what is kept of the target, though the URL that the answer names cannot be read",
        [asked(FRESH), asked(Say({"Location": "http://["}), method="POST"), asked(AGAIN)],
    ),
    Rule(
        "4.4",
        "may",
        "keep it where the method is safe",
        [asked(FRESH), asked(Say(body="done"), method="OPTIONS"), kept()],
    ),
]

FIELDS = [
    Rule(
        "5.1",
        "SHOULD",
        "use the first member of Age",
        [asked(Say({**FOR_100_S, "Age": "60, 0"})), kept(at=39), asked(AGAIN, at=40)],
    ),
    Rule(
        "5.1",
        "SHOULD",
        "ignore an Age that is no whole number",
        [asked(Say({**FOR_100_S, "Age": "x, 99"})), kept(at=99, has={"Age": "99"})],
    ),
    Rule(
        "1.2.2",
        "MUST",
        "take a time that is too long for 2^31 seconds",
        [asked(Say({"Cache-Control": "max-age=99999999999999999999", "Age": "99999999999999999999"})), asked(AGAIN)],
    ),
    Rule(
        "5.2", "MUST", "know directives whatever their case", [asked(Say({"Cache-Control": "NO-StorE"})), asked(AGAIN)]
    ),
    Rule(
        "5.2",
        "ought to",
        "read arguments as tokens and quoted",
        [asked(Say({"Cache-Control": 'max-age="100"'})), kept(at=99)],
    ),
    Rule(
        "5.2",
        "MUST NOT",
        "find directives within the quoted arguments of others",
        [asked(Say({"Cache-Control": 'ext="no-store, max-age=1", max-age=100'})), kept(at=99)],
    ),
    Rule(
        "5.2.1.1",
        "SHOULD",
        "obey max-age of a request",
        [
            asked(FRESH),
            kept(at=5, headers={"Cache-Control": "max-age=5"}),
            asked(AGAIN, at=6, headers={"Cache-Control": "max-age=5"}),
        ],
    ),
    Rule(
        "5.2.1.1",
        "SHOULD NOT",
        "ask about a fresh answer with immutable because of max-age (RFC 8246 section 2)",
        [
            asked(Say({"Cache-Control": "max-age=100, immutable", "ETag": '"a"'})),
            kept(at=99, headers={"Cache-Control": "max-age=0"}),
            Step(UNCHANGED, at=99, headers={"Cache-Control": "no-cache"}, sent={"If-None-Match": '"a"'}, body="one"),
        ],
    ),
    Rule(
        "5.2.1.1",
        "SHOULD",
        "ask about a stale answer with immutable, and about one that is not as fresh as wanted",
        [
            asked(Say({"Cache-Control": "max-age=10, immutable, stale-while-revalidate=99", "ETag": '"a"'})),
            Step(
                Say({"ETag": '"a"'}, "", 304),
                at=8,
                headers={"Cache-Control": "max-age=0, min-fresh=3"},
                sent={"If-None-Match": '"a"'},
                body="one",
            ),
            Step(UNCHANGED, at=18, headers={"Cache-Control": "max-age=0"}, sent={"If-None-Match": '"a"'}, body="one"),
        ],
    ),
    Rule(
        "5.2.1.2",
        "may",
        "give a stale answer as max-stale of a request allows",
        [
            asked(Say(STALE)),
            kept(at=5, headers={"Cache-Control": "max-stale=4"}),
            kept(at=50, headers={"Cache-Control": "max-stale"}),
            asked(AGAIN, at=6, headers={"Cache-Control": "max-stale=4"}),
        ],
    ),
    Rule(
        "5.2.1.2",
        "may",
        "not be moved by a max-stale that is malformed",
        [asked(Say(STALE)), asked(AGAIN, at=5, headers={"Cache-Control": "max-stale=x"})],
    ),
    Rule(
        "5.2.1.3",
        "SHOULD",
        "obey min-fresh of a request",
        [
            asked(FRESH),
            kept(at=90, headers={"Cache-Control": "min-fresh=10"}),
            asked(AGAIN, at=91, headers={"Cache-Control": "min-fresh=10"}),
        ],
    ),
    Rule(
        "5.2.1.4",
        "SHOULD",
        "validate where the request says no-cache",
        [
            asked(Say({**FOR_100_S, "ETag": '"a"'})),
            Step(UNCHANGED, headers={"Cache-Control": "no-cache"}, sent={"If-None-Match": '"a"'}, body="one"),
        ],
    ),
    Rule(
        "5.2.1.5",
        "MUST NOT",
        "store the answer to a request with no-store",
        [asked(FRESH, headers={"Cache-Control": "no-store"}), asked(AGAIN)],
    ),
    *(
        Rule(
            section,
            "MUST NOT",
            f"write the news of a 304 to what is kept where {who} says no-store",
            [
                asked(Say({**TAGGED, "X-A": "old"})),
                Step(Say({"ETag": '"a"', "X-A": "new", **told}, "", 304), at=5, headers=headers, body="one"),
                Step(UNCHANGED, at=6, has={"X-A": "old"}, body="one"),
            ],
        )
        for section, who, headers, told in (
            ("5.2.1.5", "the request", {"Cache-Control": "no-store"}, FOR_100_S),
            ("5.2.2.5", "it", {}, {"Cache-Control": "no-store, max-age=100"}),
        )
    ),
    Rule(
        "5.2.1.7",
        "SHOULD",
        "answer only-if-cached out of the cache, or say that it cannot",
        [
            Step(None, headers={"Cache-Control": "only-if-cached"}, raises=NotKept),
            asked(FRESH),
            kept(headers={"Cache-Control": "only-if-cached"}),
            Step(None, at=200, headers={"Cache-Control": "only-if-cached"}, raises=NotKept),
        ],
    ),
    Rule(
        "5.2.2.2",
        "MUST NOT",
        "reuse a stale answer with must-revalidate before it is validated",
        [
            asked(Say({"Cache-Control": "max-age=1, must-revalidate, stale-while-revalidate=100", "ETag": '"a"'})),
            Step(UNCHANGED, at=5, headers={"Cache-Control": "max-stale"}, body="one", sent={"If-None-Match": '"a"'}),
        ],
    ),
    Rule(
        "5.2.2.2",
        "may",
        "reuse a fresh answer with must-revalidate",
        [asked(Say({"Cache-Control": "max-age=100, must-revalidate"})), kept()],
    ),
    Rule(
        "5.2.2.3",
        "SHOULD",
        "ignore no-store beside must-understand where it understands the status",
        [asked(Say({"Cache-Control": "max-age=100, must-understand, no-store"})), kept()],
    ),
    Rule(
        "5.2.2.4",
        "MUST NOT",
        "use an answer with no-cache where validation fails",
        [asked(Say({"Cache-Control": "no-cache"})), Step(NO_ANSWER, raises=GaveUp)],
    ),
    Rule(
        "5.2.2.4",
        "MUST NOT",
        "use the fields that no-cache names without validation: the whole answer is validated",
        [
            asked(Say({"Cache-Control": 'no-cache="set-cookie", max-age=100', "ETag": '"a"'})),
            Step(UNCHANGED, sent={"If-None-Match": '"a"'}, body="one"),
        ],
    ),
    Rule(
        "5.2.2.5",
        "MUST NOT",
        "keep any part of an answer with no-store, nor use it for another request",
        [asked(Say({"Cache-Control": "no-store", "ETag": '"a"'})), asked(AGAIN, sent={"If-None-Match": None})],
    ),
    Rule(
        "5.2.3",
        "MUST",
        "ignore directives it does not know",
        [asked(Say({"Cache-Control": "max-age=100, mystery=5, enigma"})), kept(at=99)],
    ),
    Rule(
        "5.3", "MUST", "ignore Expires where there is max-age", [asked(Say({**FOR_100_S, "Expires": "0"})), kept(at=99)]
    ),
    *(
        Rule(
            "5.3",
            "MUST",
            f"take Expires: {value} for a time in the past",
            [asked(Say({"Expires": value})), asked(AGAIN)],
        )
        for value in ("0", "-1", "tomorrow", "Thu, 18 Aug 50 02:01:18 GMT")
    ),
    Rule(
        "5.3",
        "MUST",
        "take two Expires that differ for a time in the past (section 4.2.1)",
        [asked(Say({"Expires": [as_http_date(BEGAN + 100), as_http_date(BEGAN + 200)]})), asked(AGAIN)],
    ),
    Rule(
        "5.4",
        "may",
        "take Pragma: no-cache of a request without Cache-Control for no-cache",
        [asked(FRESH), asked(AGAIN, headers={"Pragma": "no-cache"})],
    ),
]

RULES = [*STORING, *REUSING, *VALIDATING, *INVALIDATING, *FIELDS]


@pytest.mark.parametrize("rule", RULES, ids=[f"{rule.section} {rule.level} {rule.text}" for rule in RULES])
async def test_the_rfc_is_kept(tmp_path, rule):
    """The story goes as the section says: who is asked, with which fields, and what the answer is."""
    await told(rule.steps, tmp_path / "cache.sqlite", **rule.client)
