"""Packed answers: gzip and zip, opened under caps, so that a small body cannot become a huge one."""

import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

from fetcher.errors import Quarantined

GZIP_WBITS = 31
CHUNK_BYTES = 1 << 20
SMALL_BYTES = 1_000_000
"""Up to here nothing is said about how well a body was packed: a megabyte is harmless."""


@dataclass(frozen=True, slots=True)
class Packing:
    """How answers are packed, which members of a zip file are wanted (a glob), and how much may come out."""

    kind: Literal["none", "gzip", "zip"] = "none"
    members: str = "*"
    most_bytes: int = 256_000_000
    most_ratio: int = 200
    most_members: int = 1000


def unpacked(packing: Packing, body: bytes) -> Iterator[tuple[str, bytes]]:
    """(name, body) of each thing in an answer; a name only where it is a zip file's member.

    Raises `Quarantined` for what is not packed so, is damaged, or grows beyond the caps.
    """
    match packing.kind:
        case "none":
            yield "", body
        case "gzip":
            yield "", _gunzipped(body, packing)
        case "zip":
            yield from _members(body, packing)


def _gunzipped(body: bytes, packing: Packing) -> bytes:
    pieces, size, left = [], 0, body
    stream = zlib.decompressobj(GZIP_WBITS)
    while left:
        if stream.eof:  # members in a row are one body
            stream = zlib.decompressobj(GZIP_WBITS)
        try:
            piece = stream.decompress(left, CHUNK_BYTES)
        except zlib.error as error:
            raise Quarantined(f"the answer is not gzip, as parse.unpack says: {error}") from error
        size += len(piece)
        _check_size(size, len(body), packing)
        pieces.append(piece)
        left = stream.unused_data if stream.eof else stream.unconsumed_tail
    if not stream.eof:
        raise Quarantined("the answer is gzip that was cut short")
    return b"".join(pieces)


def _members(body: bytes, packing: Packing) -> Iterator[tuple[str, bytes]]:
    """In the order of the file's own list, which is what counts where it and the parts disagree."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(body))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError) as error:
        raise Quarantined(f"the answer is not a zip file, as parse.unpack says: {error}") from error
    listed = archive.infolist()
    if len(listed) > packing.most_members:
        raise Quarantined(f"the zip file has {len(listed):,} members, more than {packing.most_members:,}")
    wanted = [member for member in listed if not member.is_dir() and fnmatchcase(member.filename, packing.members)]
    if not wanted:
        names = ", ".join(member.filename for member in listed[:5]) or "nothing"
        raise Quarantined(f"the zip file has no member '{packing.members}'; it holds {names}")
    size = 0
    for member in wanted:
        content = _member(archive, member, size, packing)
        size += len(content)
        yield member.filename, content


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, before: int, packing: Packing) -> bytes:
    pieces, size = [], 0
    try:
        with archive.open(member) as stream:
            while piece := stream.read(CHUNK_BYTES):  # what a member's head says of its size is not believed
                size += len(piece)
                _check_size(size, member.compress_size, packing)
                _check_size(before + size, before + size, packing)
                pieces.append(piece)
    # RuntimeError: it needs a password.
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise Quarantined(f"the zip file's member '{member.filename}' cannot be read: {error}") from error
    return b"".join(pieces)


def _check_size(size: int, packed: int, packing: Packing) -> None:
    if size > packing.most_bytes:
        raise Quarantined(f"unpacked it is larger than parse.max_unpacked, {packing.most_bytes:,} bytes")
    if size > SMALL_BYTES and size > packing.most_ratio * max(packed, 1):
        grown = f"unpacked it is more than {packing.most_ratio} times larger, as a bomb would be"
        raise Quarantined(f"{grown}; parse.max_ratio allows more")
