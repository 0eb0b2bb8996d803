"""The few things that writing asks of a file system, each one call, so that a model of a power cut can stand in."""

import asyncio
import ctypes
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import aiofiles

BLOCK_BYTES = 1 << 20


class OpenFile(Protocol):
    """A file that only grows."""

    async def append(self, data: bytes) -> None:
        """Write all of `data` behind the end, or raise OSError."""

    async def sync(self) -> None:
        """Return when what was appended would survive a power cut."""

    async def close(self) -> None:
        """Give the file back."""


class Disk(Protocol):
    """A file system. Folder changes survive a power cut after `sync_folder`. All raise OSError."""

    async def create(self, path: Path) -> OpenFile:
        """A new file, 0600; FileExistsError where there is one."""

    async def reopen(self, path: Path) -> OpenFile:
        """An existing file, to grow on from its end."""

    def truncate(self, path: Path, length: int) -> None:
        """Cut a file, durably."""

    def link(self, path: Path, name: Path) -> None:
        """Give a file a second name; FileExistsError where that is taken."""

    def replace(self, path: Path, name: Path) -> None:
        """Give a file another name, over whatever has it."""

    def unlink(self, path: Path) -> None:
        """Take a name away."""

    def sync_folder(self, folder: Path) -> None:
        """Make the folder's names durable."""

    def sync_all(self, folder: Path) -> None:
        """Make durable what lies in and below the folder, and whatever else its file system has. One that is not there
        has nothing."""

    def size(self, path: Path) -> int | None:
        """Bytes, or None where there is no such file."""

    def same(self, path: Path, other: Path) -> bool:
        """Whether two names are one file."""

    def names(self, folder: Path) -> list[str]:
        """What is in a folder."""

    def blocks(self, path: Path, length: int) -> Iterator[bytes]:
        """The first `length` bytes, a piece at a time."""


class RealFile:
    """A file on this machine, written through aiofiles without a buffer of its own."""

    def __init__(self, handle: Any) -> None:  # aiofiles' classes are typed by mode; raw append has no public name
        self._handle = handle

    async def append(self, data: bytes) -> None:
        """Write all of `data`: a raw write may take only a part, as on a disk that is nearly full."""
        rest = memoryview(data)
        while rest:
            rest = rest[await self._handle.write(rest) :]

    async def sync(self) -> None:
        """One fsync in a thread; its failure is final."""
        await asyncio.to_thread(os.fsync, self._handle.fileno())

    async def close(self) -> None:
        """Close the file."""
        await self._handle.close()


class RealDisk:
    """The file system of this machine."""

    async def create(self, path: Path) -> RealFile:
        """A new file with mode 0600 whatever the umask is."""
        handle = await aiofiles.open(path, "xb", buffering=0, opener=open_private)
        os.fchmod(handle.fileno(), 0o600)
        return RealFile(handle)

    async def reopen(self, path: Path) -> RealFile:
        """Opened for append, so that nothing before its end can be written over."""
        return RealFile(await aiofiles.open(path, "ab", buffering=0, opener=open_existing))

    def truncate(self, path: Path, length: int) -> None:
        """ftruncate and fsync."""
        with path.open("r+b") as file:
            file.truncate(length)
            os.fsync(file.fileno())

    def link(self, path: Path, name: Path) -> None:
        """A hard link never replaces a file, a rename would."""
        os.link(path, name)

    def replace(self, path: Path, name: Path) -> None:
        """A rename: readers see the old file or the new one."""
        path.replace(name)

    def unlink(self, path: Path) -> None:
        """Remove a name."""
        path.unlink()

    def sync_folder(self, folder: Path) -> None:
        """fsync of the folder itself."""
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(number)
        finally:
            os.close(number)

    def sync_all(self, folder: Path) -> None:
        """syncfs; where the system has none, sync."""
        try:
            number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return
        try:
            library = ctypes.CDLL(None, use_errno=True)
            if not hasattr(library, "syncfs"):
                os.sync()
            elif library.syncfs(number):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
        finally:
            os.close(number)

    def size(self, path: Path) -> int | None:
        """From stat, links not followed."""
        try:
            return path.lstat().st_size
        except FileNotFoundError:
            return None

    def same(self, path: Path, other: Path) -> bool:
        """By device and inode."""
        return path.samefile(other)

    def names(self, folder: Path) -> list[str]:
        """Sorted, without `.` and `..`."""
        return sorted(entry.name for entry in os.scandir(folder))

    def blocks(self, path: Path, length: int) -> Iterator[bytes]:
        """Reads at most a megabyte at a time."""
        with path.open("rb") as file:
            while length > 0 and (block := file.read(min(BLOCK_BYTES, length))):
                length -= len(block)
                yield block


def open_private(path: str, flags: int) -> int:
    """For `opener=`: nobody but the owner may read what is being written; a link planted at the name is refused."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def open_existing(path: str, flags: int) -> int:
    """For `opener=`: append mode would make a file that is not there."""
    return os.open(path, (flags & ~os.O_CREAT) | os.O_NOFOLLOW)


def sha256_of(disk: Disk, path: Path, length: int) -> "hashlib._Hash":
    """The running hash over the first `length` bytes, to be carried on."""
    digest = hashlib.sha256()
    for block in disk.blocks(path, length):
        digest.update(block)
    return digest
