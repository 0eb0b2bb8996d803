"""An answer as the table of kept ones holds it: its body packed, all else as JSON."""

import sys
from functools import lru_cache
from threading import get_ident

import msgspec

from fetcher.fetch.stored import Stored
from fetcher.model import Response

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACKING: dict[int, int] = {zstd.CompressionParameter.compression_level: 1, zstd.CompressionParameter.checksum_flag: 1}


COLUMNS = (
    *("request_key", "status", "headers", "body", "fetched_at"),
    *("about", "label", "row_key", "used_at", "size"),
)
"""Of the table, in the order of `columns`."""


class About(msgspec.Struct, frozen=True, array_like=True):
    """What else is known of an answer that HTTP's rules apply to."""

    asked_at: float
    identity: str
    selecting: dict[str, str] | None


PAIRS = msgspec.json.Decoder(tuple[tuple[str, str], ...])
ABOUT = msgspec.json.Decoder(About)
UNREADABLE = (msgspec.MsgspecError, zstd.ZstdError, UnicodeDecodeError)


@lru_cache(8)
def _compressor_of(thread: int) -> "zstd.ZstdCompressor":
    return zstd.ZstdCompressor(options=PACKING)


def compressor() -> "zstd.ZstdCompressor":
    """One that has been used before: to make one takes eight times as long as to pack two kilobytes."""
    return _compressor_of(get_ident())


def about_of(stored: Stored) -> bytes:
    """What else is known of an answer, as the table holds it."""
    selecting = None if stored.selecting is None else dict(stored.selecting)
    return msgspec.json.encode(About(stored.asked_at, stored.identity, selecting))


def columns(key: str, answer: Response, about: bytes | None, told: tuple[str, str, float]) -> tuple[object, ...]:
    """An answer as the table holds it; its size counts the body as packed."""
    body = compressor().compress(answer.body, zstd.ZstdCompressor.FLUSH_FRAME)
    headers = msgspec.json.encode(answer.headers)
    return key, answer.status, headers, body, answer.fetched_at, about, *told, len(body)


def unpacked(body: bytes) -> bytes:
    """A body of the table. Raises one of `UNREADABLE` where it is damaged."""
    return zstd.decompress(body)
