"""What a row is known by: the same text whenever the same row is read again, wherever in its table it stands then."""

import hashlib
import re
from array import array
from collections.abc import Mapping, Sequence

import msgspec

from fetcher.model import Value
from fetcher.template import text_of

LONGEST_PART = 200
SHARDS = 256
FIRST_DIGESTS = 200_000
"""Those that are counted in a dict: 15 MB."""

_encoder = msgspec.json.Encoder(order="deterministic")
# What parts a key, marks repeats (~2) and generations (#2), or moves a terminal's cursor.
_ESCAPED = re.compile(r"[%/~#\x00-\x1f\x7f]")


def digest_of(values: Mapping[str, Value]) -> bytes:
    """16 bytes that tell rows apart by their columns, in whichever order those are."""
    return hashlib.blake2b(_encoder.encode(values), digest_size=16).digest()


def digests_of(rows: Sequence[Mapping[str, Value]]) -> bytes:
    """The same of many rows, one after the other."""
    lines = _encoder.encode_lines(rows).splitlines()
    return b"".join([hashlib.blake2b(line, digest_size=16).digest() for line in lines])


def digest_of_text(text: str) -> bytes:
    """16 bytes that tell lines apart which could not be read."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, person=b"bad line").digest()


def key_of(values: Mapping[str, Value], columns: Sequence[str]) -> str:
    """The values of some columns, as one text that no others give."""
    return "/".join(part_of(values[name]) for name in columns)


def part_of(value: Value) -> str:
    """A value within a key, as it reads; one that is long or empty by its hash."""
    text = "" if value is None else text_of(value)
    if not text or len(text) > LONGEST_PART:
        return "%" + hashlib.blake2b(_encoder.encode(value), digest_size=16).hexdigest()
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", text)


class Occurrences:
    """How often each digest has been met. Takes 12 to 36 bytes a digest, for there may be millions; the first ones take
    75, and a fifth of the time.

    Digests are told apart by 8 bytes: among a million rows, two are confused once in forty million tables.
    """

    def __init__(self) -> None:
        self._first: dict[int, int] = {}
        self._shards = [_Shard() for _ in range(SHARDS)]  # so that growing one takes no time that is noticed

    def count(self, digest: bytes) -> int:
        """How often it has been met, this time included."""
        return self.count_each(digest)[0]

    def count_each(self, digests: bytes) -> list[int]:
        """The same of several, 16 bytes each, one after the other."""
        first, counted = self._first, []
        for number in array("Q", digests)[::2]:
            count = first.get(number, 0)
            if count or len(first) < FIRST_DIGESTS:
                first[number] = count = count + 1
            else:
                count = self._shards[number & 0xFF].count(number >> 8 or 1)
            counted.append(count)
        return counted


class _Shard:
    """A hash table with open addressing; 0 is a free place, `last` the last of them."""

    def __init__(self, places: int = 16) -> None:
        self._lay_out(places)
        self._used = 0

    def count(self, number: int) -> int:
        """How often a number has been met, this time included."""
        numbers, last = self._numbers, self._last
        place = number & last
        while (there := numbers[place]) != number and there:
            place = (place + 1) & last
        if there:
            self._counts[place] += 1
            return self._counts[place]
        numbers[place], self._counts[place] = number, 1
        self._used += 1
        if 3 * self._used > 2 * last:
            self._grow()
        return 1

    def _lay_out(self, places: int) -> None:
        self._numbers, self._counts = array("Q", bytes(8 * places)), array("I", bytes(4 * places))
        self._last = places - 1

    def _grow(self) -> None:
        numbers, counts = self._numbers, self._counts
        self._lay_out(2 * len(numbers))
        for number, count in zip(numbers, counts, strict=True):
            if number:
                place = number & self._last
                while self._numbers[place]:
                    place = (place + 1) & self._last
                self._numbers[place], self._counts[place] = number, count
