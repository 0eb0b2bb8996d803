"""Names of charsets."""

import encodings
import pkgutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import Quarantined
from fetcher.job.charsets import charset_of
from fetcher.parse.charsets import text_of

CODECS = sorted(module.name for module in pkgutil.iter_modules(encodings.__path__))


@pytest.mark.parametrize(
    ("name", "charset"),
    [("UTF8", "utf-8"), ("Latin-1", "iso8859-1"), ("windows-1252", "cp1252"), ("Shift_JIS", "shift_jis")],
)
def test_a_charset_has_one_name(name, charset):
    """Python's own."""
    assert charset_of(name) == charset


@pytest.mark.parametrize(
    "name", ["", "martian", "hex", "base64", "rot13", "zlib", "utf-7", "idna", "unicode_escape", "a\0b", "é", "aliases"]
)
def test_what_is_no_charset_is_refused(name):
    """Python knows codecs that make no text of bytes, or text that cannot be written down."""
    with pytest.raises(ValueError, match="there is no charset"):
        charset_of(name)


@given(st.binary(), st.sampled_from(CODECS))
def test_any_name_and_any_bytes_are_text_or_refused(body, name):
    """A header is a stranger's: whatever it names costs its own row, and what is read can be written in UTF-8."""
    try:
        text = text_of(body, f"text/plain; charset={name}")
    except Quarantined as error:
        assert str(error)
    else:
        assert text.encode().decode() == text
