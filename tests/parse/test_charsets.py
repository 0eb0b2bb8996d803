"""C07: from bytes to text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.errors import Quarantined
from fetcher.parse.charsets import media_type, text_of
from tests.parse.shaping import records

JSON = 'records = "[]"'
CSV = 'format = "csv"'
TEXT = 'format = "text"'
LATIN = "text/plain; charset=ISO-8859-1"


@given(st.text(), st.sampled_from(["utf-8-sig", "utf-16", "utf-32"]))
def test_c07_a_byte_order_mark_decides(text, charset):
    """Whatever the header and the job say. UTF-16 that begins with a NUL is the one thing that looks like UTF-32."""
    body = text.encode(charset)
    if body and not text.startswith("\0"):
        assert text_of(body, LATIN, "cp1251") == text


@given(st.text(min_size=1))
def test_c07_utf8_is_read_as_utf8_under_a_wrong_label(text):
    """A server's default charset says little: no é ever becomes Ã©."""
    if not text.startswith("\ufeff"):
        assert text_of(text.encode(), LATIN) == text_of(text.encode(), "text/plain; charset='us-ascii'") == text


@pytest.mark.parametrize(
    ("body", "content_type", "encoding", "text"),
    [
        (b"caf\xe9", LATIN, "", "café"),
        (b"\x80 5", LATIN, "", "€ 5"),
        (b"\x80 5", "text/plain; charset=ascii", "", "€ 5"),
        (b"caf\xe9", "", "windows-1252", "café"),
        ("é".encode(), LATIN, "latin-1", "Ã©"),
        ("日本".encode("shift_jis"), "text/csv;charset=Shift_JIS", "", "日本"),
        ("привет".encode("koi8-r"), 'text/plain; Charset="koi8-r"', "", "привет"),
        ("ab".encode("utf-16-le"), "text/plain; charset=utf-16le", "", "ab"),
        (b"ab", "text/plain; boundary=charset", "", "ab"),
        ("é".encode(), "text/plain; charset=utf8mb4", "", "é"),
    ],
)
def test_c07_the_charset_that_is_named_is_obeyed(body, content_type, encoding, text):
    """The job's before the header's; Latin-1 is Windows-1252 unless the job says it."""
    assert text_of(body, content_type, encoding) == text
    if not encoding:
        assert records(TEXT, body, content_type=content_type) == [{"text": text}]


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        (b"ab\xff", "", r"is not UTF-8 \(no known charset is named\) at byte 2"),
        (b"\xef\xbb\xbfab\xff", "", r"is not UTF-8 \(its byte order mark says so\) at byte 2"),
        (b"\x81", LATIN, r"is not CP1252 \(the Content-Type says so\) at byte 0"),
        (b"\xff\xfea", "", r"is not UTF-16-LE \(its byte order mark says so\)"),
        (b"\xff", "text/plain; charset=martian", r"is not UTF-8 \(no known charset is named\)"),
    ],
)
def test_c07_bytes_that_do_not_fit_are_an_error(body, content_type, reason):
    """Nothing is replaced: with the place, and what can be done."""
    with pytest.raises(Quarantined, match=reason):
        records(CSV, body, content_type=content_type)


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ('[{"a":"é"}]'.encode("utf-16"), ""),
        ('[{"a":"é"}]'.encode("utf-32-be").removeprefix(b""), "application/json; charset=utf-32be"),
        ('[{"a":"é"}]'.encode("cp1252"), "application/json; charset=iso-8859-1"),
        ('[{"a":"é"}]'.encode(), "application/json; charset=iso-8859-1"),
        ('\ufeff[{"a":"é"}]'.encode(), "application/json; charset=utf-8"),
        (b'[{"a":"\\u00e9"}]', "application/json"),
    ],
)
def test_c07_json_in_other_charsets_is_read_by_the_same_rule(body, content_type):
    """RFC 8259 asks for UTF-8; servers do not always know."""
    assert records(JSON, body, content_type=content_type) == [{"a": "é"}]


def test_c07_json_that_is_no_utf8_is_an_error():
    """No label, no mark: UTF-8 it is, or nothing."""
    with pytest.raises(Quarantined, match=r"^the answer is not JSON: .*utf-8"):
        records(JSON, b'[{"a":"\xe9"}]')


def test_a_media_type_is_read_without_its_parameters():
    """And without its case."""
    assert media_type("Text/HTML ; charset=x") == "text/html"
    assert media_type("") == ""
