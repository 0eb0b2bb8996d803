"""What a row is known by: the same text whenever the same row is read again, wherever in its table it stands then."""

import hashlib
import re
from array import array
from collections.abc import Iterable, Mapping, Sequence

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
        return self.count_each([digest])[0]

    def count_each(self, digests: Iterable[bytes]) -> list[int]:
        """The same of several, one after the other."""
        shards, counted = self._shards, []
        for digest in digests:
            shard = shards[digest[0]]
            number = int.from_bytes(digest[1:9], "little") or 1
            numbers, last = shard.numbers, shard.last
            place = number & last
            while (there := numbers[place]) != number and there:
                place = (place + 1) & last
            if there:
                shard.counts[place] += 1
                counted.append(shard.counts[place])
            else:
                shard.add(place, number)
                counted.append(1)
        return counted


class _Shard:
    """A hash table with open addressing; 0 is a free place, `last` the last of them."""

    def __init__(self, places: int = 16) -> None:
        self._lay_out(places)
        self._used = 0

    def add(self, place: int, number: int) -> None:
        """Take a free place for a number that is met for the first time."""
        self.numbers[place], self.counts[place] = number, 1
        self._used += 1
        if 3 * self._used > 2 * self.last:
            self._grow()

    def _lay_out(self, places: int) -> None:
        self.numbers, self.counts, self.last = array("Q", bytes(8 * places)), array("I", bytes(4 * places)), places - 1

    def _grow(self) -> None:
        numbers, counts = self.numbers, self.counts
        self._lay_out(2 * len(numbers))
        for number, count in zip(numbers, counts, strict=True):
            if number:
                place = number & self.last
                while self.numbers[place]:
                    place = (place + 1) & self.last
                self.numbers[place], self.counts[place] = number, count
