"""Records out of a job's folder."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fetcher.committed import published_lines
from fetcher.errors import Contradiction
from fetcher.model import MAIN

if TYPE_CHECKING:
    import pandas as pd

CHUNK_RECORDS = 50_000


def read_records(
    folder: str | Path, *, chunk_records: int = CHUNK_RECORDS, latest: bool = False, table: str = MAIN
) -> "Iterator[pd.DataFrame]":
    """The published records of a job's folder as pandas frames of at most `chunk_records` rows, in order of writing.

    `table` names one of those that the job has beside the main one (write.tables). With `latest`, records that a later
    revision of their row replaced are left out. A column whose integers pandas would round (large ones beside a missing
    value) keeps them as objects. Reading changes nothing in the folder, and may go on beside a run.

    Raises `Contradiction` where the folder holds no ledger, its ledger knows no such table, or a published file is not
    as it was published.
    """
    if chunk_records < 1:
        raise ValueError(f"chunk_records is {chunk_records}, expected 1 or more")
    return _frames(Path(folder), chunk_records, latest, table)


def _frames(folder: Path, chunk_records: int, latest: bool, table: str) -> "Iterator[pd.DataFrame]":
    import pandas as pd

    decode = msgspec.json.Decoder(dict[str, object]).decode
    lines = published_lines(folder, latest, table)
    while chunk := _decoded(folder, decode, islice(lines, chunk_records)):
        frame = pd.DataFrame(chunk)
        for name in frame.columns[frame.dtypes == "float64"]:
            values = [record.get(name) for record in chunk]
            if any(type(value) is int and int(float(value)) != value for value in values):
                frame[name] = pd.Series(values, dtype=object)
        yield frame


def _decoded(
    folder: Path, decode: Callable[[bytes], dict[str, object]], lines: Iterator[bytes]
) -> list[dict[str, object]]:
    try:
        return [decode(line) for line in lines]
    except msgspec.DecodeError as error:
        raise Contradiction(
            f"{folder}: a published line is no record ({error}); fetcher verify names its file"
        ) from error
