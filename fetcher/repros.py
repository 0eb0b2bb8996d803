"""What it takes to parse an answer again that was set aside: a file for each row, in the job's own folder.

They are for a person who looks into a failure. Nothing depends on them: their number and size are bounded, and they go
with their failure.
"""

import asyncio
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from pathlib import Path

import msgspec

from fetcher.errors import DiskFailed
from fetcher.ledger import LedgerView
from fetcher.model import FAILED, Value
from fetcher.redaction import redacted

MOST_FILES = 100
MOST_BYTES = 64_000_000
MOST_BODY = 16_000_000
PACKAGES = (
    *("polite-fetcher", "msgspec", "jmespath", "lxml", "pillow"),
    *("ahocorasick-rs", "google-re2", "numpy", "pandas", "pyarrow"),
)


@dataclass(frozen=True, slots=True)
class Repro:
    """One answer that could not be parsed, its row, and what was said of it.

    The answer is the `body`, or the one that the cache keeps by `request_key`; neither where it was too large. Behind
    an annotator that asks, the so-manieth of the job by `stage`, the `body` has the records as that has left them.
    `values` are what the row offers, each with the name of its kind where JSON has none for it. `at` is in epoch
    seconds.
    """

    row_key: str
    reason: str
    trace: str
    at: float
    values: dict[str, tuple[str, object]]
    content_type: str
    request_key: str = ""
    body: bytes | None = None
    parse_part: str = ""
    stage: int = 0
    versions: dict[str, str] = field(default_factory=dict)


def values_kept(values: Mapping[str, Value]) -> dict[str, tuple[str, object]]:
    """A row's values as JSON can hold them."""
    return {name: (_kind(value), value) for name, value in values.items()}


def values_of(repro: Repro) -> dict[str, Value]:
    """A row's values as they were."""
    return {name: _value(kind, value) for name, (kind, value) in repro.values.items()}


def as_text(repro: Repro) -> str:
    """As JSON, in which halves of characters have a form."""
    return json.dumps(msgspec.to_builtins(repro))


def from_text(text: str) -> Repro:
    """Raises ValueError or `msgspec.ValidationError` for a text that is none."""
    return msgspec.convert(json.loads(text), Repro)


@cache
def versions() -> dict[str, str]:
    """Of Python, and of the packages that parsing may go through."""
    from importlib import metadata  # it is slow to import, and most runs have no failure

    found = {"python": platform.python_version(), "system": platform.platform()}
    for package in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


class Repros:
    """The repros of a job, in a folder that is made with the first of them. A run keeps those of its first failures."""

    def __init__(self, state: Path, secrets: frozenset[str] = frozenset()) -> None:
        self._folder = state / "repros"
        self._secrets = secrets
        self._kept = 0
        self._one_at_a_time = asyncio.Lock()

    @property
    def has_room(self) -> bool:
        """Whether this run keeps more of them; to make one takes a while."""
        return self._kept < MOST_FILES

    async def keep(self, repro: Repro) -> None:
        """Write it down, in place of an older one of the row. Raises `DiskFailed`."""
        async with self._one_at_a_time:
            if self.has_room:
                self._kept += 1
                await asyncio.to_thread(self._write, repro)

    def of(self, row_key: str) -> Repro | None:
        """What is kept of a row."""
        return _read(self._file(row_key))

    def prune(self, ledger: LedgerView) -> None:
        """Remove those of rows that are no failure any more."""
        found = {file: _read(file) for file in self._files()}
        standings = ledger.standings([repro.row_key for repro in found.values() if repro])
        for file, repro in found.items():
            if repro is None or repro.row_key not in standings or standings[repro.row_key].state not in FAILED:
                file.unlink(missing_ok=True)

    def _write(self, repro: Repro) -> None:
        text = redacted(as_text(repro), self._secrets)
        file = self._file(repro.row_key)
        draft = file.with_suffix(".draft")
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            with open(draft, "w", encoding="utf-8", opener=_for_the_owner) as written:
                written.write(text)
            draft.replace(file)
            self._make_room()
        except OSError as error:
            raise DiskFailed(f"{file}: {error}") from error

    def _make_room(self) -> None:
        files = self._files()
        size = sum(file.stat().st_size for file in files)
        while len(files) > MOST_FILES or size > MOST_BYTES:
            oldest = files.pop(0)
            size -= oldest.stat().st_size
            oldest.unlink()

    def _files(self) -> list[Path]:
        """Those that there are, the oldest first."""
        if not self._folder.is_dir():
            return []
        return sorted(self._folder.iterdir(), key=lambda file: file.stat().st_mtime_ns)

    def _file(self, row_key: str) -> Path:
        return self._folder / f"{hashlib.sha256(row_key.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}.json"


def _read(file: Path) -> Repro | None:
    with suppress(FileNotFoundError, ValueError, msgspec.ValidationError):
        return from_text(file.read_text())
    return None


def _for_the_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _kind(value: Value) -> str:
    return "datetime" if isinstance(value, datetime) else "date" if isinstance(value, date) else ""


def _value(kind: str, value: object) -> Value:
    match kind:
        case "date":
            return date.fromisoformat(str(value))
        case "datetime":
            return datetime.fromisoformat(str(value))
    return value  # type: ignore[return-value]  # JSON gives no other kinds
