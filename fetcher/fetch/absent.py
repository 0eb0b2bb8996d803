"""What a cache certainly does not hold. Most of what a first run looks for is not there, and to look costs ten times as
much as to know.

A Bloom filter with one hash: of fixed size, however many keys are noted; it may take an absent key for a present one,
and never the other way round.
"""

MARKS = 2**24


class Absent:
    """Says of a key, by `in`, that it was never noted."""

    def __init__(self) -> None:
        self._marks = bytearray(MARKS // 8)

    def note(self, key: str) -> bool:
        """That key may be there from now on. Tells whether it was absent."""
        place = hash(key) % MARKS
        marks, mark = self._marks[place >> 3], 1 << (place & 7)
        self._marks[place >> 3] = marks | mark
        return not marks & mark

    def __contains__(self, key: str) -> bool:
        place = hash(key) % MARKS
        return not self._marks[place >> 3] >> (place & 7) & 1
