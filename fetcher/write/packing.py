"""How lines become the bytes of a segment. Each batch is a frame (zstd) or a member (gzip) of its own, so that a
segment cut at a committed length is a whole file, readable by zcat and zstdcat. Pure."""

import gzip
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


@dataclass(frozen=True, slots=True)
class Packing:
    """A kind of segment: the end of its name, how a batch is packed, and how a file is read."""

    suffix: str
    pack: Callable[[bytes], bytes]
    lines: Callable[[Path], AbstractContextManager[Iterable[bytes]]]


def packed_gzip(lines: bytes) -> bytes:
    """Without a time in it: the same records make the same bytes."""
    return gzip.compress(lines, compresslevel=6, mtime=0)


def packed_zstd(lines: bytes) -> bytes:
    """With a checksum in each frame, so that a changed byte is noticed when it is read."""
    options: dict[int, int] = {
        zstd.CompressionParameter.compression_level: 3,
        zstd.CompressionParameter.checksum_flag: 1,
    }
    return zstd.compress(lines, options=options)


@contextmanager
def packed_whole(packing: str, file: IO[bytes]) -> Iterator[Callable[[bytes], object]]:
    """What packs all that it is given as one member, or frame, into the file, which stays open."""
    if packing == "gzip":
        with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as packed:
            yield packed.write
    elif packing == "zstd":
        options: dict[int, int] = {zstd.CompressionParameter.checksum_flag: 1}
        with zstd.ZstdFile(file, "wb", options=options) as frame:
            yield frame.write
    else:
        yield file.write


def open_plain(path: Path) -> IO[bytes]:
    """Lines as they are."""
    return path.open("rb")


DAMAGES = (EOFError, gzip.BadGzipFile, zlib.error, zstd.ZstdError)
"""What reading raises where a file is not as it was packed."""

PACKINGS = {
    "none": Packing(".jsonl", lambda lines: lines, open_plain),
    "gzip": Packing(".jsonl.gz", packed_gzip, partial(gzip.open, mode="rb")),
    "zstd": Packing(".jsonl.zst", packed_zstd, partial(zstd.open, mode="rb")),
}
