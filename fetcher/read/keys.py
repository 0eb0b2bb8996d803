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
_encode = msgspec.json.Encoder(order="deterministic").encode
# What parts a key, marks repeats (~2) and generations (#2), or moves a terminal's cursor.
_ESCAPED = re.compile(r"[%/~#\x00-\x1f\x7f]")


def digest_of(values: Mapping[str, Value]) -> bytes:
    """16 bytes that tell rows apart by their columns, in whichever order those are."""
    return hashlib.blake2b(_encode(values), digest_size=16).digest()


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
        return "%" + hashlib.blake2b(_encode(value), digest_size=16).hexdigest()
    return _ESCAPED.sub(lambda found: f"%{ord(found[0]):02X}", text)


class Occurrences:
    """How often each digest has been met. Takes 12 to 36 bytes a digest, for there may be millions.

    Digests are told apart by 8 bytes: among a million rows, two are confused once in forty million tables.
    """

    def __init__(self) -> None:
        self._shards = [_Shard() for _ in range(SHARDS)]  # so that growing one takes no time that is noticed

    def count(self, digest: bytes) -> int:
        """How often it has been met, this time included."""
        return self._shards[digest[0]].count(int.from_bytes(digest[1:9], "little") or 1)


class _Shard:
    """A hash table with open addressing; 0 is a free place."""

    def __init__(self, places: int = 16) -> None:
        self._numbers = array("Q", bytes(8 * places))
        self._counts = array("I", bytes(4 * places))
        self._used = 0

    def count(self, number: int) -> int:
        place = self._place(number)
        self._counts[place] = counted = self._counts[place] + 1
        if counted == 1:
            self._numbers[place] = number
            self._used += 1
            if 3 * self._used > 2 * len(self._numbers):
                self._grow()
        return counted

    def _place(self, number: int) -> int:
        numbers, last = self._numbers, len(self._numbers) - 1
        place = number & last
        while numbers[place] not in (0, number):
            place = (place + 1) & last
        return place

    def _grow(self) -> None:
        numbers, counts = self._numbers, self._counts
        places = 2 * len(numbers)
        self._numbers, self._counts = array("Q", bytes(8 * places)), array("I", bytes(4 * places))
        for number, count in zip(numbers, counts, strict=True):
            if number:
                place = self._place(number)
                self._numbers[place], self._counts[place] = number, count
