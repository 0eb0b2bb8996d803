"""Where keys stand: every key that tomllib reads has a place, and the key is there."""

import json
import tomllib

from hypothesis import given
from hypothesis import strategies as st

from fetcher.job.places import find_places

BARE = "abcXYZ019_-"
scalars = st.one_of(
    st.integers(-999, 999).map(str),
    st.booleans().map(lambda value: str(value).lower()),
    st.text("ab#]}=,[{'. \t").map(json.dumps),
    st.sampled_from(
        [
            "2024-01-01",
            "1979-05-27 07:32:00",
            "1.5e3",
            "'literal # \\ '",
            '"""\nmany = 1\n[lines]\\""" "" x"""',
            "'''a\n[b]\nc = \"\"\"'''",
            '"""ends in quotes"""""',
            "''''quoted''''",
            '""',
            '"\\\\"',
        ]
    ),
)
keys = st.one_of(
    st.text(BARE, min_size=1, max_size=4),
    st.text("a.]=#'\" é\n", min_size=0, max_size=3).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.text('a.]=# é"', max_size=3).map(lambda text: f"'{text}'"),
)
blank = st.sampled_from(["", " ", "\t", "\n", "\n  # a comment ] = } '\"\n", "\r\n"])


def key_name(key):
    return tomllib.loads(f"{key} = 1").popitem()[0]


unique_keys = st.lists(keys, max_size=4, unique_by=key_name)


@st.composite
def arrays(draw, items):
    elements = draw(st.lists(items, max_size=3))
    text = "".join(f"{draw(blank)}{item}{draw(blank)}," for item in elements)
    return f"[{text}{draw(blank)}]"


@st.composite
def inline_tables(draw, items):
    pairs = [f" {key}{draw(st.sampled_from(['', ' ']))}= {draw(items)}" for key in draw(unique_keys)]
    return "{" + ",".join(pairs) + " }"


inline_values = st.recursive(scalars, lambda inner: arrays(inner) | inline_tables(inner), max_leaves=5)


@st.composite
def tables(draw, prefix=(), depth=0):
    """The text of a table: first its own lines, then its tables, as headers, arrays of tables or dotted keys."""
    lines, below = [], []
    for key in draw(unique_keys):
        path = (*prefix, key)
        style = draw(st.sampled_from(["value", "dotted", "table", "array"] if depth < 3 else ["value", "dotted"]))
        if style == "value":
            lines.append(f"{draw(st.sampled_from(['', '  ']))}{key} = {draw(inline_values)} # x = 1\n")
        elif style == "dotted":
            for inner in draw(unique_keys):
                lines.append(f"{key} . {inner}= {draw(inline_values)}\n")
        elif style == "table":
            below.append(f"{draw(blank)}\n [ {' . '.join(path)} ] # {{\n{draw(tables(path, depth + 1))}")
        else:
            for _ in range(draw(st.integers(1, 2))):
                below.append(f"[[{'.'.join(path)}]]\n{draw(tables(path, depth + 1))}")
    return "".join(lines) + "".join(below)


def key_paths(value, path=()):
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*path, key)
        yield from key_paths(child, (*path, key))


def text_at(text, place):
    line, column = place
    return "\n".join(text.replace("\r\n", "\n").split("\n")[line - 1 :])[column - 1 :]


def starts_with_key(text, key):
    if text.startswith(key):
        return True
    for end in range(2, len(text) + 1):
        try:
            return tomllib.loads(f"{text[:end]} = 1") == {key: 1}
        except ValueError:
            continue
    return False


@given(tables())
def test_every_key_of_a_document_has_a_place_and_stands_there(text):
    """For any document that tomllib reads, each key path has a place, and the text there begins with the key."""
    places = find_places(text)
    document = tomllib.loads(text)
    for path in key_paths(document):
        assert path in places, (path, places)
        if isinstance(path[-1], str):
            assert starts_with_key(text_at(text, places[path]), path[-1]), (path, places[path])
    assert set(places) == set(key_paths(document))


@given(st.text("ab.\"'=[]{}#,\n\\ ", max_size=60))
def test_text_that_is_not_toml_neither_raises_nor_hangs(text):
    """What is wrong is tomllib's to say; the scanner only has to come to an end."""
    for line, column in find_places(text).values():
        assert line >= 1
        assert column >= 1


def test_places_point_at_the_first_character_of_a_key():
    """Lines and columns count from 1, headers at the name and not at the bracket."""
    text = "a = 1\r\n[b.c]\n  'd' = [\n  { e = 1 } ]\n[[f]]\ng.h = 2\n[[f]]\n[f.i]\n[b]\n"
    assert find_places(text) == {
        ("a",): (1, 1),
        ("b",): (9, 2),
        ("b", "c"): (2, 4),
        ("b", "c", "d"): (3, 3),
        ("b", "c", "d", 0): (4, 3),
        ("b", "c", "d", 0, "e"): (4, 5),
        ("f",): (5, 3),
        ("f", 0): (5, 3),
        ("f", 0, "g"): (6, 1),
        ("f", 0, "g", "h"): (6, 3),
        ("f", 1): (7, 3),
        ("f", 1, "i"): (8, 4),
    }
