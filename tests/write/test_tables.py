"""Tables beside the main one, on a real disk: their files, their revisions, their keys; with nothing of a parser."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from fetcher.committed import published_lines
from fetcher.errors import FetcherError
from fetcher.ledger import Ledger
from fetcher.model import Outcome, RowState, TableLines
from fetcher.tally import Tally
from fetcher.write.segments import Layout
from fetcher.write.writer import Writer
from tests.write.long_rows import key_of
from tests.write.small_jobs import Rotate, Settings

Numbers = Mapping[str, list[int]]
"""By table, the records of an answer."""


def lines_of(numbers: list[int]) -> bytes:
    """A line a number."""
    return b"".join(b'{"n":%d}\n' % number for number in numbers)


def answered(row: str, held: Numbers, keyed: tuple[str, ...] = ()) -> Outcome:
    """An answer in one piece; tables in `keyed` have a key."""
    tables = [
        TableLines(
            table,
            lines_of(numbers),
            len(numbers),
            b"".join(key_of(f"{table} {number}".encode()) for number in numbers) if table in keyed else b"",
        )
        for table, numbers in held.items()
        if table != "records"
    ]
    numbers = held.get("records", [])
    state = RowState.DONE if numbers else RowState.EMPTY
    return Outcome(row, state, lines=lines_of(numbers), records=len(numbers), attempts=1, tables=tuple(tables))


def page(outcome: Outcome, number: int, *, is_last: bool) -> Outcome:
    """The same as a page."""
    state = outcome.state if is_last else RowState.WAITING
    return replace(outcome, state=state, page=number, is_end=is_last, begins_anew=number == 1)


@dataclass
class Folder:
    """A job's folder, and runs that write to it."""

    path: Path
    tables: tuple[str, ...] = ("stations",)

    def run(self, *outcomes: Outcome, rotate: int | None = None, is_killed: bool = False) -> Tally:
        """What a run with these outcomes does; one that is killed leaves what it committed."""
        layout, tally = Layout(self.path, self.path / ".fetcher", tables=self.tables), Tally()
        layout.state.mkdir(exist_ok=True, parents=True)
        settings = Settings(Rotate(10**8, rotate, None), "none")

        async def write(ledger: Ledger) -> None:
            async with Writer(layout, settings, ledger, tally, now=lambda: 1.0) as writer:
                told = [replace(o, before=ledger.standings([o.row_key]).get(o.row_key)) for o in outcomes]
                await writer._commit([*told], is_last=not is_killed)

        with Ledger(layout.state / "ledger.sqlite") as ledger:
            asyncio.run(write(ledger))
            for table in ("records", *self.tables):
                held = sum(segment.records for segment in ledger.segments() if segment.table == table)
                assert ledger.vouched_records(table) == held, "rows and segments account for the same records"
        return tally

    def held(self, table: str, *, latest: bool = True) -> list[int]:
        """What a reader finds."""
        return [json.loads(line)["n"] for line in published_lines(self.path, latest, table)]

    def files(self) -> list[str]:
        """Names of published files."""
        return sorted(path.name for path in self.path.glob("*-*.jsonl"))


@pytest.fixture
def folder(tmp_path) -> Folder:
    """A job with one table beside the main one."""
    return Folder(tmp_path / "out")


def test_each_table_has_files_and_numbers_of_its_own(folder):
    """A file is full by its own records; a table that got none has no file."""
    folder.tables = ("stations", "units", "names")
    tally = folder.run(
        answered("a", {"records": [1, 2, 3], "stations": [7]}), answered("b", {"units": [8, 9]}), rotate=2
    )
    assert folder.files() == [
        "records-000001.jsonl", "records-000002.jsonl", "stations-000001.jsonl", "units-000001.jsonl"
    ]  # fmt: skip
    assert [folder.held(table) for table in ("records", "stations", "units", "names")] == [[1, 2, 3], [7], [8, 9], []]
    assert (tally.records, dict(tally.side_records)) == (3, {"stations": 1, "units": 2, "names": 0})


def test_the_manifest_names_the_files_of_all_tables(folder):
    """With bytes and hash of each, and the sum of each table."""
    folder.run(answered("a", {"records": [1, 2, 3], "stations": [7]}))
    told = json.loads((folder.path / "manifest.json").read_bytes())
    assert [(file["name"], file["table"]) for file in told["files"]] == [
        ("records-000001.jsonl", "records"), ("stations-000001.jsonl", "stations")
    ]  # fmt: skip
    assert (told["records"], told["tables"]) == (3, {"stations": 1})
    content = (folder.path / "stations-000001.jsonl").read_bytes()
    assert told["files"][1]["sha256"] == hashlib.sha256(content).hexdigest()


def test_tables_have_revisions_of_their_own(folder):
    """An answer that differs in one table is news for that table alone; the same again writes nothing anywhere."""
    folder.run(answered("a", {"records": [1], "stations": [7]}), answered("b", {"records": [2], "stations": [8]}))
    folder.run(answered("a", {"records": [3], "stations": [7]}))
    assert (folder.held("records"), folder.held("records", latest=False)) == ([2, 3], [1, 2, 3])
    assert folder.held("stations", latest=False) == [7, 8]
    folder.run(answered("a", {"records": [3], "stations": [9]}))
    assert folder.held("records", latest=False) == [1, 2, 3]
    assert (folder.held("stations"), folder.held("stations", latest=False)) == ([8, 9], [7, 8, 9])
    before = folder.files()
    tally = folder.run(answered("a", {"records": [3], "stations": [9]}))
    assert (folder.files(), tally.side_records["stations"]) == (before, 0)


def test_an_answer_without_a_word_of_a_table_has_no_records_for_it(folder):
    """What an older one held there is replaced by nothing."""
    folder.run(answered("a", {"records": [1], "stations": [7]}))
    folder.run(answered("a", {"records": [1]}))
    assert (folder.held("records"), folder.held("stations")) == ([1], [])
    assert folder.held("stations", latest=False) == [7]


@pytest.mark.parametrize("state", [RowState.GAVE_UP, RowState.REFUSED, RowState.WAITING, RowState.UNKNOWN])
def test_a_failure_keeps_what_was_brought_home(folder, state):
    """In all tables."""
    folder.run(answered("a", {"records": [1], "stations": [7]}))
    folder.run(Outcome("a", state, "503"))
    assert (folder.held("records"), folder.held("stations")) == ([1], [7])


def test_a_repeat_is_dropped_and_counted_in_its_own_table(folder):
    """Of another row, of the same answer, of an earlier run; the main table's numbers know nothing of it."""
    keyed = ("stations",)
    tally = folder.run(
        answered("a", {"records": [1], "stations": [7, 8, 7]}, keyed),
        answered("b", {"records": [7], "stations": [8, 9]}, keyed),
    )
    assert (tally.repeats, tally.side_repeats["stations"], tally.side_records["stations"]) == (0, 2, 3)
    tally = folder.run(answered("c", {"records": [8], "stations": [9, 7]}, keyed))
    assert (tally.repeats, tally.side_repeats["stations"], tally.side_records["stations"]) == (0, 2, 0)
    assert (folder.held("records"), folder.held("stations")) == ([1, 7, 8], [7, 8, 9])


def test_pages_bring_their_part_page_by_page(folder):
    """A later pass replaces the pages that differ, in each table by itself, and is shown once it is whole."""
    first = [answered("a", {"records": [1, 2], "stations": [7]}), answered("a", {"records": [3], "stations": [8]})]
    folder.run(page(first[0], 1, is_last=False), is_killed=True)
    folder.run(page(first[1], 2, is_last=True))
    assert (folder.held("records"), folder.held("stations")) == ([1, 2, 3], [7, 8])
    second = [answered("a", {"records": [1, 2], "stations": [6]}), answered("a", {"records": [4], "stations": [8]})]
    folder.run(page(second[0], 1, is_last=False))
    assert (folder.held("records"), folder.held("stations")) == ([1, 2, 3], [7, 8])
    folder.run(page(second[1], 2, is_last=True))
    assert (folder.held("records"), folder.held("stations")) == ([1, 2, 4], [8, 6])
    assert folder.held("stations", latest=False) == [7, 8, 6]


def test_an_empty_page_takes_no_place_of_one_with_records(folder):
    """Where a page was empty before, and its records are repeats of this revision now, what it brought first stays."""
    folder.tables, keyed = ("stations",), ("stations",)
    folder.run(page(answered("a", {"records": [1], "stations": []}, keyed), 1, is_last=True))
    again = replace(page(answered("a", {"records": [1], "stations": [7]}, keyed), 1, is_last=False), begins_anew=False)
    folder.run(again)
    folder.run(again)
    last = answered("a", {"records": [2], "stations": []}, keyed)
    folder.run(page(last, 2, is_last=True))
    assert (folder.held("records"), folder.held("stations")) == ([1, 2], [7])


def test_a_table_that_the_job_no_longer_has_is_left_as_it_is(folder):
    """The segment that a killed run has left open is published; its records stand, and rows go on without it."""
    folder.run(answered("a", {"records": [1], "stations": [7]}), is_killed=True)
    folder.tables = ()
    folder.run(answered("a", {"records": [2]}), answered("b", {"records": [3]}))
    assert folder.files() == ["records-000001.jsonl", "stations-000001.jsonl"]
    assert (folder.held("records"), folder.held("stations")) == ([2, 3], [7])


def test_a_table_that_the_job_gets_later_begins_with_the_next_answers(folder):
    """Rows that are asked again bring their part, others have none."""
    folder.tables = ()
    folder.run(answered("a", {"records": [1]}), answered("b", {"records": [2]}))
    folder.tables = ("stations",)
    folder.run(answered("a", {"records": [1], "stations": [7]}))
    assert (folder.held("records", latest=False), folder.held("stations")) == ([1, 2], [7])


def test_a_table_that_nobody_knows_is_an_error_and_not_dropped(folder):
    """Neither by a writer nor by a reader."""
    with pytest.raises(ValueError, match=r"a: records of \['units'\], which are no tables of the job"):
        folder.run(answered("a", {"records": [1], "units": [7]}))
    folder.run(answered("a", {"records": [1]}))
    with pytest.raises(FetcherError, match=r"no row has had records for a table 'units'; see write\.tables"):
        folder.held("units")
