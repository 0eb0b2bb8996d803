"""Bodies as they come over the wire become bodies as they are, and a body that is cut never passes for a whole one.

aiohttp would decode too, but takes a gzip stream that ends in the middle for complete.
"""

import sys
import zlib

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

OFFERED = "gzip, zstd"
MOST_RATIO = 200
FREE_BYTES = 1 << 20
"""A body that unpacks to no more than this is no bomb, however short it came."""

OVERHEAD_BYTES = 1 << 16
GZIP_WBITS = 31


class Damaged(Exception):
    """The coded body is cut, or is not what its header says."""


class TooLarge(Exception):
    """The body is larger than allowed, decoded or as it comes."""


class Bomb(Exception):
    """The body unpacks to many times of what came: it was made for that."""


class Gzip:
    """One member of a gzip body."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(GZIP_WBITS)

    def decoded(self, data: bytes, most: int) -> tuple[bytes, bytes]:
        """At most so many bytes, and what of `data` has still to be given again."""
        piece = self._stream.decompress(data, most)
        return piece, self._stream.unused_data if self._stream.eof else self._stream.unconsumed_tail

    @property
    def is_whole(self) -> bool:
        """Whether its end has come."""
        return self._stream.eof


class Zstd:
    """One frame of a zstd body."""

    def __init__(self) -> None:
        self._stream = zstd.ZstdDecompressor()

    def decoded(self, data: bytes, most: int) -> tuple[bytes, bytes]:
        """At most so many bytes, and what of `data` has still to be given again."""
        piece = self._stream.decompress(data, most)
        return piece, self._stream.unused_data if self._stream.eof else b""

    @property
    def is_whole(self) -> bool:
        """Whether its end has come."""
        return self._stream.eof


STREAMS: dict[str, type[Gzip] | type[Zstd]] = {"gzip": Gzip, "x-gzip": Gzip, "zstd": Zstd}


class Body:
    """A body that arrives in pieces, decoded under a limit: `feed` each piece, then take the `whole`.

    Raises `TooLarge` before more than `most_bytes` are held, `Bomb` before a few bytes become very many, and `Damaged`
    for a body that is cut, or is not what its `Content-Encoding` says.
    """

    def __init__(self, coding: str, most_bytes: int) -> None:
        self._coding = coding.strip().lower()
        if self._coding not in ("", "identity", *STREAMS):
            raise Damaged(f"its coding '{coding}' was not asked for")
        self._stream: Gzip | Zstd | None = None
        self._left = most_bytes
        self._most_received = most_bytes + most_bytes // 100 + OVERHEAD_BYTES
        self._received = self._decoded = 0
        self._pieces: list[bytes] = []

    def feed(self, data: bytes) -> None:
        """Take one piece as it came."""
        if self._coding not in STREAMS:
            return self._keep(data)
        self._received += len(data)
        if self._received > self._most_received:  # empty members, which decode to nothing, without an end
            raise TooLarge
        most_decoded = max(FREE_BYTES, MOST_RATIO * self._received)
        while data:
            if self._stream is None or self._stream.is_whole:  # members, or frames, in a row are one body
                self._stream = STREAMS[self._coding]()
            try:
                piece, data = self._stream.decoded(data, min(self._left, most_decoded - self._decoded) + 1)
            except (zlib.error, zstd.ZstdError) as error:
                raise Damaged(f"it is no {self._coding}: {error}") from error
            self._keep(piece)
            self._decoded += len(piece)
            if self._decoded > most_decoded:
                raise Bomb
        return None

    def whole(self) -> bytes:
        """The decoded body."""
        if self._stream and not self._stream.is_whole:
            raise Damaged("it was cut short")
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _keep(self, piece: bytes) -> None:
        self._left -= len(piece)
        if self._left < 0:
            raise TooLarge
        if piece:
            self._pieces.append(piece)
