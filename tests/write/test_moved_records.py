"""A record that moves from one row to another, where the job has a key: it is neither lost nor there twice."""

import asyncio
import itertools
import json

import pytest

from fetcher.ledger import Ledger
from fetcher.model import Outcome, RowState
from fetcher.tally import Tally
from fetcher.write.segments import Layout
from fetcher.write.writer import Writer
from tests.write.long_rows import key_of
from tests.write.small_jobs import Rotate, Settings


def answered(row: str, numbers: list[int], before) -> Outcome:
    """A row that holds these records."""
    lines = [b'{"id":%d}\n' % number for number in numbers]
    keys = b"".join(map(key_of, lines))
    return Outcome(row, RowState.DONE, lines=b"".join(lines), records=len(lines), before=before, record_keys=keys)


def run(layout: Layout, ledger: Ledger, held: dict[str, list[int]]) -> None:
    """Ask for every row, in that order."""

    async def write() -> None:
        before = ledger.standings(list(held))
        settings = Settings(Rotate(10**8, None, None), "none")
        async with Writer(layout, settings, ledger, Tally(), now=lambda: 1.0) as writer, asyncio.TaskGroup() as group:
            group.create_task(writer.serve())
            for row, numbers in held.items():
                await writer.put(answered(row, numbers, before.get(row)))
            await writer.finish()

    asyncio.run(write())


def shown(layout: Layout, ledger: Ledger) -> list[int]:
    """The records that no later revision replaced."""
    files = sorted(layout.folder.glob("records-*.jsonl"))
    lines = list(itertools.chain.from_iterable(file.read_text().splitlines() for file in files))
    left_out = {at for first, count in ledger.superseded(10**9) for at in range(first, first + count)}
    return sorted(json.loads(line)["id"] for at, line in enumerate(lines) if at not in left_out)


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_record_that_moves_to_another_row_is_there_once(tmp_path, order):
    """Whichever row is asked first: at once, or where the old row still held it then, by the next look."""
    layout = Layout(tmp_path, tmp_path / ".fetcher")
    layout.state.mkdir()
    with Ledger(layout.state / "ledger.sqlite") as ledger:
        run(layout, ledger, {"a": [1, 2], "b": [3]})
        moved = {"a": [2], "b": [1, 3]}
        for _ in range(2):
            run(layout, ledger, {row: moved[row] for row in order})
        assert shown(layout, ledger) == [1, 2, 3]
        assert ledger.vouched_records() == sum(segment.records for segment in ledger.segments())
