"""`[read.files]`: rows that are files, by a folder or a pattern."""

import fnmatch
import itertools
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Annotated

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema

from fetcher.job.section import Section
from fetcher.job.wording import shown

FILE_SLOTS = ("path", "name", "stem", "suffix", "folder", "size", "modified")
_WILD = frozenset("*?[")
_DEEP = "**"
_A_PATH = "expected a folder such as 'photos' or a pattern such as 'photos/**/*.jpg'"


@dataclass(frozen=True, slots=True)
class FilesPath:
    """The folder where a pattern begins, and its parts below: each a name or a pattern of one, or `**` for any number
    of folders. Names that begin with a point are meant only by parts that do."""

    root: Path
    parts: tuple[str, ...]

    @property
    def begin(self) -> frozenset[int]:
        """The numbers of the parts that the first name below the root may be."""
        return self._with_deep({0})

    def after(self, places: frozenset[int], name: str) -> frozenset[int]:
        """The parts that may follow where one of `places` was `name`; their number is the end of the pattern."""
        found = set()
        for place in places - {len(self.parts)}:
            part = self.parts[place]
            if name.startswith(".") and not part.startswith("."):
                continue
            if part == _DEEP:
                found.add(place)
            elif fnmatch.fnmatchcase(name, part):
                found.add(place + 1)
        return self._with_deep(found)

    def reaches(self, folder: Path, suffix: str) -> bool:
        """Whether files with that suffix, in or below a folder, may be among those that are meant."""
        if not folder.is_relative_to(self.root):
            return False
        places = self.begin
        for name in folder.relative_to(self.root).parts:
            places = self.after(places, name)
        wanted = PurePath(self.parts[-1]).suffix
        return bool(places - {len(self.parts)}) and fnmatch.fnmatchcase(suffix, wanted or "*")

    def _with_deep(self, places: set[int]) -> frozenset[int]:
        """`**` may stand for no folder at all."""
        for place in sorted(places):
            while place < len(self.parts) and self.parts[place] == _DEEP:
                place += 1  # noqa: PLW2901  (the place goes on)
                places.add(place)
        return frozenset(places)


def parse_files_path(value: object, folder: Path) -> FilesPath:
    """The files that `value` means, relative to `folder`. Raises ValueError where there is no folder to look in."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f"{_A_PATH}, got {shown(value)}")
    if value.startswith("~"):
        raise ValueError(f"{_A_PATH}, got {shown(value)}; '~' means nothing here, write ${{HOME}}")
    plain = list(itertools.takewhile(lambda part: not _WILD.intersection(part), Path(value).parts))
    parts = Path(value).parts[len(plain) :]
    try:
        root = folder.joinpath(*plain).resolve()
        if not parts and root.is_file():
            root, parts = root.parent, (root.name,)
        if not root.is_dir():
            raise ValueError(f"{_A_PATH}, got {shown(value)}; there is no folder {root}")
    # Python before 3.13 raises RuntimeError for links in a circle.
    except (OSError, RuntimeError) as error:
        raise ValueError(f"{_A_PATH}, got {shown(value)}, which cannot be reached: {error}") from error
    if not parts or parts[-1] == _DEEP:  # folders; their files are meant
        parts = (*(parts or (_DEEP,)), "*")
    return FilesPath(root, parts)


def _read_path(value: object, info: ValidationInfo) -> FilesPath:
    folder = Path(info.context["folder"]) if info.context else Path()
    return value if isinstance(value, FilesPath) else parse_files_path(value, folder)


class Files(Section):
    """One row for each file of a folder or a pattern, in order of their paths."""

    path: Annotated[
        FilesPath,
        PlainValidator(_read_path),
        WithJsonSchema({"type": "string", "examples": ["photos", "photos/**/*.jpg"]}),
    ] = Field(
        description="A folder, for all files in it and below it, or a pattern such as 'photos/**/*.jpg'; relative to "
        "the job file. '**' is any number of folders. Names that begin with '.' are left out, and links to folders."
    )
