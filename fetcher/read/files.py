"""Files that are rows, each under its path below the folder where the pattern begins. In order of their paths, however
many there are; what cannot be looked at, or has no name in UTF-8, is a row that could not be read."""

import hashlib
import heapq
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from fetcher.job.files import FilesPath
from fetcher.model import Row, Value
from fetcher.read.keys import digest_of_text, part_of

NAMES_AT_ONCE = 50_000
"""A larger folder is gone through several times, so that memory does not grow with it: a million names take seconds."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Entry(NamedTuple):
    """Something below the root. `after` are the parts of the pattern that may follow, for a folder alone."""

    name: str
    path: str
    after: frozenset[int] | None = None
    fault: str = ""


def file_rows(pattern: FilesPath) -> Iterator[Row]:
    """The files of a pattern, as they are now."""
    root = str(pattern.root)
    for entry in _walked(pattern):
        row = _bad_row(entry.path, entry.fault) if entry.fault else _row_of(root, entry.path)
        if row:
            yield row


def _walked(pattern: FilesPath) -> Iterator[_Entry]:
    """Files and faults, folder by folder. Without recursion: folders may lie deeper than Python calls."""
    below = [_listed(pattern, "", pattern.begin)]
    while below:
        entry = next(below[-1], None)
        if entry is None:
            below.pop()
        elif entry.after is None:
            yield entry
        else:
            below.append(_listed(pattern, entry.path, entry.after))


def _listed(pattern: FilesPath, folder: str, places: frozenset[int]) -> Iterator[_Entry]:
    """What the pattern wants of one folder, in order of name."""
    last = ""
    while True:
        try:
            with os.scandir(pattern.root / folder) as found:
                later = (entry for entry in found if entry.name > last)
                wanted = (_wanted(pattern, folder, places, entry) for entry in later)
                entries = heapq.nsmallest(NAMES_AT_ONCE, filter(None, wanted))
        except FileNotFoundError:
            return  # it was there when the folder above was listed, and is nobody's any more
        except OSError as error:
            yield _Entry("", folder, fault=f"its files cannot be listed: {error.strerror}")
            return
        yield from entries
        if len(entries) < NAMES_AT_ONCE:
            return
        last = entries[-1].name


def _wanted(pattern: FilesPath, folder: str, places: frozenset[int], found: "os.DirEntry[str]") -> _Entry | None:
    after, end = pattern.after(places, found.name), len(pattern.parts)
    if not after:
        return None
    path = f"{folder}/{found.name}" if folder else found.name
    if found.is_dir(follow_symlinks=False):
        return _Entry(found.name, path, after) if after - {end} else None
    return _Entry(found.name, path) if end in after else None


def _row_of(root: str, path: str) -> Row | None:
    """A file as a row; None for what is no file, or none any more."""
    whole = os.path.join(root, path)  # noqa: PTH118  (a million of them: pathlib takes five times as long)
    try:
        path.encode()
        told = os.lstat(whole)
        if stat.S_ISLNK(told.st_mode):
            told = os.stat(whole)  # noqa: PTH116
            if stat.S_ISREG(told.st_mode) and not os.path.realpath(whole).startswith(os.path.join(root, "")):  # noqa: PTH118
                return _bad_row(path, "is a link that leads out of the folder")
    except UnicodeEncodeError:
        return _bad_row(path, "has a name that is no text (UTF-8); rename it")
    except FileNotFoundError:
        return _bad_row(path, "is a link that leads nowhere") if os.path.islink(whole) else None  # noqa: PTH114
    except OSError as error:
        return _bad_row(path, f"cannot be read: {error.strerror}")
    if not stat.S_ISREG(told.st_mode):
        return None
    key = "/".join(map(part_of, path.split("/")))
    return Row(key, _values(whole, path, told), first_day=-1, last_day=_content_of(told))


def _values(whole: str, path: str, told: os.stat_result) -> dict[str, Value]:
    folder, _, name = path.rpartition("/")
    point = name.rfind(".")
    stem, suffix = (name[:point], name[point:]) if point > 0 else (name, "")
    return {
        "path": whole,
        "name": name,
        "stem": stem,
        "suffix": suffix,
        "folder": folder or ".",
        "size": told.st_size,
        "modified": _moment(told.st_mtime_ns),
    }


def _moment(nanoseconds: int) -> datetime | None:
    """When a file was changed; None for a time that no calendar has, which a file system can hold."""
    try:
        return EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return None


def _content_of(told: os.stat_result) -> int:
    """What changes whenever the file does, without a look into it."""
    digest = hashlib.blake2b(f"{told.st_size} {told.st_mtime_ns}".encode(), digest_size=7).digest()
    return int.from_bytes(digest, "little") + 1


def _bad_row(path: str, fault: str) -> Row:
    shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return Row(f"bad-{digest_of_text(path).hex()}", {}, fault=f"{shown or 'the folder'}: {fault}")
