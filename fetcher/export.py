"""Records out of a job's folder."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from fetcher.errors import Contradiction
from fetcher.ledger import Ledger, SegmentState
from fetcher.write.segments import Layout

if TYPE_CHECKING:
    import pandas as pd

CHUNK_RECORDS = 50_000


def read_records(folder: str | Path, chunk_records: int = CHUNK_RECORDS) -> "Iterator[pd.DataFrame]":
    """The published records of a job's folder as pandas frames of at most `chunk_records` rows, in order of writing.

    Raises `Contradiction` where the folder holds no ledger, or a published file is missing.
    """
    import pandas as pd

    decode = msgspec.json.Decoder(dict[str, object]).decode
    lines = published_lines(Path(folder))
    while chunk := [decode(line) for line in islice(lines, chunk_records)]:
        yield pd.DataFrame.from_records(chunk)


def published_lines(folder: Path) -> Iterator[bytes]:
    """Every line of every published segment."""
    layout = Layout(folder, folder / ".fetcher")
    path = layout.state / "ledger.sqlite"
    if not path.is_file():
        raise Contradiction(f"{folder}: no ledger here; name the folder that the job writes to (write.folder)")
    with Ledger(path) as ledger:
        segments = ledger.segments()
    for segment in segments:
        if segment.state is SegmentState.PUBLISHED:
            try:
                with layout.published_path(segment.number).open("rb") as file:
                    yield from file
            except FileNotFoundError as error:
                raise Contradiction(f"{error.filename}: missing, though the ledger vouches for it") from error
