"""From bytes to text: one rule, and bytes that do not fit it are an error, never replaced.

A byte order mark decides; else the job's `encoding`; else the charset of the Content-Type; else it is UTF-8. The
charset of a header is often the server's default rather than the truth: where it names an alphabet of one byte a
character, and the bytes are UTF-8, they are read as UTF-8. As browsers do (WHATWG Encoding, section 4.2), Latin-1 and
ASCII are read as Windows-1252, which has more characters and is what is meant.
"""

import codecs
import re
from contextlib import suppress
from functools import lru_cache

from fetcher.errors import Quarantined
from fetcher.job.charsets import charset_of

# The four-byte marks first: UTF-32's begins like UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CHARSET = re.compile(r";\s*charset\s*=\s*[\"']?([^\s\"';,]+)", re.IGNORECASE)
_ONE_BYTE = ("iso8859", "cp125", "ascii", "latin", "koi8", "mac")
_MEANT = {"iso8859-1": "cp1252", "ascii": "cp1252"}


def media_type(content_type: str) -> str:
    """`text/xml` of `Text/XML; charset=utf-8`."""
    return content_type.partition(";")[0].strip().lower()


def is_utf8(body: bytes, content_type: str, encoding: str) -> bool:
    """Whether nothing but the bytes themselves could say that they are not UTF-8."""
    has_other_mark = body.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff"))
    return not encoding and not has_other_mark and _label(content_type) in ("", "utf-8")


def names_charset(content_type: str) -> bool:
    """Whether a Content-Type says what the charset is."""
    return bool(_label(content_type))


def text_of(body: bytes, content_type: str = "", encoding: str = "") -> str:
    """The text in a body. Raises `Quarantined` where it is not in the charset that the rule above finds."""
    for mark, name in _MARKS:
        if body.startswith(mark):
            return _decoded(body[len(mark) :], name, "its byte order mark says so")
    if encoding:
        return _decoded(body, encoding, "parse.encoding says so")
    label = _label(content_type)
    if not label:
        return _decoded(body, "utf-8", "no known charset is named")
    if label.startswith(_ONE_BYTE):
        try:
            return body.decode()
        except UnicodeDecodeError:
            label = _MEANT.get(label, label)
    return _decoded(body, label, "the Content-Type says so")


@lru_cache
def _label(content_type: str) -> str:
    """Python's name of the charset in a Content-Type; nothing where there is none, or none that anybody knows."""
    named = _CHARSET.search(content_type)
    with suppress(ValueError):
        return charset_of(named[1]) if named else ""
    return ""


def _decoded(body: bytes, name: str, because: str) -> str:
    try:
        return body.decode(name)
    except UnicodeDecodeError as error:
        message = f"the answer is not {name.upper()} ({because}) at byte {error.start}: {error.reason}"
        raise Quarantined(f"{message}; parse.encoding can name another charset") from error
