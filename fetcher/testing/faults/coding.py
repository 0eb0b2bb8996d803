"""Bodies whose Content-Encoding is broken, odd or a trap (H21, C10)."""

import gzip
import zlib
from functools import lru_cache

from aiohttp import web

from fetcher.testing.faults.exchange import Exchange, fault

WHOLE = "the whole body, or an error; never silently short"
STOPPED = "stopped at the size cap; memory stays bounded"


async def gzip_good(exchange: Exchange) -> web.StreamResponse:
    """Sends the body as gzip, as it should be."""
    return coded(gzip.compress(await exchange.body()))


async def gzip_truncated(exchange: Exchange) -> web.StreamResponse:
    """Sends the first half of a gzip body, with a Content-Length that fits the half."""
    packed = gzip.compress(await exchange.body())
    return coded(packed[: len(packed) // 2])


async def gzip_members(exchange: Exchange) -> web.StreamResponse:
    """Sends the body as two gzip members, one after the other: legal."""
    body = await exchange.body()
    middle = len(body) // 2
    return coded(gzip.compress(body[:middle]) + gzip.compress(body[middle:]))


async def gzip_trailing_garbage(exchange: Exchange) -> web.StreamResponse:
    """Sends a gzip body with garbage behind it."""
    return coded(gzip.compress(await exchange.body()) + b"garbage")


async def gzip_bad_checksum(exchange: Exchange) -> web.StreamResponse:
    """Sends a gzip body whose checksum is wrong."""
    packed = bytearray(gzip.compress(await exchange.body()))
    packed[-8] ^= 0xFF
    return coded(bytes(packed))


async def gzip_declared(exchange: Exchange) -> web.StreamResponse:
    """Declares gzip and sends the body plain."""
    return coded(await exchange.body())


async def gzip_undeclared(exchange: Exchange) -> web.StreamResponse:
    """Sends gzip and does not say so."""
    return coded(gzip.compress(await exchange.body()), "")


async def gzip_sixfold(exchange: Exchange) -> web.StreamResponse:
    """Sends the body packed six times, and says so."""
    body = await exchange.body()
    for _ in range(6):
        body = gzip.compress(body)
    return coded(body, ", ".join(["gzip"] * 6))


async def gzip_bomb(exchange: Exchange) -> web.StreamResponse:
    """Sends blanks that unpack to `mb` megabytes, a thousandth of that on the wire."""
    return coded(bomb(exchange.asked.whole("mb")))


async def unknown_coding(exchange: Exchange) -> web.StreamResponse:
    """Declares `Content-Encoding: snappy`."""
    return coded(await exchange.body(), "snappy")


def coded(packed: bytes, coding: str = "gzip") -> web.Response:
    """A 200 with these bytes as its body."""
    headers = {"Content-Encoding": coding} if coding else {}
    return web.Response(body=packed, content_type="application/json", headers=headers)


@lru_cache(maxsize=2)
def bomb(mb: int) -> bytes:
    """A gzip member of so many megabytes of blanks."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(b" " * 1_000_000) for _ in range(mb)) + packer.flush()


FAULTS = (
    fault(gzip_good, "H21", "unpacked"),
    fault(gzip_truncated, "H21", WHOLE),
    fault(gzip_members, "H21", WHOLE),
    fault(gzip_trailing_garbage, "H21", WHOLE),
    fault(gzip_bad_checksum, "H21", WHOLE),
    fault(gzip_declared, "H21", WHOLE),
    fault(gzip_undeclared, "H21", "an error of that row: not JSON"),
    fault(gzip_sixfold, "H21", "refused"),
    fault(unknown_coding, "H21", "refused"),
    fault(gzip_bomb, "C10", STOPPED, mb=100),
)
