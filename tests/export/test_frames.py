"""Records out of a folder: what was published, exactly and in order, with nothing touched."""

import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fetcher import read_records
from fetcher.committed import published_lines, without
from fetcher.errors import Busy, Contradiction
from fetcher.ledger import Ledger
from fetcher.model import Outcome, RowState, Segment, SegmentState
from fetcher.tally import Tally
from fetcher.write.segments import Layout
from fetcher.write.writer import Writer
from tests.settled_jobs import STATIONS, beside, done, job_in, settle

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Every:
    """A rotation by number of records."""

    records: int
    bytes: int = 1 << 20
    every: None = None


@dataclass(frozen=True)
class Settings:
    """How records are written."""

    rotate: Every
    compress: str = "none"


def published(number: int, state: SegmentState = SegmentState.PUBLISHED) -> Segment:
    """A segment of one record that the ledger vouches for: eight bytes."""
    return Segment(number, state, "none", 8, 1, "", 0.0)


def fill(folder: Path, records: list[dict[str, object]], per_file: int = 3, compress: str = "none") -> Path:
    """A job's folder as a run leaves it."""
    layout = Layout(folder, folder / ".fetcher")
    layout.state.mkdir(parents=True)

    async def write(ledger: Ledger) -> None:
        async with Writer(layout, Settings(Every(per_file), compress), ledger, Tally(), now=lambda: 0.0) as writer:
            serving = asyncio.create_task(writer.serve())
            for number, record in enumerate(records):
                line = json.dumps(record).encode() + b"\n"
                await writer.put(Outcome(str(number), RowState.DONE, lines=line, records=1))
            await writer.finish()
            await serving

    with Ledger(layout.state / "ledger.sqlite") as ledger:
        asyncio.run(write(ledger))
    return folder


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file's bytes and time of change, but for SQLite's shared memory, which readers mark."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith("-shm")
    }


@settings(max_examples=15)
@given(st.integers(0, 25), st.integers(1, 30), st.integers(1, 5))
def test_frames_hold_every_record_once_and_in_order(number, chunk, per_file):
    """At most so many rows a frame, whatever files they lie in, and only the last frame is shorter."""
    with tempfile.TemporaryDirectory() as name:
        folder = fill(Path(name) / "out", [{"n": n, "text": f"line {n}"} for n in range(number)], per_file)
        frames = list(read_records(folder, chunk_records=chunk))
    assert [len(frame) for frame in frames[:-1]] == [chunk] * (len(frames) - 1)
    assert all(0 < len(frame) <= chunk for frame in frames)
    assert [n for frame in frames for n in frame["n"]] == list(range(number))


@settings(max_examples=25)
@example([{"a": 2**53 + 1}, {"a": None}])
@example([{"a": 2**53 + 1}, {"b": 1.0}])
@given(
    st.lists(
        st.fixed_dictionaries(
            {}, optional={"a": st.none() | st.integers() | st.integers(2**53 - 2, 2**64 + 2), "b": st.floats(-1e9, 1e9)}
        ),
        min_size=1,
    )
)
def test_integers_are_never_rounded(records):
    """A column of large integers with gaps stays exact: pandas would make floats of it."""
    with tempfile.TemporaryDirectory() as name:
        (frame,) = read_records(fill(Path(name) / "out", records, 1000))
    assert len(frame) == len(records)
    for record, (_, row) in zip(records, frame.astype(object).iterrows(), strict=True):
        for key in frame.columns:
            assert row[key] == record[key] if record.get(key) is not None else pd.isna(row[key])


def test_numbers_without_gaps_keep_their_types(tmp_path):
    """What pandas can hold exactly is what it holds."""
    (frame,) = read_records(fill(tmp_path / "out", [{"i": 1, "f": 0.5, "g": 1}, {"i": 2, "f": 1, "g": None}]))
    assert [str(kind) for kind in frame.dtypes] == ["int64", "float64", "float64"]


def test_only_what_is_published_is_read(tmp_path):
    """Neither the open segment nor a file that the ledger does not know."""
    folder = fill(tmp_path / "out", [{"n": 1}, {"n": 2}], per_file=1)
    with Ledger(folder / ".fetcher/ledger.sqlite") as ledger:
        ledger.commit((), [published(3, SegmentState.OPEN), published(4, SegmentState.SEALED)])
    for stray in (".fetcher/000003.open", ".fetcher/000004.open", "records-000003.jsonl", "records-000009.jsonl"):
        (folder / stray).write_bytes(b'{"n":9}\n')
    assert list(published_lines(folder)) == [b'{"n": 1}\n', b'{"n": 2}\n']


def test_reading_changes_nothing(tmp_path):
    """Not a byte, not a time, not a file more, after a run that ended well."""
    folder = fill(tmp_path / "out", [{"n": n} for n in range(5)])
    before = everything(folder)
    assert sum(len(frame) for frame in read_records(folder)) == 5
    assert everything(folder) == before
    assert sorted(path.name for path in (folder / ".fetcher").iterdir()) == ["ledger.sqlite"]


KILLED = """
import os, pathlib, sys
from fetcher.ledger import Ledger
from fetcher.model import Segment, SegmentState
ledger = Ledger(pathlib.Path(sys.argv[1])).__enter__()
ledger.commit((), [Segment(6, SegmentState.PUBLISHED, "none", 8, 1, "", 0.0)])
print("committed", flush=True)
sys.stdin.read()
os._exit(9)
"""


def test_reading_goes_on_beside_a_run_and_after_a_killed_one(tmp_path):
    """What another process has committed is seen while it holds the ledger and after it died, and its journal stays."""
    folder = fill(tmp_path / "out", [{"n": n} for n in range(5)], per_file=1)
    (folder / "records-000006.jsonl").write_bytes(b'{"n":5}\n')
    command = [sys.executable, "-c", KILLED, str(folder / ".fetcher/ledger.sqlite")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"committed\n"
        before = everything(folder)
        assert len(list(published_lines(folder))) == 6
        assert everything(folder) == before
        run.communicate()
    assert len(list(published_lines(folder))) == 6
    assert everything(folder) == before


def test_a_reader_sees_what_was_published_when_it_began(tmp_path):
    """A run that publishes more meanwhile neither waits for the reader nor mixes into its frames."""
    folder = fill(tmp_path / "out", [{"n": n} for n in range(4)], per_file=2)
    frames = read_records(folder, chunk_records=1)
    assert next(frames)["n"].tolist() == [0]
    with Ledger(folder / ".fetcher/ledger.sqlite") as ledger:
        (folder / "records-000003.jsonl").write_bytes(b'{"n":9}\n')
        ledger.commit((), [published(3)])
    assert [frame["n"].tolist() for frame in frames] == [[1], [2], [3]]
    assert len(list(published_lines(folder))) == 5


def test_a_run_that_starts_while_the_ledger_is_read_is_seen(tmp_path, monkeypatch):
    """A ledger read without a lock counts only if nobody has opened it meanwhile; the reader is told to come again."""
    folder = fill(tmp_path / "out", [{"n": 0}], per_file=1)
    (folder / "records-000002.jsonl").write_bytes(b'{"n":1}\n')
    connect, run = sqlite3.connect, Ledger(folder / ".fetcher/ledger.sqlite")
    opened: list[Ledger] = []

    def connect_when_a_run_has_begun(*arguments, **options):
        if not opened:
            opened.append(run)
            run.__enter__().commit((), [published(2)])
        return connect(*arguments, **options)

    monkeypatch.setattr(sqlite3, "connect", connect_when_a_run_has_begun)
    try:
        with pytest.raises(Busy, match=r"a run began while .*ledger\.sqlite was read; do it again"):
            list(published_lines(folder))
        assert len(list(published_lines(folder))) == 2
    finally:
        run.__exit__()


@pytest.mark.parametrize("made", [[], ["out"], ["out", "out/.fetcher"]])
def test_a_folder_without_a_ledger_is_refused_and_left_alone(tmp_path, made):
    """A mistyped name is an error, and nothing is created under it."""
    for name in made:
        (tmp_path / name).mkdir()
    with pytest.raises(Contradiction, match=r"out: no ledger here; name the folder that the job writes to"):
        next(read_records(tmp_path / "out"))
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")) == made


def test_a_ledger_that_no_run_has_begun_is_refused_and_left_alone(tmp_path):
    """A run killed in its first moment leaves one."""
    state = tmp_path / ".fetcher"
    state.mkdir()
    (state / "ledger.sqlite").touch()
    with pytest.raises(Contradiction, match=r"ledger\.sqlite: no run has begun to write it; run the job"):
        next(read_records(tmp_path))
    assert (state / "ledger.sqlite").read_bytes() == b""


def test_a_file_that_is_no_ledger_is_refused(tmp_path):
    """With its name, and what to do."""
    state = tmp_path / ".fetcher"
    state.mkdir()
    (state / "ledger.sqlite").write_bytes(b"not a database, but long enough to be read as one" * 100)
    with pytest.raises(Contradiction, match=r"ledger\.sqlite: not a readable ledger .*restore it from a backup"):
        next(read_records(tmp_path))


def test_the_ledger_of_a_newer_program_is_refused(tmp_path):
    """Its tables may mean something else."""
    folder = fill(tmp_path / "out", [{"n": 1}])
    with Ledger(folder / ".fetcher/ledger.sqlite") as ledger:
        ledger._writer.execute("PRAGMA user_version = 7")
    with pytest.raises(Contradiction, match=r"written by version 7 .* use the newer program"):
        next(read_records(folder))


def test_a_published_file_that_is_missing_is_named(tmp_path):
    """The frames before it are good; then comes the error, never a silent gap."""
    folder = fill(tmp_path / "out", [{"n": n} for n in range(4)], per_file=2)
    (folder / "records-000002.jsonl").unlink()
    frames = read_records(folder, chunk_records=2)
    assert next(frames)["n"].tolist() == [0, 1]
    with pytest.raises(Contradiction, match=r"records-000002\.jsonl: it is missing, the ledger vouches for 18"):
        next(frames)


@pytest.mark.parametrize("bytes_left", [0, 5, 40])
def test_a_published_file_of_another_length_is_refused(tmp_path, bytes_left):
    """Cut or grown since: what the ledger does not vouch for is not handed out as records."""
    folder = fill(tmp_path / "out", [{"n": 1}])
    (folder / "records-000001.jsonl").write_bytes((b'{"n": 1}\n' * 9)[:bytes_left])
    with pytest.raises(Contradiction, match=rf"it has {bytes_left} bytes, the ledger vouches for 9"):
        list(read_records(folder))


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_packed_files_are_read_like_plain_ones(tmp_path, compress):
    """How a segment is packed does not show in its records."""
    folder = fill(tmp_path / "out", [{"n": n} for n in range(7)], compress=compress)
    assert [n for frame in read_records(folder) for n in frame["n"]] == list(range(7))


@given(st.lists(st.booleans()))
def test_replaced_records_are_left_out_and_no_others(is_replaced):
    """Ranges of record numbers, in order and apart, are cut out of the lines wherever they lie."""
    lines = [b"%d" % number for number in range(len(is_replaced))]
    ranges = [(number, 1) for number, replaced in enumerate(is_replaced) if replaced]
    left = [line for line, replaced in zip(lines, is_replaced, strict=True) if not replaced]
    assert list(without(iter(lines), ranges)) == left


Answer = tuple[str, int]
"""A row's key, and how many records it answers with."""


def runs_of(folder: Path, runs: list[list[Answer]], per_file: int, compress: str, is_last_killed: bool = False) -> None:
    """Runs in which rows answer, each time with other records; the last may die with its segment open."""
    layout, number = Layout(folder, folder / ".fetcher"), 0
    layout.state.mkdir(parents=True)

    async def write(ledger: Ledger, outcomes: list[Outcome], is_killed: bool) -> None:
        async with Writer(layout, Settings(Every(per_file), compress), ledger, Tally(), now=lambda: 0.0) as writer:
            if is_killed:
                return await writer._commit([*outcomes], is_last=False)
            serving = asyncio.create_task(writer.serve())
            for outcome in outcomes:
                await writer.put(outcome)
            await writer.finish()
            await serving

    for place, answers in enumerate(runs, start=1):
        with Ledger(layout.state / "ledger.sqlite") as ledger:
            outcomes = []
            for key, records in answers:
                lines = b"".join(b'{"row":"%s","n":%d}\n' % (key.encode(), number + n) for n in range(records))
                number += records
                state, before = RowState.DONE if records else RowState.EMPTY, ledger.standings([key]).get(key)
                outcomes.append(Outcome(key, state, lines=lines, records=records, before=before))
            asyncio.run(write(ledger, outcomes, is_last_killed and place == len(runs)))


RUN = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 4)).map(lambda answers: list(answers.items()))


@settings(max_examples=40)
@example([[("a", 2)], [("a", 0)]], 5, "none")
@example([[("a", 3), ("b", 1)], [("a", 3)], [("b", 0), ("a", 1)]], 2, "zstd")
@given(st.lists(RUN, max_size=4), st.integers(1, 5), st.sampled_from(["none", "gzip", "zstd"]))
def test_latest_holds_each_rows_newest_records_and_no_others(runs, per_file, compress):
    """Over any number of runs, files and packings; also where the newest answer is that there is nothing."""
    newest: dict[str, list[int]] = {}
    number = 0
    for key, records in (answer for run in runs for answer in run):
        newest[key] = list(range(number, number + records))
        number += records
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "out"
        runs_of(folder, runs or [[]], per_file, compress)
        assert [n for frame in read_records(folder, chunk_records=2) for n in frame["n"]] == list(range(number))
        latest = [n for frame in read_records(folder, chunk_records=2, latest=True) for n in frame["n"]]
    assert latest == sorted(n for numbers in newest.values() for n in numbers)


@pytest.mark.parametrize("compress", ["none", "gzip", "zstd"])
def test_an_old_revision_stays_until_the_new_one_is_published(tmp_path, compress):
    """A reader never finds a row gone because its newer records lie in an open segment; then it finds those alone."""
    first, second = [("a", 2), ("b", 1)], [("a", 2)]
    runs_of(tmp_path / "open", [first, second], 50, compress, is_last_killed=True)
    assert [json.loads(line)["n"] for line in published_lines(tmp_path / "open", latest=True)] == [0, 1, 2]
    runs_of(tmp_path / "whole", [first, second], 50, compress)
    assert [json.loads(line)["n"] for line in published_lines(tmp_path / "whole", latest=True)] == [2, 3, 4]


@pytest.mark.parametrize("compress", ["gzip", "zstd"])
@pytest.mark.parametrize("at", [0, 3, -1, -20])
def test_a_packed_file_that_was_harmed_is_refused(tmp_path, compress, at):
    """A byte that is another one: a contradiction, and no error of the packer's or of the decoder's."""
    folder = fill(tmp_path / "out", [{"n": n} for n in range(7)], compress=compress)
    path = next(folder.glob("records-000001*"))
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(
        Contradiction, match=r"records-000001\S+ cannot be unpacked .*from a backup|fetcher verify names its file"
    ):
        list(read_records(folder))


def test_a_frame_of_no_rows_is_refused_at_once(tmp_path):
    """It would end the reading before its start, silently."""
    with pytest.raises(ValueError, match=r"chunk_records is 0, expected 1 or more"):
        read_records(tmp_path, chunk_records=0)


def test_frames_of_another_table(tmp_path):
    """By its name: its records alone, of corrected rows the newest; a name that no row knows is an error."""
    job = job_in(tmp_path, STATIONS)
    settle(job, beside(done(1, 4), 7, 8), beside(done(2, 1), 9))
    settle(job, beside(done(2, 1), 6))
    frames = read_records(job.write.folder, table="stations", chunk_records=2)
    assert [frame["station"].tolist() for frame in frames] == [[7, 8], [9, 6]]
    (frame,) = read_records(job.write.folder, table="stations", latest=True)
    assert frame["station"].tolist() == [7, 8, 6]
    assert sum(len(frame) for frame in read_records(job.write.folder)) == 5
    with pytest.raises(Contradiction, match=r"no row has had records for a table 'station'; see write\.tables"):
        next(read_records(job.write.folder, table="station"))


def test_records_without_a_key_are_rows_too(tmp_path):
    """An empty record is counted by the ledger, and so by the frame."""
    assert [len(frame) for frame in read_records(fill(tmp_path / "out", [{}, {}]))] == [2]
