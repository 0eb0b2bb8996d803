"""The files that are replaced whole: a reader and a power cut find the old one or the new one, and nothing between."""

import asyncio
import errno
import json
import random
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.ledger import Ledger, Settled
from fetcher.model import Failure, RowState, Segment, SegmentState, Standing
from fetcher.write.segments import Layout
from fetcher.write.whole import BLOCK_BYTES, blocks, failure_line, manifest, replace_summaries, replace_whole
from tests.write.power_loss import ModelDisk, PowerCut

FOLDER, STATE = Path("out"), Path("out/.fetcher")
TARGET, DRAFT = FOLDER / "manifest.json", STATE / "manifest.json.new"
OLD, NEW = b'{"files": []}\n', [b'{"files": [', b'"records-000001.jsonl"', b"]}\n"]
OPERATIONS = 6
"""Of one replacement: unlink, create, append, sync, replace, sync_folder."""


class Story:
    """A disk with an old file and the draft of a killed run, on which a reader looks before every operation."""

    def __init__(self, cut_at: int | None = None, fails: str = "") -> None:
        self.told: list[str] = []
        self.seen: set[bytes] = set()
        self.cut_at, self._fails = cut_at, fails
        self.disk = ModelDisk(self.before)
        self.disk.plant(TARGET, OLD)
        self.disk.plant(DRAFT, b'{"fil')
        self.layout = Layout(FOLDER, STATE, self.disk)

    def before(self, operation: str, path: Path) -> None:
        """A reader looks; then the power goes, or the disk fails."""
        self.seen.add(self.disk.read(TARGET))
        self.told.append(operation)
        if len(self.told) == self.cut_at:
            raise PowerCut
        if operation == self._fails:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    async def replace(self) -> None:
        """One replacement."""
        await replace_whole(self.layout, "manifest.json", NEW)


async def test_a_reader_finds_the_old_file_or_the_new_one():
    """At every moment; the stale draft of a killed run is no part of it, and no draft is left."""
    story = Story()
    await story.replace()
    assert story.told == ["unlink", "create", "append", "sync", "replace", "sync_folder"]
    assert story.seen <= {OLD, b"".join(NEW)}
    assert story.disk.read(TARGET) == b"".join(NEW)
    assert story.disk.names(STATE) == []


@pytest.mark.parametrize("cut_at", range(1, OPERATIONS + 2))
@given(seed=st.integers(0, 10**6))
def test_a_power_cut_leaves_the_old_file_or_the_new_one(cut_at, seed):
    """At any operation, whatever the disk had kept for later; and the next run replaces it all the same."""
    story = Story(cut_at)

    async def replace() -> None:
        with suppress(PowerCut):
            await story.replace()

    asyncio.run(replace())
    story.disk.lose_power(random.Random(seed))
    left = story.disk.read(TARGET)
    assert left in {OLD, b"".join(NEW)}
    assert cut_at <= OPERATIONS or left == b"".join(NEW)
    story.told, story.cut_at = [], None
    asyncio.run(story.replace())
    assert story.disk.read(TARGET) == b"".join(NEW)


@pytest.mark.parametrize("fails", ["create", "append", "sync", "replace"])
async def test_a_disk_that_fails_leaves_the_old_file(fails):
    """The error is the caller's to tell."""
    story = Story(fails=fails)
    with pytest.raises(OSError, match="No space left"):
        await story.replace()
    assert story.disk.read(TARGET) == OLD


@given(st.lists(st.binary(max_size=9)), st.integers(0, 3))
def test_blocks_are_the_same_bytes(pieces, large):
    """In order, and of a megabyte or so each."""
    pieces = [*pieces, *[bytes(BLOCK_BYTES - 5)] * large, *pieces]
    made = list(blocks(pieces))
    assert b"".join(made) == b"".join(pieces)
    assert all(BLOCK_BYTES <= len(block) < 2 * BLOCK_BYTES for block in made[:-1])


def test_many_small_pieces_are_each_looked_at_once():
    """A million failures are as many pieces: to add all of a block up for each of them would take hours."""
    looked_at = 0

    class Piece(bytes):
        """Notes each time that its length is asked for."""

        def __len__(self) -> int:
            nonlocal looked_at
            looked_at += 1
            return super().__len__()

    made = list(blocks(Piece(bytes(100)) for _ in range(3000)))
    assert sum(map(len, made)) == 300_000
    assert looked_at <= 2 * 3000


def test_the_manifest_names_published_files_only():
    """With what a person needs to check them: `sha256sum`, `wc -l` and the sum."""
    segments = [
        Segment(1, SegmentState.PUBLISHED, "zstd", 120, 3, "ab", 1.0),
        Segment(2, SegmentState.PUBLISHED, "none", 40, 2, "cd", 2.0),
        Segment(3, SegmentState.SEALED, "none", 40, 4, "ef", 3.0),
        Segment(4, SegmentState.OPEN, "none", 40, 5, "01", 4.0),
        Segment(1, SegmentState.PUBLISHED, "gzip", 50, 7, "23", 5.0, "stations"),
    ]
    made = manifest(segments)
    assert made.endswith(b"}\n")
    assert json.loads(made) == {
        "files": [
            {"name": "records-000001.jsonl.zst", "table": "records", "bytes": 120, "records": 3, "sha256": "ab"},
            {"name": "records-000002.jsonl", "table": "records", "bytes": 40, "records": 2, "sha256": "cd"},
            {"name": "stations-000001.jsonl.gz", "table": "stations", "bytes": 50, "records": 7, "sha256": "23"},
        ],
        "records": 5,
        "tables": {"stations": 7},
    }
    assert json.loads(manifest([])) == {"files": [], "records": 0, "tables": {}}


@given(st.text())
def test_a_failure_is_one_line_whatever_the_server_said(reason):
    """One line of JSON, the time in UTC."""
    line = failure_line(Failure("2024-01-01", RowState.REFUSED, reason, 3, 86_400.0))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {
        "row": "2024-01-01",
        "state": "refused",
        "reason": reason,
        "attempts": 3,
        "at": "1970-01-02T00:00:00+00:00",
    }


async def test_both_files_say_what_the_ledger_says_now(tmp_path):
    """A failure that a later run has made good is gone; what neither failed nor was published is in neither."""
    layout = Layout(tmp_path, tmp_path / ".fetcher")
    layout.state.mkdir()
    with Ledger(layout.state / "ledger.sqlite") as ledger:
        rows = [Settled(state.name, Standing(state), "why", 1) for state in RowState]
        ledger.commit(rows, [Segment(1, SegmentState.PUBLISHED, "none", 9, 1, "ab", 0.0)])
        await replace_summaries(layout, ledger)
        listed = [json.loads(line) for line in (tmp_path / "failures.jsonl").read_text().splitlines()]
        assert [failure["row"] for failure in listed] == ["GAVE_UP", "QUARANTINED", "REFUSED", "UNKNOWN"]
        assert json.loads((tmp_path / "manifest.json").read_bytes())["records"] == 1
        ledger.commit([Settled("GAVE_UP", Standing(RowState.DONE), "", 1)], [])
        await replace_summaries(layout, ledger)
    listed = [json.loads(line) for line in (tmp_path / "failures.jsonl").read_text().splitlines()]
    assert [failure["row"] for failure in listed] == ["QUARANTINED", "REFUSED", "UNKNOWN"]
