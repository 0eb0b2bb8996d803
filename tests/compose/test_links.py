"""Which address a Link header names as the next one (RFC 8288)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.compose.links import next_link
from fetcher.model import Response

WORDS = st.text("abcdefxyz-", min_size=1, max_size=8).filter(lambda word: word != "next")
TARGETS = st.text("abc/?&=,;:%\"' 0", max_size=20)
TITLES = st.text('abc,;<>= \\"', max_size=12)


def next_of(*lines: str, name: str = "Link") -> str | None:
    return next_link(Response(200, tuple((name, line) for line in lines), b"", 0.0))


@pytest.mark.parametrize(
    "line",
    [
        '</p?page=2>; rel="next"',
        "</p?page=2>; rel=next",
        "</p?page=2>;rel=next",
        "</p?page=2> ; REL = next",
        '</p?page=2>; rel="NEXT"',
        '</p?page=2>; rel="prefetch  next last"',
        '</p?page=1>; rel="first", </p?page=2>; rel="next", </p?page=9>; rel="last"',
        ', ,</p?page=1>; rel="prev" , , </p?page=2>; rel="next",',
        '</p?page=2>; title="a, b; c <d>; rel=prev"; rel=next',
        r'</p?page=1>; title="a \", <x>; rel=next \\"; rel=prev, </p?page=2>; rel=next',
        "</p?page=2>; title*=UTF-8''n%c3%a4chste; rel=next",
        "</p?page=2>; crossorigin; rel=next",
        "</p?page=2>; ; rel=next;",
        "</p?page=1>; rel=prev;, </p?page=2>; rel=next",
        "</p?page=1>; rel=http://example.org/rels/next, </p?page=2>; rel=next",
        "</p?page=2>; rel=next; rel=prev",
        '</p?page=1>; rel=next; anchor="/other", </p?page=2>; rel=next',
        "</p?page=1>, </p?page=2>; rel=next",
        "</p?page=1>; rev=next, </p?page=2>; rel=next",
        '</p?page=2>; rel="next"; broken="',
        "</p?page=1>; rel=next-archive, </p?page=2>; rel=next, </p?page=3>; rel=next",
    ],
)
def test_the_first_link_to_the_next_page_is_found(line):
    """Sections 3 and B.2: quoted or not, any case, several words, other parameters before it, empty list members."""
    assert next_of(line) == "/p?page=2"


@pytest.mark.parametrize(
    "line",
    [
        "",
        "nonsense",
        "</p>",
        "</p>; rel",
        "</p>; rel=",
        '</p>; rel=""',
        "</p>; rel=prev; rel=next",
        "</p>; rev=next",
        '</p>; title="rel=next"',
        '</p>; title="; rel=next',
        '</p>; rel=next; anchor=""',
        '</p>; rel="nextest pre-next"',
        "/p; rel=next",
        "</p; rel=next",
        "</p>, rel=next",
    ],
)
def test_what_names_no_next_page_has_none(line):
    """Only the first `rel` of a link counts, `rev` and links about another context do not."""
    assert next_of(line) is None


def test_several_header_lines_are_one_list():
    """Whatever their case; one that is broken does not hide the others."""
    assert next_of('</1>; rel="prev"', '</2>; rel="next"', name="lInK") == "/2"
    assert next_of('</1>; rel="prev', '</2>; rel="next"') == "/2"
    assert next_of('</1>; rel="next', "", '</2>; rel="next"') == "/2"
    assert next_of('</2>; rel="next"', name="X-Link") is None


@pytest.mark.parametrize("target", ["", "?a=1,2;3", "a b", 'a"b', "//other.example/x", "http://[::1]/;x=<"])
def test_a_target_is_what_stands_in_angle_brackets(target):
    """Commas, semicolons and quotes in it part nothing; it is handed on as it is written."""
    assert next_of(f"<{target}>; rel=next") == target


@given(st.lists(st.tuples(TARGETS, WORDS, TITLES), max_size=4), TARGETS, st.integers(0, 4), st.booleans())
def test_one_next_link_among_others_is_found_wherever_it_is(others, target, place, is_quoted):
    """Whatever stands in the targets and the quoted strings of the others, and on one line or on many."""
    lines = [f'<{other}>; title="{escaped(title)}"; rel="{word}"' for other, word, title in others]
    lines.insert(min(place, len(lines)), f'<{target}>; title="{escaped("<a>; rel=next, ")}"; rel="x next"')
    assert next_of(", ".join(lines)) == target
    assert next_of(*lines) == target


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


@given(st.lists(st.text(st.sampled_from('<>;,="\\ relnxt*\t\né')) | st.text(), max_size=3))
def test_no_text_raises(lines):
    """A server may say what it likes: a target within angle brackets of one of the lines, or nothing."""
    found = next_of(*lines)
    assert found is None or any(f"<{found}>" in line for line in lines)
