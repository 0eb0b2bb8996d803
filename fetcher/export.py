"""Records out of a job's folder."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fetcher.errors import Contradiction
from fetcher.ledger import VERSION, SegmentState
from fetcher.write.segments import Layout

if TYPE_CHECKING:
    import pandas as pd

CHUNK_RECORDS = 50_000


def read_records(folder: str | Path, chunk_records: int = CHUNK_RECORDS) -> "Iterator[pd.DataFrame]":
    """The published records of a job's folder as pandas frames of at most `chunk_records` rows, in order of writing.

    A column whose integers pandas would round (large ones beside a missing value) keeps them as objects. Reading
    changes nothing in the folder, and may go on beside a run.

    Raises `Contradiction` where the folder holds no ledger, or a published file is not as it was published.
    """
    if chunk_records < 1:
        raise ValueError(f"chunk_records is {chunk_records}, expected 1 or more")
    return _frames(Path(folder), chunk_records)


def _frames(folder: Path, chunk_records: int) -> "Iterator[pd.DataFrame]":
    import pandas as pd

    decode = msgspec.json.Decoder(dict[str, object]).decode
    lines = published_lines(folder)
    while chunk := [decode(line) for line in islice(lines, chunk_records)]:
        frame = pd.DataFrame(chunk)
        for name in frame.columns[frame.dtypes == "float64"]:
            values = [record.get(name) for record in chunk]
            if any(type(value) is int and int(float(value)) != value for value in values):
                frame[name] = pd.Series(values, dtype=object)
        yield frame


def published_lines(folder: Path) -> Iterator[bytes]:
    """Every line of every published segment."""
    layout = Layout(folder, folder / ".fetcher")
    path = layout.state / "ledger.sqlite"
    if not path.is_file():
        raise Contradiction(f"{folder}: no ledger here; name the folder that the job writes to (write.folder)")
    for number, length in _published(path):
        try:
            with layout.published_path(number).open("rb") as file:
                if (size := os.fstat(file.fileno()).st_size) != length:
                    raise Contradiction(f"{file.name}: has {size} bytes, the ledger vouches for {length}")
                yield from file
        except FileNotFoundError as error:
            raise Contradiction(f"{error.filename}: missing, though the ledger vouches for it") from error


def _published(path: Path) -> list[tuple[int, int]]:
    """Number and length of every published segment, from a ledger that is only read.

    `Ledger` would open it as its writer: it creates what is missing, and its close empties the journal. Even a
    read-only connection leaves a journal behind where there was none; `immutable` does not, but takes no lock, so what
    it read counts only if no run has opened the ledger meanwhile.
    """
    journal = path.with_name(f"{path.name}-wal")
    try:
        if not journal.exists():
            found = _query(path, "immutable=1")
            if not journal.exists():
                return found
        return _query(path, "mode=ro")
    except sqlite3.DatabaseError as error:
        raise Contradiction(f"{path}: not a readable ledger ({error}); restore it from a backup") from error


def _query(path: Path, mode: str) -> list[tuple[int, int]]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:  # a run that has only just begun, or was killed then
            return []
        if version != VERSION:
            raise Contradiction(
                f"{path}: written by version {version} of the ledger, this program knows {VERSION}; "
                "use the newer program"
            )
        wanted = "SELECT number, length FROM segments WHERE state = ? ORDER BY number"
        return connection.execute(wanted, (SegmentState.PUBLISHED,)).fetchall()
