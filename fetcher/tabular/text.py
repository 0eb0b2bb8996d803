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
ESCAPED = re.compile("[\udc80-\udcff]")
"""What stands for bytes that are no character in the encoding (PEP 383)."""

MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@contextmanager
def opened(file: TableFile, newline: str) -> Iterator[tuple[TextIO, str]]:
    """The file as text, line ends untouched, and how it begins. Raises `UnreadableTable` where it cannot be opened."""
    with _bytes_of(file) as raw, io.BufferedReader(raw, HEAD_BYTES) as buffered:  # type: ignore[type-var]
        try:
            head = buffered.peek(HEAD_BYTES)
        except OSError as error:
            raise UnreadableTable(f"{file.name} cannot be read: {error.strerror}") from error
        encoding = file.encoding or encoding_of(head, file.name)
        if encoding == "utf-8" and head.startswith(codecs.BOM_UTF8):
            encoding = "utf-8-sig"
        errors = "replace" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
        with io.TextIOWrapper(buffered, encoding, errors, newline) as text:
            yield text, head.decode(encoding, "replace")


def encoding_of(head: bytes, name: str) -> str:
    """The encoding of a text that begins so: by its mark; UTF-8; or Windows-1252, where UTF-8 makes little of it."""
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding
    text = head.decode("utf-8", "surrogateescape")
    broken = len(ESCAPED.findall(text))
    if broken * 2 <= sum(not character.isascii() for character in text):
        return "utf-8"
    logger.warning("%s is not UTF-8 and is read as Windows-1252; read.table.encoding says what it is", name)
    return "cp1252"


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
