"""Records by the chunk."""

from types import SimpleNamespace
from typing import Any

import pytest

from fetcher.chunks import Chunk, Labeller
from fetcher.errors import Quarantined
from fetcher.job.load import load_job
from fetcher.labelling import Labelled, label
from fetcher.model import Outcome, Row, RowState

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

    workers, busy_s = 1, 0.0

    def __init__(self, labelling: Any, *, leaves_word: bool) -> None:
        self.labelling, self.leaves_word = labelling, leaves_word

    async def run(self, lot: Any) -> Labelled:
        """What `label` gives."""
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
    found = await labeller.outcomes(Chunk(rows))
    states = {one.row_key: one.state for one in found if isinstance(one, Outcome)}
    assert states == {str(number): RowState.QUARANTINED for number in range(600) if number % 150}
