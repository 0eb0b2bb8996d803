"""Many records at once: annotated, made into lines, told apart. Pure; runs in a worker process.

Each stands for itself: one that an annotator cannot take, or that is no JSON, costs no other.
"""

import hashlib
import time
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from fetcher.annotate.frames import ByFrame
from fetcher.annotate.lookups import Lookup
from fetcher.annotate.steps import ByRules, Step, annotate_each
from fetcher.annotate.steps import load as load_steps
from fetcher.errors import Quarantined
from fetcher.parse.lines import Lines
from fetcher.provenance import lasting
from fetcher.read.keys import digests_of
from fetcher.tabular.lines import Cells


@dataclass(frozen=True, slots=True)
class Labelling:
    """What is done with each record: the annotators in their order. `key` are the fields that tell records apart."""

    steps: tuple[Step, ...]
    key: tuple[str, ...] = ()

    @property
    def may_take_long(self) -> bool:
        """Whether one record may take longer than the loop can wait for."""
        return any(step.may_take_long for step in self.steps)

    @property
    def is_heavy(self) -> bool:
        """Whether a record is likely to take longer than to read its row."""
        return not all(isinstance(step.by, ByRules | Lookup) for step in self.steps)

    @property
    def has_frames(self) -> bool:
        """Whether there is work that is worth the more records it has at once."""
        return any(isinstance(step.by, ByFrame) for step in self.steps)


@dataclass(frozen=True, slots=True)
class Lot:
    """Records as JSON lines, or by their cells. `is_singly` where a worker was lost to one of them and left no word of
    which: then it is told by being at it alone."""

    lines: bytes = b""
    cells: Cells | None = None
    is_singly: bool = False

    def records(self) -> list[dict[str, Any]]:
        """Each of them, to be added to."""
        if self.cells:
            return self.cells.values()
        return msgspec.json.Decoder(dict[str, Any]).decode_lines(self.lines)


@dataclass(frozen=True, slots=True)
class Labelled:
    """The lines of records, without those that `failed`: {place among all that came: why}.

    `digests` are 32 bytes a line, the SHA-256 of what lasts of it; `record_keys` 16 a line, where there is a key.
    `row_digests` are 16 bytes for all that came by cells, which tell rows apart.
    """

    lines: bytes = b""
    digests: bytes = b""
    record_keys: bytes = b""
    row_digests: bytes = b""
    failed: dict[int, str] = field(default_factory=dict)
    took_s: float = 0.0

    def followed_by(self, other: "Labelled", records: int) -> "Labelled":
        """What came of two parts, the first of so many records."""
        failed = self.failed | {records + place: why for place, why in other.failed.items()}
        keys = self.record_keys + other.record_keys
        took_s = self.took_s + other.took_s
        return Labelled(self.lines + other.lines, self.digests + other.digests, keys, failed=failed, took_s=took_s)

    def without(self, place: int, why: str) -> "Labelled":
        """What came of the others, where one more record failed at that place."""
        failed = {other + (other >= place): told for other, told in self.failed.items()}
        return replace(self, failed=failed | {place: why})


def label(labelling: Labelling, lot: Lot) -> Labelled:
    """Records in, JSON lines with what annotators have added out. Raises `JobError`."""
    began = time.monotonic()
    records = lot.records()
    row_digests = digests_of(records) if lot.cells else b""
    failed = annotate_each(labelling.steps, records, is_singly=lot.is_singly)
    written = Lines(labelling.key)
    try:
        written.add([record for place, record in enumerate(records) if place not in failed])
    except Quarantined:
        failed |= _unwritable(labelling, records, failed)
        written = Lines(labelling.key)
        written.add([record for place, record in enumerate(records) if place not in failed])
    lasts = lasting(bytes(written.lines)).splitlines(keepends=True)
    digests = b"".join(hashlib.sha256(line).digest() for line in lasts)
    took_s = time.monotonic() - began
    return Labelled(bytes(written.lines), digests, bytes(written.keys), row_digests, failed, took_s)


def load(labelling: Labelling) -> None:
    """Import the job's own functions. Raises `JobError` where a file of theirs cannot be run."""
    load_steps(labelling.steps)


def _unwritable(labelling: Labelling, records: list[dict[str, object]], failed: dict[int, str]) -> dict[int, str]:
    """{place: why} of the records that are no lines."""
    found = {}
    for place, record in enumerate(records):
        if place not in failed:
            try:
                Lines(labelling.key).add([record])
            except Quarantined as error:
                found[place] = str(error)
    return found
