"""A pasted command line falls into words as a shell makes them."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.draft.words import words


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=20), max_size=6))
def test_what_a_shell_was_given_comes_back(told):
    """Quoted as Python quotes it for a shell, any text is one word again."""
    assert words(shlex.join(told), {}) == told


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (r"curl \ " + "\n  -X POST", ["curl", " ", "-X", "POST"]),
        ("curl \\\n  -H 'a: b' \\\r\n  url", ["curl", "-H", "a: b", "url"]),
        ("curl ^\r\n  url", ["curl", "url"]),
        (r"""$'caf\xc3\xa9 \u0021\n\t\'q\' \\ \101'""", ["café !\n\t'q' \\ A"]),
        (r"$'\ud83d\ude00'", ["\N{GRINNING FACE}"]),
        (r'''"a \"b\" \$x \\ \n"''', [r'a "b" $x \ \n']),
        ("'it'\\''s'", ["it's"]),
        ("a'b'\"c\"", ["abc"]),
        ("''", [""]),
        ("curl https://x/?a=1&b=2", ["curl", "https://x/?a=1&b=2"]),
        ("curl url | jq .", ["curl", "url"]),
        ("curl url > file", ["curl", "url"]),
        ("curl url && rm x", ["curl", "url"]),
        ("curl url & ", ["curl", "url"]),
        ('"Bearer $TOKEN" ${TOKEN} $OTHER "$OTHER" \'$TOKEN\'', ["Bearer t0k", "t0k", "$OTHER", "$OTHER", "$TOKEN"]),
        ("", []),
    ],
)
def test_words_of_what_people_paste(text, found):
    """Line ends of three shells, quotes of four kinds, a pipe behind it, variables."""
    assert words(text, {"TOKEN": "t0k"}) == found


@pytest.mark.parametrize("text", ["curl 'https://x", 'curl "x', "curl $'x"])
def test_a_quote_that_is_never_closed_is_told(text):
    """Half a command was pasted."""
    with pytest.raises(ValueError, match="never closed"):
        words(text, {})
