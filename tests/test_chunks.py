"""Records by the chunk."""

import asyncio
import hashlib
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.chunks import Chunk, Labeller
from fetcher.errors import Quarantined
from fetcher.job.load import load_job
from fetcher.labelling import Labelled, label
from fetcher.model import Outcome, Row, RowState
from fetcher.read.tables import Reading, table_rows, unkeyed_rows
from fetcher.tabular import delimited

JOB = """
name = "reviews"
read.values = { text = ["fine"] }
[[annotate]]
function = "labels.py:label"
[write]
folder = "out"
"""


class Dying:
    """An engine whose workers die at each record that says so, and leave word of it where they can."""

    workers, busy_s, scales, printed = 1, 0.0, None, None

    def __init__(self, labelling: Any, *, leaves_word: bool) -> None:
        self.labelling, self.leaves_word, self.was_asked = labelling, leaves_word, False

    async def __aenter__(self) -> "Dying":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def run(self, lot: Any) -> Labelled:
        """What `label` gives."""
        self.was_asked = True
        if not self.labelling:
            return Labelled()
        if lot.cells and any("deadly" in cells for cells in lot.cells.rows):
            raise Quarantined("died", record=0)
        deadly = lot.lines.find(b"deadly")
        if deadly >= 0:
            spot = lot.lines.count(b"\n", 0, deadly) if self.leaves_word or lot.is_singly else -1
            raise Quarantined("died", record=spot)
        return label(self.labelling, lot)


@pytest.mark.parametrize("leaves_word", [True, False])
@pytest.mark.parametrize("workers", [0, 1])
async def test_a_chunk_of_records_that_are_all_deadly_but_a_few_costs_them_alone(tmp_path, leaves_word, workers):
    """However many they are."""
    (tmp_path / "job.toml").write_text(JOB)
    (tmp_path / "labels.py").write_text("def label(record):\n    return {'n': 1}\n")
    around: Any = SimpleNamespace(now=lambda: 0.0, witness=1)
    labeller = Labeller(load_job(tmp_path / "job.toml", {}), around)
    engine: Any = Dying(labeller._labelling, leaves_word=leaves_word)
    engine.workers = workers
    labeller._engine = engine
    rows = [Row(str(number), {"text": "deadly" if number % 150 else f"fine {number}"}) for number in range(600)]
    chunk = Chunk(rows)
    found = await labeller.outcomes(chunk, await labeller.label(chunk))
    states = {one.row_key: one.state for one in found if isinstance(one, Outcome)}
    assert states == {str(number): RowState.QUARANTINED for number in range(600) if number % 150}


@pytest.mark.parametrize(("least", "is_sent_for"), [(10, True), (1000, False)])
async def test_a_worker_is_sent_for_at_once_where_the_table_is_large(tmp_path, monkeypatch, least, is_sent_for):
    """Else a small table would pay for one."""
    (tmp_path / "job.toml").write_text(TABLE_JOB)
    (tmp_path / "reviews.csv").write_text("id,text\n1,broken\n")
    engine = Dying(None, leaves_word=True)
    monkeypatch.setattr("fetcher.chunks.LARGE_BYTES", least)
    monkeypatch.setattr("fetcher.chunks.engine_for", lambda *_: engine)
    around: Any = SimpleNamespace(now=lambda: 0.0, witness=1, tally=SimpleNamespace(worked=lambda *_: None))
    async with Labeller(load_job(tmp_path / "job.toml", {}), around):
        await asyncio.sleep(0)
    assert engine.was_asked == is_sent_for


TABLE_JOB = """
name = "reviews"
read.table.path = "reviews.csv"
[[annotate]]
into = "topics"
rules.field = "text"
rules.rule = [{ label = "quality", terms = ["broken"] }]
[write]
folder = "out"
"""
LINES = st.sampled_from(
    ["1,broken\n", "1,broken\n", "2,fine\n", '3,"two\nlines"\n', "\n", "4,a,b\n", '5,"open\n', "6,deadly\n"]
)


@given(st.lists(LINES, max_size=12).map("".join), st.integers(1, 60))
def test_rows_that_get_their_keys_where_they_are_labelled_are_the_same(tmp_path_factory, text, size):
    """Keys, records and failures in their order: of equal lines, bad ones, deadly ones, wherever a block ends."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "job.toml").write_text(TABLE_JOB)
    (folder / "reviews.csv").write_text(f"id,text\n{text}")
    job = load_job(folder / "job.toml", {})
    assert job.read.table
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(delimited, "BLOCK_CHARACTERS", size)
        unkeyed = [part for part in unkeyed_rows(job.read.table, Reading()) if part.rows]
    keyed = [Chunk([*table_rows(job.read.table, (), Reading())])]
    assert asyncio.run(told(job, unkeyed)) == asyncio.run(told(job, keyed))


async def told(job, chunks):
    """What becomes of each row, in order."""
    around: Any = SimpleNamespace(now=lambda: 0.0, witness=1)
    labeller = Labeller(job, around)
    engine: Any = Dying(labeller._labelling, leaves_word=True)
    labeller._engine = engine
    found: list[tuple[object, ...]] = []
    labelled = [await labeller.label(chunk) for chunk in chunks]
    for chunk, result in zip(chunks, labelled, strict=True):
        for one in await labeller.outcomes(chunk, result):
            if isinstance(one, Outcome):
                found.append((one.row_key, one.state, one.reason, one.lines))
                continue
            lines = one.lines.splitlines(keepends=True)
            assert one.digests == b"".join(hashlib.sha256(line).digest() for line in lines)
            found += [(key, RowState.DONE, "", line) for key, line in zip(one.keys, lines, strict=True)]
    return found
