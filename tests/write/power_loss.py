"""A disk in memory that can lose its power: it keeps what fsync promised, and of the rest whatever chance leaves.

What lives here: what a POSIX file system promises, and nothing more. What it must not know: the writer.

    bytes     durable after `sync` of the file, whatever its names are
    names     durable after `sync_folder` of their folder, whatever the bytes are
    the rest  each unsynced write by itself is kept, lost, torn, zeroed or garbage; each unsynced name is there or not

After a failed fsync the bytes can still be read, but count as written: no later fsync makes them durable. A folder's
fsync that fails leaves its names unsynced: a file system that cannot write its journal stops, it does not forget.
"""

import errno
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

PIECES = 3
PIECE_FATES = ("kept", "lost", "torn", "zeroed", "garbage")


class PowerCut(BaseException):
    """The process ends here and now: nothing may catch it, so it is no Exception."""


@dataclass(slots=True)
class Change:
    """One write at an offset; without data, a cut at that length."""

    offset: int
    data: bytes | None
    is_durable: bool = False
    is_forgotten: bool = False

    def apply(self, content: bytearray) -> None:
        """Bytes that were never written read as zeroes."""
        if self.data is None:
            del content[self.offset :]
            return
        content.extend(bytes(max(0, self.offset - len(content))))
        content[self.offset : self.offset + len(self.data)] = self.data


@dataclass(slots=True, eq=False)
class Inode:
    """One file: `content` is what processes read, `durable` with the `changes` since is what the platters may hold."""

    content: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    changes: list[Change] = field(default_factory=list)

    def change(self, change: Change) -> None:
        """Seen at once by every process, durable later."""
        change.apply(self.content)
        self.changes.append(change)

    def sync(self) -> None:
        """What a good fsync does: all is durable but what an earlier one failed to write."""
        for change in self.changes:
            change.is_durable = change.is_durable or not change.is_forgotten
        if not any(change.is_forgotten for change in self.changes):
            self.durable = bytes(self.content)
            self.changes.clear()

    def fail_sync(self) -> None:
        """The kernel reports the error once and marks the pages clean. A cut is in the journal and stays pending."""
        for change in self.changes:
            change.is_forgotten = change.is_forgotten or (change.data is not None and not change.is_durable)

    def lose_power(self, chance: random.Random, keeping: float) -> None:
        """Roll the dice for all that is not durable, a few pieces to each write."""
        content = bytearray(self.durable)
        for change in self.changes:
            if change.is_durable:
                change.apply(content)
            elif change.data is None:
                if chance.random() < keeping:
                    change.apply(content)
            elif not change.is_forgotten or chance.random() < 0.1:
                for piece in pieces(change, chance):
                    survive(piece, content, chance, keeping)
        self.content, self.durable = content, bytes(content)
        self.changes.clear()


def pieces(change: Change, chance: random.Random) -> Iterator[Change]:
    """A write reaches the platters in parts, in any order."""
    data = change.data or b""
    ends = sorted({len(data), *(chance.randint(1, len(data)) for _ in range(chance.randrange(PIECES)) if data)})
    start = 0
    for end in ends:
        yield Change(change.offset + start, data[start:end])
        start = end


def survive(piece: Change, content: bytearray, chance: random.Random, keeping: float) -> None:
    """Apply what is left of one piece. A later piece without an earlier one leaves a hole of zeroes."""
    data = piece.data or b""
    match "kept" if chance.random() < keeping else chance.choice(PIECE_FATES):
        case "lost":
            return
        case "torn":
            data = data[: chance.randint(0, len(data))]
        case "zeroed":
            data = bytes(len(data))
        case "garbage":
            data = chance.randbytes(len(data))
    Change(piece.offset, data).apply(content)


@dataclass(slots=True)
class Folder:
    """`names` is what processes see, `durable` with the `changes` since (None: a removal) what may be left."""

    names: dict[str, Inode] = field(default_factory=dict)
    durable: dict[str, Inode] = field(default_factory=dict)
    changes: list[tuple[str, Inode | None]] = field(default_factory=list)

    def change(self, name: str, inode: Inode | None) -> None:
        """Seen at once by every process, durable later."""
        apply_name(self.names, name, inode)
        self.changes.append((name, inode))

    def sync(self) -> None:
        """What a good fsync of the folder does."""
        self.durable = dict(self.names)
        self.changes.clear()

    def lose_power(self, chance: random.Random, keeping: float) -> None:
        """Any subset of the unsynced changes has happened."""
        for name, inode in self.changes:
            if chance.random() < keeping:
                apply_name(self.durable, name, inode)
        self.names = dict(self.durable)
        self.changes.clear()


def apply_name(names: dict[str, Inode], name: str, inode: Inode | None) -> None:
    """Add a name, or take it away."""
    if inode is None:
        names.pop(name, None)
    else:
        names[name] = inode


class ModelDisk:
    """A `Disk` in memory. `before` is called with the name and the path of each operation that changes anything.

    `before` may raise PowerCut, or OSError: that operation then fails as it would on a disk (a part of the bytes
    written, pages forgotten).
    """

    def __init__(self, before: Callable[[str, Path], None]) -> None:
        self._before = before
        self._folders: dict[str, Folder] = {}

    def lose_power(self, chance: random.Random) -> None:
        """Leave what a power cut might leave. Call it when the process is gone."""
        keeping = chance.choice((0.0, 0.3, 0.7, 1.0))
        inodes = {id(inode): inode for folder in self._folders.values() for inode in self._inodes_of(folder)}
        for inode in inodes.values():
            inode.lose_power(chance, keeping)
        keeping = chance.choice((0.0, 0.5, 0.5, 1.0))
        for folder in self._folders.values():
            folder.lose_power(chance, keeping)

    @staticmethod
    def _inodes_of(folder: Folder) -> Iterator[Inode]:
        yield from folder.names.values()
        yield from folder.durable.values()
        yield from (inode for _, inode in folder.changes if inode)

    def read(self, path: Path) -> bytes:
        """What a process reads there now."""
        return bytes(self._inode(path).content)

    def files(self, folder: Path) -> Iterator[tuple[str, bytearray]]:
        """What a process sees of a folder now: each name with what it reads there."""
        for name, inode in self._folder(folder).names.items():
            yield name, inode.content

    def plant(self, path: Path, content: bytes) -> None:
        """Somebody else has put a file there, durably."""
        folder, inode = self._folder(path.parent), Inode(bytearray(content), content)
        folder.names[path.name] = folder.durable[path.name] = inode

    def take_away(self, path: Path) -> None:
        """Somebody else has removed a file, durably."""
        folder = self._folder(path.parent)
        del folder.names[path.name], folder.durable[path.name]

    def _folder(self, path: Path) -> Folder:
        found = self._folders.get(key := str(path))
        if found is None:
            found = self._folders[key] = Folder()
        return found

    def _inode(self, path: Path) -> Inode:
        if (inode := self._folder(path.parent).names.get(path.name)) is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return inode

    def _add(self, path: Path, inode: Inode) -> None:
        if path.name in self._folder(path.parent).names:
            raise FileExistsError(errno.EEXIST, "File exists", str(path))
        self._folder(path.parent).change(path.name, inode)

    # From here on as `fetcher.write.disk.Disk` says.

    async def create(self, path: Path) -> "ModelFile":
        self._before("create", path)
        inode = Inode()
        self._add(path, inode)
        return ModelFile(path, inode, self._before)

    async def reopen(self, path: Path) -> "ModelFile":
        return ModelFile(path, self._inode(path), self._before)

    def truncate(self, path: Path, length: int) -> None:
        inode = self._inode(path)
        self._before("truncate", path)
        inode.content.extend(bytes(max(0, length - len(inode.content))))
        inode.change(Change(length, None))
        sync_inode(path, inode, self._before)

    def link(self, path: Path, name: Path) -> None:
        self._before("link", name)
        self._add(name, self._inode(path))

    def replace(self, path: Path, name: Path) -> None:
        self._before("replace", name)
        self._folder(name.parent).change(name.name, self._inode(path))
        self._folder(path.parent).change(path.name, None)

    def unlink(self, path: Path) -> None:
        self._before("unlink", path)
        self._inode(path)
        self._folder(path.parent).change(path.name, None)

    def sync_folder(self, folder: Path) -> None:
        self._before("sync_folder", folder)
        self._folder(folder).sync()

    def sync_all(self, folder: Path) -> None:
        self._before("sync_all", folder)
        self._folder(folder).sync()

    def size(self, path: Path) -> int | None:
        inode = self._folder(path.parent).names.get(path.name)
        return None if inode is None else len(inode.content)

    def same(self, path: Path, other: Path) -> bool:
        return self._inode(path) is self._inode(other)

    def names(self, folder: Path) -> list[str]:
        return sorted(self._folder(folder).names)

    def blocks(self, path: Path, length: int) -> Iterator[bytes]:
        yield bytes(self._inode(path).content[:length])


class ModelFile:
    """An `OpenFile` of a ModelDisk."""

    def __init__(self, path: Path, inode: Inode, before: Callable[[str, Path], None]) -> None:
        self.path = path
        self.inode = inode
        self._before = before

    async def append(self, data: bytes) -> None:
        try:
            self._before("append", self.path)
        except OSError:
            self.inode.change(Change(len(self.inode.content), bytes(data[: len(data) // 2])))
            raise
        self.inode.change(Change(len(self.inode.content), bytes(data)))

    async def sync(self) -> None:
        sync_inode(self.path, self.inode, self._before)

    async def close(self) -> None:
        """Closing promises nothing."""


def sync_inode(path: Path, inode: Inode, before: Callable[[str, Path], None]) -> None:
    """fsync of a file."""
    try:
        before("sync", path)
    except OSError:
        inode.fail_sync()
        raise
    inode.sync()
