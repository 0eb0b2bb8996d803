"""A file of text, opened in the encoding that it says or shows."""

import codecs
import io
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, TextIO

from fetcher.tabular.lines import TableFile, UnreadableTable

logger = logging.getLogger("fetcher")

HEAD_BYTES = 1 << 20
LOOKED_AT = 4096
ESCAPED = re.compile("[\udc80-\udcff]")
"""What stands for bytes that are no character in the encoding (PEP 383)."""

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


OTHER_KINDS = (
    (b"PK\x03\x04", "a workbook (.xlsx) or another zip file"),
    (b"\xd0\xcf\x11\xe0", "a workbook of an old kind (.xls)"),
    (b"PAR1\x15", "Parquet"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x1f\x8b", "packed by gzip; unpack it, or pipe it in: zcat FILE | fetcher run JOB, with path = '-'"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd; unpack it, or pipe it in: zstdcat FILE | fetcher run JOB, with path = '-'"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"%PDF-", "a PDF"),
)
"""How files begin that are no text, whatever their name says."""


@contextmanager
def opened(file: TableFile, newline: str, is_told: bool = True) -> Iterator[tuple[TextIO, str]]:
    """The file as text, line ends untouched, and how it begins. An encoding that was guessed `is_told`, unless that is
    done elsewhere. Raises `UnreadableTable` where it cannot be opened, or is no text."""
    with _bytes_of(file) as raw, io.BufferedReader(raw, HEAD_BYTES) as buffered:  # type: ignore[type-var]
        try:
            head = buffered.peek(HEAD_BYTES)
        except OSError as error:
            raise UnreadableTable(f"{file.name} cannot be read: {error.strerror}") from error
        if other := next((kind for begin, kind in OTHER_KINDS if head.startswith(begin)), None):
            raise UnreadableTable(f"{file.name} is no text but {other}")
        encoding, guessed = (file.encoding, "") if file.encoding else encoding_of(head)
        if guessed and is_told:
            logger.warning("%s %s; read.table.encoding says what it is", file.name, guessed)
        if encoding == "utf-8" and head.startswith(codecs.BOM_UTF8):
            encoding = "utf-8-sig"
        errors = "replace" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
        with io.TextIOWrapper(buffered, encoding, errors, newline) as text:
            yield text, head.decode(encoding, "replace")


def encoding_of(head: bytes) -> tuple[str, str]:
    """The encoding of a text that begins so, and what is to be said where that is a guess: by its mark; UTF-8; UTF-16,
    where its zero bytes show it; or Windows-1252, where UTF-8 makes little of it."""
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding, ""
    if unmarked := _without_mark(head):
        return unmarked, f"is read as {unmarked.upper()}, as its zero bytes show"
    text = head.decode("utf-8", "surrogateescape")
    if text.isascii():
        return "utf-8", ""
    broken = len(ESCAPED.findall(text))
    if not broken or broken * 2 <= sum(not character.isascii() for character in text):
        return "utf-8", ""
    return "cp1252", "is not UTF-8 and is read as Windows-1252"


def _without_mark(head: bytes) -> str:
    """UTF-16 without a mark: of most letters one byte of two is zero, always on the same side."""
    start = head[:LOOKED_AT]
    low, high = start[0::2].count(0) * 2, start[1::2].count(0) * 2
    half = len(start) / 2
    if high > half and low == 0:
        return "utf-16-le"
    return "utf-16-be" if low > half and high == 0 else ""


def encoding_fault(text: str) -> str:
    """What is wrong with the characters of a line, or nothing."""
    if "\0" in text:
        return "holds a NUL character"
    if not text.isascii() and ESCAPED.search(text):
        return "holds bytes that are no text in its encoding (read.table.encoding)"
    return ""


@contextmanager
def _bytes_of(file: TableFile) -> Iterator[io.RawIOBase | BinaryIO]:
    if file.path is None:
        if sys.stdin is not None and sys.stdin.isatty():
            raise UnreadableTable("standard input is a keyboard; expected a table, as in `fetcher run JOB < table.csv`")
        with open(0, "rb", buffering=0, closefd=False) as raw:
            yield raw
        return
    try:
        opened_file = file.path.open("rb", buffering=0)
    except OSError as error:
        raise UnreadableTable(f"{file.path} cannot be read: {error.strerror}") from error
    with opened_file as raw:
        yield raw
