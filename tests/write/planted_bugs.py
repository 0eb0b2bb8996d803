"""Bugs of the commit protocol, each a function that plants one into the real code."""

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest

from fetcher.model import MAIN, SegmentState
from fetcher.write import rotation, segments, settling, whole, writer
from fetcher.write.segments import GrowingSegment, Layout, published_of
from fetcher.write.series import Series
from tests.write.histories import FOLDER, STATE, ModelLedger
from tests.write.planting import But, Plant, on
from tests.write.power_loss import Change
from tests.write.side_tables import TABLES


def no_data_fsync(plant: Plant) -> None:
    """The ledger vouches for bytes that were never synced."""

    async def sync(file: Any) -> None:
        plant.ran()

    plant.durable(sync)


def ledger_before_data(plant: Plant) -> None:
    """The bytes are synced, after the ledger has vouched for them."""
    late: list[Any] = []

    async def sync(file: Any) -> None:
        late.append(file)

    def make(real: Any) -> Any:
        async def commit(self: Any, *arguments: Any) -> None:
            late.clear()
            await real(self, *arguments)
            for file in late:
                plant.ran()
                await file.sync()

        return commit

    plant.durable(sync)
    plant.method(writer.Writer, "_commit", make)


def seal_before_fsync(plant: Plant) -> None:
    """The open segment is synced; the last batch of a sealed one is not."""

    async def sync(file: Any) -> None:
        plant.ran()

    plant.durable(sync, only_sealed=True)


def fsync_retried(plant: Plant) -> None:
    """The second fsync says that all is well."""

    async def sync(file: Any) -> None:
        try:
            await file.sync()
        except OSError:
            plant.ran()
            await file.sync()

    plant.durable(sync)


def failed_fsync_swallowed(plant: Plant) -> None:
    """An error is logged, and the commit goes on."""

    async def sync(file: Any) -> None:
        try:
            await file.sync()
        except OSError:
            plant.ran()

    plant.durable(sync)


def rows_before_segment(plant: Plant) -> None:
    """Rows are settled in one transaction, their bytes vouched for in the next."""

    def make(real: Any) -> Any:
        def commit(self: Any, rows: Any, held: Any) -> None:
            if rows:
                plant.ran()
                real(self, rows, ())
            real(self, (), held)

        return commit

    plant.method(ModelLedger, "commit", make)


def segment_before_rows(plant: Plant) -> None:
    """Bytes are vouched for in one transaction, their rows settled in the next."""

    def make(real: Any) -> Any:
        def commit(self: Any, rows: Any, held: Any) -> None:
            if rows:
                plant.ran()
            real(self, (), held)
            if rows:
                real(self, rows, ())

        return commit

    plant.method(ModelLedger, "commit", make)


def published_too_early(plant: Plant) -> None:
    """The ledger calls a segment published when it is sealed."""

    def make(real: Any) -> Any:
        async def durable(growing: Any, is_sealed: bool) -> Any:
            segment = await real(growing, is_sealed)
            if is_sealed:
                plant.ran()
                segment = dataclasses.replace(segment, state=SegmentState.PUBLISHED)
            return segment

        return durable

    plant.method(GrowingSegment, "durable", make)


def no_folder_fsync_at_create(plant: Plant) -> None:
    """The bytes are durable, their name is not."""
    plant.step("begin", lambda layout: {"sync_folder": lambda folder: plant.ran()})


def no_folder_fsync_at_publish(plant: Plant) -> None:
    """The old name goes, the new one was never made durable."""

    def otherwise(layout: Layout) -> dict[str, Any]:
        def sync_folder(folder: Path) -> None:
            if folder == FOLDER:
                plant.ran()
            else:
                layout.disk.sync_folder(folder)

        return {"sync_folder": sync_folder}

    plant.step("publish", otherwise)


def unlinked_before_folder_fsync(plant: Plant) -> None:
    """Both folders are synced, in the wrong order."""

    def otherwise(layout: Layout) -> dict[str, Any]:
        def sync_folder(folder: Path) -> None:
            if folder == STATE:
                plant.ran()
                layout.disk.sync_folder(STATE)
                layout.disk.sync_folder(FOLDER)

        return {"sync_folder": sync_folder}

    plant.step("publish", otherwise)


def published_over_a_file(plant: Plant) -> None:
    """A rename instead of a link: what had the name is gone."""

    def otherwise(layout: Layout) -> dict[str, Any]:
        def link(path: Path, name: Path) -> None:
            if layout.disk.size(name) is not None:
                plant.ran()
                layout.disk.unlink(name)
            layout.disk.link(path, name)

        def size(path: Path) -> int | None:
            table, number = published_of(path.name, [MAIN, *TABLES]) or (MAIN, 0)
            is_waiting = layout.disk.size(layout.open_path(number, table)) is not None
            return None if path.parent == FOLDER and is_waiting else layout.disk.size(path)

        return {"link": link, "size": size}

    plant.step("publish", otherwise)


def published_by_copying(plant: Plant) -> None:
    """A reader sees the copy while it grows."""

    def otherwise(layout: Layout) -> dict[str, Any]:
        disk: Any = layout.disk

        def link(path: Path, name: Path) -> None:
            plant.ran()
            disk.plant(name, disk.read(path)[:-9])
            disk.sync_folder(FOLDER)
            disk.take_away(name)
            disk.link(path, name)

        return {"link": link}

    plant.step("publish", otherwise)


def sealed_not_published_again(plant: Plant) -> None:
    """Recovery leaves alone what was sealed and not published."""
    real = segments.recover

    def leave(layout: Layout, segment: Any) -> Any:
        plant.ran()
        return segment

    def recover(*arguments: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(segments, "publish", leave)
            return real(*arguments)

    plant.function("recover", recover)


def tail_not_cut(plant: Plant) -> None:
    """New records follow on a tail that nobody vouches for."""
    plant.step("recover", lambda layout: {"truncate": lambda path, length: plant.ran()})


def stray_file_kept(plant: Plant) -> None:
    """A segment that the ledger does not know stays, and its number is wanted again."""
    plant.step("recover", lambda layout: {"unlink": lambda path: plant.ran()})


def stray_file_grown_on(plant: Plant) -> None:
    """It stays, and the new segment is opened without asking whether there is one."""

    def otherwise(layout: Layout) -> dict[str, Any]:
        async def create(path: Path) -> Any:
            try:
                return await layout.disk.create(path)
            except FileExistsError:
                plant.ran()
                return await layout.disk.reopen(path)

        return {"create": create}

    plant.step("recover", lambda layout: {"unlink": lambda path: None})
    plant.step("begin", otherwise)


def written_from_the_start(plant: Plant) -> None:
    """An open segment that is carried on is written from offset 0."""

    def otherwise(layout: Layout) -> dict[str, Any]:
        async def reopen(path: Path) -> Any:
            file: Any = await layout.disk.reopen(path)
            written = 0

            async def append(data: bytes) -> None:
                nonlocal written
                plant.ran()
                file.inode.change(Change(written, bytes(data)))
                written += len(data)

            return But(file, append=append)

        return {"reopen": reopen}

    plant.step("carry_on", otherwise)


def hash_begun_anew(plant: Plant) -> None:
    """After recovery the hash is that of the new bytes only."""
    real = segments.carry_on

    async def carry_on(layout: Layout, segment: Any) -> Any:
        plant.ran()
        growing = await real(layout, segment)
        growing._digest = hashlib.sha256()
        return growing

    plant.function("carry_on", carry_on)


def record_cut_in_two(plant: Plant) -> None:
    """A segment is filled to the last byte."""
    real = rotation.cut

    def cut(limits: Any, lines: bytes, records: int, segment: Any) -> tuple[int, int]:
        taken, count = real(limits, lines, records, segment)
        if 0 < taken < len(lines):
            plant.ran()
            taken -= 2
        return taken, count

    plant.function("cut", cut)


def number_used_again(plant: Plant) -> None:
    """The next number is that of the last segment."""

    def make(real: Any) -> Any:
        async def carry_on(self: Any) -> None:
            await real(self)
            if self._next_number > 1 and self._growing is None:
                plant.ran()
                self._next_number -= 1

        return carry_on

    plant.method(Series, "carry_on", make)


def length_before_packing(plant: Plant) -> None:
    """The ledger counts the bytes of the lines, the file holds the packed ones."""

    def make(real: Any) -> Any:
        async def append(growing: Any, lines: bytes, records: int) -> None:
            before = growing.segment.length
            await real(growing, lines, records)
            if growing.segment.length != before + len(lines):
                plant.ran()
                growing.segment = dataclasses.replace(growing.segment, length=before + len(lines))

        return append

    plant.method(GrowingSegment, "append", make)


def revision_overwrites_nothing(plant: Plant) -> None:
    """A row that answers otherwise keeps the range of its old records."""
    real = settling.settled

    def settled(outcome: Any, known: Any, now: float) -> Any:
        row, fresh = real(outcome, known, now)
        if row.superseded:
            plant.ran()
            first, records = row.superseded
            row = dataclasses.replace(row, standing=row.standing._replace(first_record=first, records=records))
        return row, fresh

    plant.function("settled", settled)


def manifest_without_fsync(plant: Plant) -> None:
    """The manifest takes its name before its bytes are durable."""
    real = whole.replace_whole

    async def replace_whole(layout: Layout, name: str, pieces: Any) -> None:
        async def create(path: Path) -> Any:
            async def sync() -> None:
                plant.ran()

            return But(await layout.disk.create(path), sync=sync)

        await real(on(layout, create=create), name, pieces)

    plant.function("replace_whole", replace_whole)


BUGS = [
    length_before_packing,
    revision_overwrites_nothing,
    manifest_without_fsync,
    no_data_fsync,
    ledger_before_data,
    seal_before_fsync,
    fsync_retried,
    failed_fsync_swallowed,
    rows_before_segment,
    segment_before_rows,
    published_too_early,
    no_folder_fsync_at_create,
    no_folder_fsync_at_publish,
    unlinked_before_folder_fsync,
    published_over_a_file,
    published_by_copying,
    sealed_not_published_again,
    tail_not_cut,
    stray_file_kept,
    stray_file_grown_on,
    written_from_the_start,
    hash_begun_anew,
    record_cut_in_two,
    number_used_again,
]
