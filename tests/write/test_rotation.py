"""Rotation: properties of where a batch is cut, over any lines and any limits."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from fetcher.model import Segment, SegmentState
from fetcher.write.rotation import cut, is_full, is_old, line_ends


@dataclass(frozen=True)
class Rotate:
    """A rotation section."""

    bytes: int = 1 << 20
    records: int | None = None
    every: float | None = None


def segment(length: int = 0, records: int = 0, opened_at: float = 0.0, packing: str = "none") -> Segment:
    """A segment that holds so much."""
    return Segment(1, SegmentState.OPEN, packing, length, records, "", opened_at)


LINES = st.lists(st.binary(max_size=30).map(lambda text: text.replace(b"\n", b" ") + b"\n"), max_size=12)
HELD = st.integers(0, 5).flatmap(
    lambda records: st.tuples(st.integers(records, 60 if records else 0), st.just(records))
)
ROTATIONS = st.builds(Rotate, st.integers(1, 60), st.none() | st.integers(1, 5))


def segments_of(rotation: Rotate, lines: list[bytes], held: Segment) -> list[tuple[bytes, int]]:
    """What each segment gets, the first being the one that holds something already."""
    rest, records, spread = b"".join(lines), len(lines), []
    while rest:
        taken, count = cut(rotation, rest, records, held)
        assert taken or held.length, "an empty segment takes at least one record"
        spread.append((rest[:taken], count))
        rest, records, held = rest[taken:], records - count, segment()
    return spread


@given(ROTATIONS, LINES, HELD)
def test_a_batch_is_cut_into_whole_lines_and_nothing_is_lost(rotation, lines, held):
    """Each part is whole lines, as many as it says; the parts in order are the batch."""
    spread = segments_of(rotation, lines, segment(*held))
    assert b"".join(part for part, _ in spread) == b"".join(lines)
    assert sum(count for _, count in spread) == len(lines)
    for part, count in spread:
        assert part.count(b"\n") == count
        assert part == b"" or part.endswith(b"\n")


@given(ROTATIONS, LINES, HELD)
def test_no_segment_exceeds_its_limits_but_for_one_record_too_large_for_any(rotation, lines, held):
    """What lies in a segment and what it takes stay within bytes and records; a too large record has one to itself."""
    limit_records = rotation.records if rotation.records is not None else 1 << 30
    length, records = held
    first = segment(min(length, rotation.bytes), min(records, limit_records))
    for place, (part, count) in enumerate(segments_of(rotation, lines, first)):
        before = first if place == 0 else segment()
        assert before.records + count <= limit_records
        assert before.length + len(part) <= rotation.bytes or (before.length == 0 and count == 1)


@given(ROTATIONS, LINES, HELD)
def test_a_segment_takes_as_much_as_it_may(rotation, lines, held):
    """The first line that is left behind would not have fitted."""
    before = segment(*held)
    taken, count = cut(rotation, b"".join(lines), len(lines), before)
    if count < len(lines):
        too_long = before.length + taken + len(lines[count]) > rotation.bytes
        too_many = rotation.records is not None and before.records + count + 1 > rotation.records
        assert too_long or too_many


@given(ROTATIONS, LINES.filter(bool))
def test_a_segment_that_takes_nothing_more_is_sealed_first(rotation, lines):
    """(0, 0) comes only from a segment with something in it."""
    full = segment(rotation.bytes, rotation.records or 1)
    assert is_full(rotation, full)
    assert cut(rotation, b"".join(lines), len(lines), full) == (0, 0)


def test_the_limits_are_reached_exactly():
    """Full means at the limit; old means its age has come."""
    assert not is_full(Rotate(10), segment(9, 1))
    assert is_full(Rotate(10), segment(10, 1))
    assert is_full(Rotate(10, records=2), segment(4, 2))
    assert not is_full(Rotate(10, records=2), segment(4, 1))
    assert not is_old(Rotate(every=60.0), 100.0, 159.9)
    assert is_old(Rotate(every=60.0), 100.0, 160.0)
    assert not is_old(Rotate(), 0.0, 1e12)


@given(ROTATIONS, LINES, HELD, st.sampled_from(["gzip", "zstd"]))
def test_a_packed_segment_is_cut_by_records_alone(rotation, lines, held, packing):
    """Its bytes show only once they are packed: it takes whole lines, as many as its number of records leaves room."""
    taken, count = cut(rotation, b"".join(lines), len(lines), segment(held[0], held[1], packing=packing))
    room = len(lines) if rotation.records is None else max(0, rotation.records - held[1])
    assert count == min(len(lines), room)
    assert taken == len(b"".join(lines[:count]))


@given(LINES.filter(bool), st.sampled_from(["none", "gzip", "zstd"]))
def test_a_segment_that_a_lower_limit_finds_overfull_takes_nothing_more(lines, packing):
    """A job may be given a smaller `rotate.records` while a segment is open."""
    assert cut(Rotate(records=3), b"".join(lines), len(lines), segment(9, 4, packing=packing)) == (0, 0)


@given(LINES)
def test_line_ends_are_the_offsets_behind_newlines(lines):
    """One for each line, the last at the end."""
    ends = list(line_ends(b"".join(lines)))
    assert ends == [len(b"".join(lines[: place + 1])) for place in range(len(lines))]
