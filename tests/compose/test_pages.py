"""From page to page: an end is believed only where the answer says so or brings nothing more."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.compose.pages import FIRST, MOST_EMPTY, Place, following, parameters, place_of
from fetcher.errors import Incomplete, Quarantined, Refused
from fetcher.job.pages import Pages
from fetcher.model import PageFacts, Response

URL = "https://api.example.org/v1/items?day=1&page=1"
SCALARS = st.none() | st.text() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)


def pages_of(kind: str, **keys: Any) -> Pages:
    keys = {"next": "next", **keys} if kind in ("cursor", "next_url") and "next_header" not in keys else keys
    return Pages.model_validate({"kind": kind, **keys})


def answer(*headers: tuple[str, str], url: str = URL) -> Response:
    return Response(200, headers, b"", 0.0, url=url)


def after(way: Pages, place: Place = FIRST, *headers: tuple[str, str], url: str = URL, **facts: Any) -> Place | None:
    """The place behind a page of which the answer says that; it holds an item unless it says how many."""
    return following(way, place, PageFacts(**{"items": 1, **facts}), answer(*headers, url=url))


@pytest.mark.parametrize("kind", ["page", "offset"])
def test_numbered_pages_end_with_an_empty_one(kind):
    """Nothing but an empty page ends them where the job says nothing else: a server may give less than it is asked."""
    for keys in ({}, {"size": 10, "size_parameter": "limit"}):
        pages = pages_of(kind, **keys)
        assert after(pages, items=10) == Place(2, 10)
        assert after(pages, items=3) == Place(2, 3)
        assert after(pages, items=0) is None


@pytest.mark.parametrize("kind", ["page", "offset"])
@pytest.mark.parametrize(("items", "is_last"), [(0, True), (9, True), (10, False), (11, False)])
def test_a_short_page_is_the_last_where_the_job_says_so(kind, items, is_last):
    """A page that is exactly full is never the last."""
    pages = pages_of(kind, size=10, short_is_last=True)
    assert (after(pages, items=items) is None) == is_last


@pytest.mark.parametrize("kind", ["page", "offset"])
@pytest.mark.parametrize("total", [25, "25", " 25 "])
def test_a_total_ends_numbered_pages_without_an_empty_one(kind, total):
    """A number, or a number as text; a short page before it ends nothing, `short_is_last` or not."""
    pages = pages_of(kind, total="total", size=10, short_is_last=True)
    assert after(pages, Place(2, 10), items=7, total=total) == Place(3, 17)
    assert after(pages, Place(3, 17), items=8, total=total) is None
    assert after(pages, Place(3, 17), items=9, total=total) is None


@pytest.mark.parametrize("total", [None, ">1000", "1000+", "about 3", "", "1.5", "²", -1, 2.5, True])
def test_a_total_that_is_only_about_right_ends_nothing(total):
    """Nor does one that is missing: the empty page does, and is no failure then."""
    pages = pages_of("page", total="total")
    assert after(pages, Place(7, 600), items=3, total=total) == Place(8, 603)
    assert after(pages, Place(8, 603), items=0, total=total) is None


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("page", {"items": 0}),
        ("offset", {"items": 0}),
        ("cursor", {"next": None}),
        ("cursor", {"next": ""}),
        ("next_url", {"next": None}),
        ("link", {}),
    ],
)
def test_an_end_before_the_total_is_a_failure(kind, facts):
    """Fewer items than announced: never a short success. More, or as many, are fine."""
    pages = pages_of(kind, total="total")
    with pytest.raises(Incomplete, match=r"announces 1,001 items, its pages hold 1,000"):
        after(pages, Place(5, 1000 - facts.get("items", 1)), total=1001, **facts)
    for total in (1000, 999, ">5000", None):
        assert after(pages, Place(5, 1000 - facts.get("items", 1)), total=total, **facts) is None


def test_a_number_of_pages_ends_them():
    """The last of that many is the last, however many items it has; without the number the empty one is."""
    pages = pages_of("page", pages="pages")
    assert after(pages, Place(2, 20), items=1, pages=3) == Place(3, 21)
    assert after(pages, Place(3, 21), items=1, pages="3") is None
    assert after(pages, Place(3, 21), items=1, pages=None) == Place(4, 22)


@pytest.mark.parametrize("kind", ["page", "offset", "cursor"])
@pytest.mark.parametrize(
    ("flag", "is_more"),
    [
        *((flag, True) for flag in (True, 1, "true", "TRUE", " True ", "1", "y", "Y", "yes")),
        *((flag, False) for flag in (False, 0, "false", "False", "0", "n", "N", "no", "", " ", None)),
    ],
)
def test_a_flag_says_whether_there_are_more(kind, flag, is_more):
    """However it is written, and whatever the pages look like: an empty page may lead to a full one."""
    pages = pages_of(kind, more="more", size=10, short_is_last=True)
    for items in (0, 3, 10):
        assert (after(pages, items=items, more=flag, next="c") is not None) == is_more


@pytest.mark.parametrize("flag", ["maybe", 2, -1, 0.5, "2024-01-01", "null"])
def test_a_flag_that_is_none_is_set_aside(flag):
    """A guess would end too soon, or never."""
    with pytest.raises(Quarantined, match=r"fetch\.pages\.more is .*, expected true or false"):
        after(pages_of("page", more="more"), more=flag)


@pytest.mark.parametrize("kind", ["cursor", "next_url", "link"])
def test_more_to_come_and_no_way_there_is_a_failure(kind):
    """A flag without a cursor would ask for the first page again."""
    with pytest.raises(Incomplete, match=r"page 3 says that there are more, and not where"):
        after(pages_of(kind, more="more"), Place(3, 20, 20, "c"), more=True)


@pytest.mark.parametrize("kind", ["page", "offset", "cursor", "next_url", "link"])
def test_pages_beyond_the_cap_are_a_failure(kind):
    """The last that is allowed may be the last that there is; one more is never a silent end."""
    pages = pages_of(kind, most=3, more="more")
    more: dict[str, Any] = {"more": True, "next": "x"}
    link = ("Link", "<x>; rel=next")
    assert after(pages, Place(2, 2), link, **more)
    assert after(pages, Place(3, 3), link, **{**more, "more": False}) is None
    with pytest.raises(Incomplete, match=r"page 3 is not the last, and fetch\.pages\.most = 3; raise it"):
        after(pages, Place(3, 3), link, **more)


@pytest.mark.parametrize("end", [None, "", False, True, 0])
def test_a_cursor_ends_where_there_is_none(end):
    """Missing, null, empty, a flag in its place or the number 0 (Twitter, SCAN); a full page is the last then too."""
    assert after(pages_of("cursor"), items=100, next=end) is None


@pytest.mark.parametrize("cursor", ["abc", "0", " ", 7, 1.5, -1, "false"])
def test_a_cursor_is_handed_back_as_it_came(cursor):
    """Text and numbers."""
    pages = pages_of("cursor", parameter="after")
    place = after(pages, items=2, next=cursor)
    assert place == Place(2, 2, 0, cursor)
    assert place is not None
    assert parameters(pages, place) == [("after", cursor)]
    assert type(place.cursor) is type(cursor)


def test_a_cursor_that_never_changes_ends_with_an_empty_page():
    """Some servers keep the place on their side, and hand out one cursor for all."""
    pages = pages_of("cursor")
    place = after(pages, items=2, next="scroll")
    assert place == Place(2, 2, 0, "scroll")
    assert place is not None
    assert after(pages, place, items=2, next="scroll") == Place(3, 4, 0, "scroll")
    assert after(pages, place, items=0, next="scroll") is None
    assert after(pages, place, items=0, next="other") == Place(3, 2, 0, "other", 1), "an empty page may lead on"


def test_a_cursor_may_come_in_a_header():
    """Whatever its case; none, or an empty one, is the end."""
    pages = pages_of("cursor", next_header="X-Next")
    assert after(pages, FIRST, ("x-next", "abc")) == Place(2, 1, 0, "abc")
    assert after(pages, FIRST, ("x-next", "")) is None
    assert after(pages, FIRST) is None


@pytest.mark.parametrize(
    ("kind", "keys", "place", "asked"),
    [
        ("page", {}, FIRST, [("page", 1)]),
        ("page", {"first": 0, "parameter": "p"}, FIRST, [("p", 0)]),
        ("page", {"first": 0}, Place(3, 20), [("page", 2)]),
        ("offset", {}, FIRST, [("offset", 0)]),
        ("offset", {"first": 1, "parameter": "start"}, Place(3, 17), [("start", 18)]),
        ("page", {"size": 5}, FIRST, [("page", 1)]),
        ("page", {"size": 5, "size_parameter": "limit"}, Place(2, 5), [("page", 2), ("limit", 5)]),
        ("cursor", {}, FIRST, []),
        ("cursor", {"first": "*"}, FIRST, [("cursor", "*")]),
        ("cursor", {"first": "*"}, Place(2, 1, 1, "x"), [("cursor", "x")]),
        ("next_url", {"size": 5, "size_parameter": "limit"}, FIRST, [("limit", 5)]),
        ("link", {}, FIRST, []),
    ],
)
def test_a_page_is_asked_for_by_what_the_job_names(kind, keys, place, asked):
    """Pages count from 1 and offsets from 0 unless the job says so; a cursor is left out at first."""
    assert parameters(pages_of(kind, **keys), place) == asked


@given(st.lists(st.integers(1, 50), max_size=20))
def test_offsets_count_what_came_so_that_nothing_is_left_out(sizes):
    """However few a server gives of what it is asked for, the offsets cut its items without gap and without overlap."""
    pages, asked = pages_of("offset", size=50, size_parameter="limit"), []
    place: Place | None = FIRST
    for size in [*sizes, 0]:
        assert place is not None
        asked.append(parameters(pages, place)[0][1])
        place = after(pages, place, items=size)
    assert place is None
    assert asked == [sum(sizes[:page]) for page in range(len(sizes) + 1)]


@given(st.integers(1, 60), st.integers(1, 20), st.sampled_from(["total", "pages", "short", "empty"]))
def test_every_item_is_met_whatever_tells_the_end(count, size, told):
    """All pages of a true server are asked for, and none beyond the end but where only an empty one tells it."""
    ways: dict[str, dict[str, Any]] = {"total": {"total": "t"}, "pages": {"pages": "p"}, "empty": {}}
    keys = ways.get(told) or {"short_is_last": told == "short"}
    pages, met, asked = pages_of("page", size=size, **keys), 0, 0
    place: Place | None = FIRST
    while place is not None:
        items = max(0, min(size, count - size * (place.number - 1)))
        met, asked = met + items, asked + 1
        facts = {"total": count} if told == "total" else {"pages": -(-count // size)} if told == "pages" else {}
        place = after(pages, place, items=items, **facts)
    is_told = told in ("total", "pages") or (told == "short" and count % size)
    assert (met, asked) == (count, -(-count // size) + (not is_told))


@given(st.integers(1, 10**7), st.integers(0, 10**12), st.integers(0, 10**12), SCALARS)
def test_a_place_is_read_back_as_it_was_written(number, items, records, cursor):
    """Cursors keep their type; the first page is nothing."""
    place = Place(number, items, records, cursor)
    assert place_of(place.text) == place
    assert type(place_of(place.text).cursor) is type(cursor)
    assert (place.text == "") == (place == FIRST)


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("?page=2", "https://api.example.org/v1/items?page=2"),
        ("next", "https://api.example.org/v1/next"),
        ("/v2/next?a=1", "https://api.example.org/v2/next?a=1"),
        ("../next", "https://api.example.org/next"),
        (" ?page=2 ", "https://api.example.org/v1/items?page=2"),
        ("https://api.example.org/x", "https://api.example.org/x"),
        ("https://API.example.org/x", "https://api.example.org/x"),
        ("https://api.example.org:443/x#part", "https://api.example.org/x"),
        ("//api.example.org/x", "https://api.example.org/x"),
        ("?q=a%2Fb%20c", "https://api.example.org/v1/items?q=a%2Fb%20c"),
        ("?q=a b&c=ä", "https://api.example.org/v1/items?q=a%20b&c=%C3%A4"),
    ],
)
@pytest.mark.parametrize("kind", ["next_url", "link"])
def test_a_next_link_is_followed_within_the_api(kind, link, url):
    """Relative or absolute, resolved against the answer's own address, and such that it can be sent."""
    place = after(pages_of(kind), FIRST, ("Link", f"<{link}>; rel=next"), next=link)
    assert place == Place(2, 1, 0, url)


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1/items?page=2",
        "//evil.example/v1/items?page=2",
        "https://api.example.org.evil.example/",
        "https://api.example.org@evil.example/",
        "https://user:word@api.example.org/",
        "https://@api.example.org/",
        "https://api.example.org:8443/",
        "https://api.example.org:80/",
        "http://api.example.org/v1/items?page=2",
        "http://api.example.org:443/",
        "ftp://api.example.org/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:application/json,[]",
        "https://api.example.org:port/",
        "https://[::1",
        "https://api.example.org\\@evil.example/",
        "\thttps://evil.example/",
        "ht\ntps://evil.example/",
        "?q=\ud800",
        "?q=a\r\nX-Admin: 1",
        "https://api.example.org./",
        "https://api.ex\u0430mple.org/",
        "https://api.example.org:0/",
    ],
)
def test_a_next_link_that_leads_away_is_refused(link):
    """Another host, port, scheme or a user: it would take the credentials along, or reach what is not ours."""
    with pytest.raises(Refused, match=r"the next page") as caught:
        after(pages_of("next_url"), next=link)
    assert "word" not in str(caught.value), "a password must not reach the ledger"


def test_a_default_port_that_the_job_names_is_the_same_origin():
    """`https://host:443` and `https://host` are one place, in either direction."""
    at_port = URL.replace(".org/", ".org:443/")
    place = after(pages_of("next_url"), url=at_port, next="https://api.example.org/x")
    assert place == Place(2, 1, 0, "https://api.example.org/x")


@given(st.text(st.sampled_from("htps:/\\@.?#[]%aà \n\0") | st.characters(), max_size=30))
def test_no_next_link_leaves_the_origin(link):
    """Whatever a server writes: an address of its own origin that can be sent, or a refusal."""
    try:
        place = after(pages_of("next_url"), next=link)
    except Refused:
        return
    if place is not None:
        assert isinstance(place.cursor, str)
        assert place.cursor.lower().startswith(("https://api.example.org/", "https://api.example.org:443/"))
        assert place.cursor.isascii()
        assert not any(character.isspace() for character in place.cursor)


@given(st.sampled_from(["page", "cursor"]), st.lists(st.integers(0, 2), min_size=1, max_size=3 * MOST_EMPTY))
def test_pages_do_not_stay_empty_for_ever(kind, items):
    """A hundred empty pages in a row are taken for an API that will never end; any number of others are not."""
    pages, empty = pages_of(kind, more="more", most=10**6), 0
    place: Place | None = FIRST
    for number, held in enumerate(items):
        empty = 0 if held else empty + 1
        assert place is not None
        try:
            place = after(pages, place, items=held, more=True, next=f"c{number}")
        except Incomplete:
            assert empty == MOST_EMPTY
            return
        assert place is not None
        assert place.empty == empty < MOST_EMPTY


def test_a_flag_that_stays_up_ends_where_all_that_was_announced_is_there():
    """An empty page behind the announced total is the last, whatever its flag says."""
    pages = pages_of("page", more="more", total="total")
    place = after(pages, items=2, more=True, total=2)
    assert place is not None
    assert after(pages, place, items=0, more=True, total=2) is None
    assert after(pages, place, items=0, more=True, total=3) is not None
