"""From a body to what it says, by the format that the job names."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import msgspec

from fetcher.errors import Quarantined
from fetcher.parse.charsets import is_utf8, media_type, names_charset, text_of
from fetcher.parse.exact import Exact
from fetcher.parse.markup import Xml, document_of
from fetcher.parse.repeats import refuse_repeated_keys
from fetcher.parse.tabular import Csv, table_of

Name = Literal["json", "ndjson", "csv", "xml", "text", "bytes"]
TITLES = {"json": "JSON", "ndjson": "JSON lines", "csv": "CSV", "xml": "XML", "text": "text"}
_MARKUP = re.compile(r"(?:text/html|application/xhtml\+xml|(?:text|application)/xml|.*\+xml)")
_JSON = re.compile(r"(?:application|text)/json|.*\+json")


@dataclass(frozen=True, slots=True)
class Format:
    """What answers are written in. `pattern` (a regular expression) finds the records of a text.

    `is_exact` keeps the digits of numbers; `lists` are the names in XML that are lists even where they stand alone.
    """

    name: Name = "json"
    encoding: str = ""
    csv: Csv = field(default_factory=Csv)
    xml: Xml = field(default_factory=Xml)
    pattern: str = ""
    is_exact: bool = False
    lists: frozenset[str] = frozenset()


def decoded(how: Format, body: bytes, content_type: str) -> object:
    """What the body says: for JSON and XML the document, for the others a list of records.

    Raises `Quarantined` where it is not what the job says; the Content-Type is named where it says so too.
    """
    if how.name not in ("json", "bytes"):
        _check_type(how, body, content_type)
    match how.name:
        case "json":
            return _json(how, body, content_type)
        case "ndjson":
            return _json_lines(how, _utf8(how, body, content_type))
        case "csv":
            return table_of(how.csv, text_of(body, content_type, how.encoding))
        case "xml":
            known = names_charset(content_type) or not is_utf8(body, content_type, how.encoding)
            whole = _utf8(how, body, content_type) if known else body
            return document_of(how.xml, whole, "utf-8" if known else "", how.lists)
        case "text":
            return list(_text(how, text_of(body, content_type, how.encoding)))
        case "bytes":
            return [{"bytes": body}]  # written in base64, but by then an annotator may have taken it


def _json(how: Format, body: bytes, content_type: str) -> object:
    try:
        text = _utf8(how, body, content_type)
        answer = msgspec.json.decode(text) if not how.is_exact else _EXACT.decode(text)
    # ValueError: msgspec's own errors, and Python's where text is not UTF-8.
    except (ValueError, RecursionError) as error:
        raise Quarantined(f"{_expected(how, body, content_type)}the answer is not JSON: {error}") from error
    refuse_repeated_keys(text, answer)
    return answer


_EXACT = msgspec.json.Decoder(float_hook=Exact)
_PLAIN = msgspec.json.Decoder()


def _json_lines(how: Format, body: bytes) -> list[object]:
    decoder = _EXACT if how.is_exact else _PLAIN
    try:
        found = decoder.decode_lines(body)
    except (ValueError, RecursionError):
        for number, line in enumerate(body.splitlines(), 1):
            try:
                if line.strip():
                    decoder.decode(line)
            except (ValueError, RecursionError) as error:
                raise Quarantined(f"line {number} is not JSON: {error}") from error
        raise Quarantined("the answer is not JSON lines") from None
    refuse_repeated_keys(body, found, is_lines=True)
    return found


def _text(how: Format, text: str) -> Iterator[dict[str, object]]:
    if not how.pattern:
        yield {"text": text}
        return
    for found in re.finditer(how.pattern, text, re.MULTILINE):
        yield dict(found.groupdict())


def _utf8(how: Format, body: bytes, content_type: str) -> bytes:
    """The text of a body in UTF-8 without a byte order mark; what claims to be UTF-8 is left to whoever reads it."""
    if is_utf8(body, content_type, how.encoding):
        return body.removeprefix(b"\xef\xbb\xbf")
    return text_of(body, content_type, how.encoding).encode()


def _expected(how: Format, body: bytes, content_type: str) -> str:
    kind = media_type(content_type)
    return f"expected {TITLES[how.name]}, got {kind}; " if kind and not _JSON.fullmatch(kind) else ""


def _check_type(how: Format, body: bytes, content_type: str) -> None:
    """Refuse a page for people, or another API's error, where nearly anything could be read as a table or a text.

    Servers mislabel what they send, so the label alone refuses nothing: the first character has to agree with it.
    """
    kind, first = media_type(content_type), body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    is_html = kind == "text/html" if how.name == "xml" else bool(_MARKUP.fullmatch(kind))
    is_other_json = how.name != "ndjson" and bool(_JSON.fullmatch(kind))
    if (is_html and first == b"<") or (is_other_json and first in (b"{", b"[")):
        if how.name == "xml" and is_html and b"<html" not in body[:1000].lower():
            return
        raise Quarantined(f"expected {TITLES[how.name]}, got {kind}")
