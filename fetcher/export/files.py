"""The file that an export ends up in: it is there whole, or it is as it was before."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from fetcher.errors import DiskFailed

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
PACKED = {".gz": "gzip", ".zst": "zstd"}
STANDARD_OUTPUT = "-"


def kind_of(name: str, told: str | None = None) -> tuple[str, str]:
    """Format and packing of a file by its name, where the format is not `told`. Raises ValueError where neither says
    it."""
    path = Path(name)
    packing = PACKED.get(path.suffix.lower(), "none")
    if packing != "none":
        path = path.with_suffix("")
    kind = told or ("jsonl" if name == STANDARD_OUTPUT else SUFFIXES.get(path.suffix.lower()))
    if kind is None:
        raise ValueError(f"the name '{name}' does not tell a format; expected one that ends in {', '.join(SUFFIXES)}")
    if kind == "parquet" and (packing != "none" or name == STANDARD_OUTPUT):
        raise ValueError(
            f"expected a file that ends in .parquet, for Parquet is packed within and is no stream, got '{name}'"
        )
    return kind, packing


@contextmanager
def replaced_whole(path: Path) -> Iterator[IO[bytes]]:
    """A draft beside `path`, which takes its place at the end; where anything raises before that, nothing has changed.

    Raises `DiskFailed`.
    """
    draft = path.with_name(f".export-{os.urandom(4).hex()}.new")
    try:
        with draft.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise DiskFailed(f"{path} is not written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):
            draft.unlink()
