"""Recovery: what it cuts, drops and publishes; and what it refuses, with nothing touched."""

import dataclasses
import hashlib
from pathlib import Path

import pytest

from fetcher.errors import Contradiction
from fetcher.model import Segment, SegmentState
from fetcher.write.packing import PACKINGS
from fetcher.write.segments import Layout, begin, carry_on, publish, recover

LINES = {number: b'{"segment":%d,"n":1}\n{"segment":%d,"n":2}\n' % (number, number) for number in range(1, 5)}
PUBLISHED, SEALED, OPEN = SegmentState.PUBLISHED, SegmentState.SEALED, SegmentState.OPEN


def segment(number: int, state: SegmentState) -> Segment:
    """As the ledger knows it."""
    lines = LINES[number]
    return Segment(number, state, "none", len(lines), 2, hashlib.sha256(lines).hexdigest(), 0.0)


LEDGER = [segment(1, PUBLISHED), segment(2, SEALED), segment(3, OPEN)]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    """What a crash leaves: one published, one sealed, an open one with a tail, and a stray one."""
    layout = Layout(tmp_path / "out", tmp_path / "out" / ".fetcher")
    layout.state.mkdir(parents=True)
    layout.published_path(LEDGER[0]).write_bytes(LINES[1])
    layout.open_path(2).write_bytes(LINES[2])
    layout.open_path(3).write_bytes(LINES[3] + b'{"segment":3,"n":')
    layout.open_path(4).write_bytes(b'{"seg')
    (layout.state / "ledger.sqlite").write_bytes(b"the ledger")
    (layout.folder / "notes.txt").write_bytes(b"a person's")
    return layout


def snapshot(layout: Layout) -> dict[str, tuple[bytes, int, int]]:
    """Every file with its bytes, its inode and when it was last written."""
    return {
        str(path.relative_to(layout.folder)): (path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns)
        for path in sorted(layout.folder.rglob("*"))
        if path.is_file()
    }


def test_recovery_cuts_the_tail_drops_the_stray_and_publishes_the_sealed(layout):
    """Afterwards the folder is what the ledger says, and a second recovery changes nothing."""
    after = recover(layout, LEDGER)
    assert [held.state for held in after] == [PUBLISHED, PUBLISHED, OPEN]
    assert {name: content for name, (content, _, _) in snapshot(layout).items()} == {
        ".fetcher/000003.open": LINES[3],
        ".fetcher/ledger.sqlite": b"the ledger",
        "notes.txt": b"a person's",
        "records-000001.jsonl": LINES[1],
        "records-000002.jsonl": LINES[2],
    }
    before = snapshot(layout)
    assert recover(layout, after) == after
    assert snapshot(layout) == before


def foreign(layout: Layout) -> None:
    """Another program's file where segment 2 is to go."""
    layout.published_path(LEDGER[1]).write_bytes(b"mine\n")


def change(path: Path) -> None:
    """One bit, within what is vouched for."""
    content = bytearray(path.read_bytes())
    content[5] ^= 1
    path.write_bytes(content)


def grow(path: Path) -> None:
    """Somebody appended a line."""
    path.write_bytes(path.read_bytes() + b"{}\n")


def shorten(path: Path) -> None:
    """One byte less than is vouched for."""
    path.write_bytes(path.read_bytes()[: len(LINES[1]) - 1])


def other_table(layout: Layout) -> list[Segment]:
    """The same of a table beside the main one, with a person's file and a stray one of a table that is forgotten."""
    held = [dataclasses.replace(known, table="stations") for known in LEDGER]
    layout.published_path(held[0]).write_bytes(LINES[1])
    layout.open_path(2, "stations").write_bytes(LINES[2])
    layout.open_path(3, "stations").write_bytes(LINES[3] + b'{"segment":3,"n":')
    layout.open_path(9, "forgotten").write_bytes(b"{")
    (layout.folder / "notes-2024.jsonl").write_bytes(b"a person's")
    return held


def test_each_table_is_recovered_by_its_own_numbers(layout):
    """Cut, published and dropped as in the main one; a file with a number is no table's unless a job or a ledger says
    so."""
    after = recover(layout, [*LEDGER, *other_table(layout)])
    assert [held.state for held in after] == [PUBLISHED, PUBLISHED, OPEN] * 2
    assert {name: content for name, (content, _, _) in snapshot(layout).items()} == {
        ".fetcher/000003.open": LINES[3],
        ".fetcher/stations-000003.open": LINES[3],
        ".fetcher/ledger.sqlite": b"the ledger",
        "notes.txt": b"a person's",
        "notes-2024.jsonl": b"a person's",
        "records-000001.jsonl": LINES[1],
        "records-000002.jsonl": LINES[2],
        "stations-000001.jsonl": LINES[1],
        "stations-000002.jsonl": LINES[2],
    }
    before = snapshot(layout)
    assert recover(layout, after) == after
    assert snapshot(layout) == before


@pytest.mark.parametrize("spoil", [
    lambda layout, held: layout.published_path(held[0]).unlink(),
    lambda layout, held: shorten(layout.growing_path(held[1])),
    lambda layout, held: change(layout.growing_path(held[2])),
    lambda layout, held: (layout.folder / "stations-000004.jsonl").write_bytes(LINES[1]),
    lambda layout, held: (layout.folder / "units-000001.jsonl").write_bytes(LINES[1]),
])  # fmt: skip
def test_a_contradiction_of_another_table_touches_nothing(layout, spoil):
    """Missing, short, changed or unknown, of a table that the ledger knows or the job has."""
    layout = dataclasses.replace(layout, tables=("stations", "units"))
    held = other_table(layout)
    spoil(layout, held)
    before = snapshot(layout)
    with pytest.raises(Contradiction):
        recover(layout, [*LEDGER, *held])
    assert snapshot(layout) == before


CONTRADICTIONS = {
    "published one unknown to the ledger": (
        lambda layout: layout.published_path(segment(4, PUBLISHED)).write_bytes(b"{}\n"),
        r"records-000004\.jsonl: the ledger knows no such segment; was \.fetcher/ledger\.sqlite deleted",
    ),
    "published one missing": (
        lambda layout: layout.published_path(LEDGER[0]).unlink(),
        r"records-000001\.jsonl: expected 40 bytes, found none; put the file back from a backup",
    ),
    "published one emptied": (
        lambda layout: layout.published_path(LEDGER[0]).write_bytes(b""),
        r"records-000001\.jsonl: expected 40 bytes, found 0",
    ),
    "published one shorter": (
        lambda layout: shorten(layout.published_path(LEDGER[0])),
        r"records-000001\.jsonl: expected 40 bytes, found 39",
    ),
    "published one longer": (
        lambda layout: grow(layout.published_path(LEDGER[0])),
        r"records-000001\.jsonl: expected 40 bytes, found 43",
    ),
    "open one missing": (
        lambda layout: layout.open_path(3).unlink(),
        r"000003\.open: is missing, the ledger vouches for 40 bytes; put the file back",
    ),
    "open one shorter": (
        lambda layout: shorten(layout.open_path(3)),
        r"000003\.open: has 39 bytes, the ledger vouches for 40 bytes",
    ),
    "open one changed": (
        lambda layout: change(layout.open_path(3)),
        r"000003\.open: its first 40 bytes were changed since \(SHA-256 differs\); put the file back",
    ),
    "sealed one missing": (
        lambda layout: layout.open_path(2).unlink(),
        r"records-000002\.jsonl: is missing, the ledger vouches for 40 bytes",
    ),
    "sealed one shorter": (
        lambda layout: shorten(layout.open_path(2)),
        r"000002\.open: has 39 bytes, the ledger vouches for 40 bytes",
    ),
    "sealed one longer": (
        lambda layout: grow(layout.open_path(2)),
        r"000002\.open: longer than the 40 bytes that the ledger vouches for; put the file back",
    ),
    "sealed one changed": (
        lambda layout: change(layout.open_path(2)),
        r"000002\.open: its first 40 bytes were changed",
    ),
    "a stranger's file at a sealed one's name": (
        foreign,
        r"records-000002\.jsonl: a file that fetcher did not write has this name; move it away",
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contradiction_is_refused_and_nothing_is_touched(layout, name):
    """Tail, stray and sealed file lie as they did: a person may still put the right file or ledger back."""
    spoil, message = CONTRADICTIONS[name]
    spoil(layout)
    before = snapshot(layout)
    with pytest.raises(Contradiction, match=message):
        recover(layout, LEDGER)
    assert snapshot(layout) == before


def test_a_deleted_ledger_is_noticed(layout):
    """Records without a ledger are not added to, and not begun again."""
    before = snapshot(layout)
    with pytest.raises(Contradiction, match="the ledger knows no such segment"):
        recover(layout, [])
    assert snapshot(layout) == before


def test_publishing_goes_on_from_wherever_it_stopped(layout):
    """Before the link, after it, after the old name went, and when all is done: the same file comes out."""
    sealed = segment(2, SEALED)
    published = dataclasses.replace(sealed, state=PUBLISHED)
    layout.published_path(LEDGER[1]).hardlink_to(layout.open_path(2))
    inode = layout.open_path(2).stat().st_ino
    assert publish(layout, sealed) == published
    assert not layout.open_path(2).exists()
    assert publish(layout, sealed) == published
    assert layout.published_path(LEDGER[1]).stat().st_ino == inode
    assert layout.published_path(LEDGER[1]).read_bytes() == LINES[2]


def test_publishing_never_replaces_a_file(layout):
    """A stranger's file keeps its name and its bytes, ours stays where it was."""
    foreign(layout)
    before = snapshot(layout)
    with pytest.raises(Contradiction, match="a file that fetcher did not write has this name"):
        publish(layout, segment(2, SEALED))
    assert snapshot(layout) == before


async def test_a_segment_grows_and_its_hash_is_carried_on(layout):
    """Over a restart, length, records and hash are those of the file."""
    recover(layout, LEDGER)
    growing = await carry_on(layout, segment(3, OPEN))
    await growing.append(b"{}\n", 1)
    held = await growing.durable(is_sealed=True)
    await growing.close()
    content = layout.open_path(3).read_bytes()
    assert content == LINES[3] + b"{}\n"
    assert held == Segment(3, SEALED, "none", len(content), 3, hashlib.sha256(content).hexdigest(), 0.0)


async def test_a_new_segment_is_never_begun_in_an_old_file(layout):
    """Exclusive creation: what lies there is left alone."""
    with pytest.raises(FileExistsError):
        await begin(layout, 4, "none", 0.0)
    assert layout.open_path(4).read_bytes() == b'{"seg'


@pytest.mark.parametrize(("packing", "suffix"), [("none", ""), ("gzip", ".gz"), ("zstd", ".zst")])
async def test_a_packed_segment_goes_all_the_way(layout, packing, suffix):
    """Begun, grown over a restart with a torn tail, sealed and published: its records, under a name that tells how."""
    recover(layout, LEDGER)
    growing = await begin(layout, 5, packing, 7.0)
    await growing.append(LINES[1], 2)
    vouched = await growing.durable(is_sealed=False)
    await growing.append(LINES[2], 2)
    await growing.close()
    (held,) = [held for held in recover(layout, [*LEDGER[:1], vouched]) if held.number == 5]
    assert held == vouched
    growing = await carry_on(layout, held)
    await growing.append(LINES[3], 2)
    sealed = await growing.durable(is_sealed=True)
    await growing.close()
    published = publish(layout, sealed)
    assert (published.packing, published.records, published.opened_at) == (packing, 4, 7.0)
    with PACKINGS[packing].lines(layout.folder / f"records-000005.jsonl{suffix}") as lines:
        assert b"".join(lines) == LINES[1] + LINES[3]


def test_names_that_were_given_before_the_ledger_said_so_are_taken_back(layout):
    """A kill while a generation was put in place: what the ledger vouches for loses nothing, and no name is left."""
    early = [segment(4, OPEN), dataclasses.replace(segment(2, OPEN), table="stations")]
    layout.open_path(2, "stations").write_bytes(LINES[2])
    for held in [*early, LEDGER[2]]:
        layout.published_path(held).hardlink_to(layout.growing_path(held))
    after = recover(layout, LEDGER)
    assert {name: content for name, (content, _, _) in snapshot(layout).items()} == {
        ".fetcher/000003.open": LINES[3],
        ".fetcher/ledger.sqlite": b"the ledger",
        "notes.txt": b"a person's",
        "records-000001.jsonl": LINES[1],
        "records-000002.jsonl": LINES[2],
    }
    assert recover(layout, after) == after


def test_open_names_of_what_is_published_are_the_ones_that_go(layout):
    """A kill after the ledger said so: the final name stays."""
    layout.open_path(1).hardlink_to(layout.published_path(LEDGER[0]))
    recover(layout, LEDGER)
    assert layout.published_path(LEDGER[0]).read_bytes() == LINES[1]
    assert not layout.open_path(1).exists()


def test_a_layout_that_publishes_nothing_leaves_sealed_segments_where_they_are(layout):
    """They are another ledger's, to be published all at once."""
    aside = dataclasses.replace(layout, publishes=False)
    assert recover(aside, LEDGER) == LEDGER
    assert layout.open_path(2).read_bytes() == LINES[2]
    assert not layout.published_path(LEDGER[1]).exists()
