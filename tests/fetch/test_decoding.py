import gzip
import random
import sys
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.fetch.decoding import FREE_BYTES, MOST_RATIO, OVERHEAD_BYTES, Body, Bomb, Damaged, TooLarge

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "zstd": zstd.compress, "": bytes}
CODINGS = st.sampled_from(sorted(PACK))
MANY = 1 << 30


def decoded(coding, pieces, most=MANY):
    body = Body(coding, most)
    for piece in pieces:
        body.feed(piece)
    return body.whole()


def cut_at(data, places):
    ends = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(ends)]


@given(CODINGS, st.lists(st.binary(max_size=2000), min_size=1, max_size=3), st.lists(st.integers(0, 5000), max_size=8))
def test_a_body_is_whole_however_it_arrives(coding, parts, places):
    """Cut into any pieces, one member or several behind each other."""
    data = b"".join(PACK[coding](part) for part in parts)
    assert decoded(coding, cut_at(data, places)) == b"".join(parts)


@given(st.sampled_from(["gzip", "zstd"]), st.binary(max_size=2000), st.integers(1, 5000))
def test_a_body_that_ends_early_is_never_taken_for_a_whole_one(coding, content, missing):
    """H21: cut anywhere within its only member, it is damaged."""
    data = PACK[coding](content)
    cut = data[: len(data) - 1 - missing % (len(data) - 1)]
    with pytest.raises(Damaged):
        decoded(coding, [cut])


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_bomb_is_left_at_the_limit(coding):
    """C10: what is held never exceeds the limit, however far a few bytes would go."""
    body = Body(coding, 10_000)
    with pytest.raises(TooLarge):
        body.feed(PACK[coding](bytes(10_000_000)))


@given(CODINGS, st.binary(max_size=500))
def test_a_body_of_exactly_the_limit_is_taken(coding, content):
    """The limit is the largest body that is held."""
    assert decoded(coding, [PACK[coding](content)], most=len(content)) == content


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip, gzip", "nonsense"])
def test_a_coding_that_was_not_asked_for_is_refused(coding):
    """H21: a chain of codings too."""
    with pytest.raises(Damaged, match="was not asked for"):
        Body(coding, MANY)


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("data", [b"plain text", b"{}"])
def test_a_plain_body_that_is_called_packed_is_damaged(coding, data):
    """H21: declared but plain."""
    with pytest.raises(Damaged):
        decoded(coding, [data])


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_garbage_behind_a_body_is_damage(coding):
    """H21: whatever it is, it is not what was packed."""
    with pytest.raises(Damaged):
        decoded(coding, [PACK[coding](b"whole"), b"garbage"])


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("step", [1 << 30, 1000])
def test_h21_a_bomb_is_not_unpacked(coding, step):
    """Fed whole or in pieces: it ends at two hundred times of what came, with a megabyte free."""
    packed = PACK[coding](bytes(8 << 20))
    body = Body(coding, 1 << 40)
    with pytest.raises(Bomb):
        for start in range(0, len(packed), step):
            body.feed(packed[start : start + step])
    assert body._decoded <= max(FREE_BYTES, MOST_RATIO * body._received) + 1


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_megabyte_may_come_in_a_few_bytes(coding):
    """Some answers are all alike; one byte more is a bomb."""
    assert decoded(coding, [PACK[coding](bytes(FREE_BYTES))]) == bytes(FREE_BYTES)
    with pytest.raises(Bomb):
        decoded(coding, [PACK[coding](bytes(FREE_BYTES + 1))])


def test_two_hundred_times_of_what_came_are_allowed():
    """Of gzip without compression there is exactly as much as we like."""
    noise = gzip.compress(random.Random(0).randbytes(20_000), compresslevel=0)
    zeros = gzip.compress(bytes(MOST_RATIO * len(noise) - 20_000))
    packed, size = noise + zeros, MOST_RATIO * len(noise)
    assert len(decoded("gzip", [packed])) == size
    with pytest.raises(Bomb):
        decoded("gzip", [noise + gzip.compress(bytes(MOST_RATIO * (len(noise) + 10_000)))])


def test_what_decodes_to_nothing_has_an_end():
    """Empty members one behind the other: the bytes that come are counted, too."""
    empty, most = gzip.compress(b""), 1000
    count = (most + most // 100 + OVERHEAD_BYTES) // len(empty)
    assert decoded("gzip", [empty] * count, most) == b""
    with pytest.raises(TooLarge):
        decoded("gzip", [empty] * (count + 1), most)
