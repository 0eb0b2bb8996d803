"""Smaller pictures, each under a name of its own in a folder.

A file appears whole or not at all, and nothing takes the place of a file that is not the same record's: each has a mark
(EXIF, Software) of whom it is for. So a record that is done again after a crash puts its picture in its own's place,
and two records of one name are a failure of the second.
"""

import errno
import hashlib
import io
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from fetcher.annotate.pixels import Cut, Fit, Stored, cut, resized
from fetcher.errors import DiskFailed, Quarantined
from fetcher.template import Template

if TYPE_CHECKING:
    from PIL import Image

SOFTWARE = 0x0131
DRAFTS = ".fetcher"
COLOUR_SPACES = {"RGB": b"RGB ", "RGBA": b"RGB ", "L": b"GRAY", "LA": b"GRAY"}
OF_THE_NAME = {errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EEXIST}
"""What a name is to blame for; any other error of the disk would hit the next record, too."""


@dataclass(frozen=True, slots=True)
class Thumbnails:
    """How smaller pictures are made, and where they go. Without `is_kept` all is done but the writing."""

    size: tuple[int, int]
    fit: Fit
    folder: str
    name: Template
    format: str
    quality: int
    is_kept: bool = True

    def cut(self, stored: Stored) -> Cut:
        """What becomes of a picture."""
        return cut(stored, self.size, self.fit)

    def made(self, pixels: "Image.Image", stored: Stored, wanted: Cut, profile: bytes | None) -> "Image.Image":
        """The smaller picture in colours that its format can hold: JPEG gets a white ground. `profile` is what its
        colours mean (ICC), where they are not changed."""
        small = resized(pixels, stored, wanted)
        if self.format == "jpeg" and small.mode in ("LA", "RGBA"):
            small = on_white(small)
        is_kept = profile is not None and profile[16:20] == COLOUR_SPACES[small.mode]
        small.info = {"icc_profile": profile} if is_kept else {}
        return small

    def save(self, small: "Image.Image", values: Mapping[str, object], owner: str) -> str:
        """Save it; returns its name below the folder, filled from the values of its record. `owner` names the record.

        Raises `Quarantined` where the name cannot be had, `DiskFailed` where nothing can be written.
        """
        name = self._named(values)
        mark = f"fetcher {hashlib.blake2b(owner.encode(), digest_size=8).hexdigest()}"
        encoded = self._encoded(small, mark)
        if self.is_kept:
            try:
                self._put(encoded, Path(self.folder, name), mark)
            except OSError as error:
                if error.errno in OF_THE_NAME:
                    raise Quarantined(f"cannot be saved as '{name}': {error.strerror}") from error
                raise DiskFailed(f"{self.folder}: {error}") from error
        return name

    def _named(self, values: Mapping[str, object]) -> str:
        name = self.name.fill_text(values)  # type: ignore[arg-type]  # what JSON holds
        parts = PurePosixPath(name).parts
        if not parts or parts[0] in ("/", "//", DRAFTS) or ".." in parts or "\0" in name or name.endswith("/"):
            raise Quarantined(f"cannot be saved as '{name}': expected a name below the folder")
        return "/".join(parts)

    def _encoded(self, small: "Image.Image", mark: str) -> bytes:
        from PIL import Image

        exif = Image.Exif()
        exif[SOFTWARE] = mark
        told = {} if self.format == "png" else {"quality": self.quality}
        held = io.BytesIO()
        small.save(held, self.format, exif=exif, icc_profile=small.info.get("icc_profile"), **told)
        return held.getvalue()

    def _put(self, encoded: bytes, target: Path, mark: str) -> None:
        if not _is_below(str(target.parent), self.folder):
            raise Quarantined(f"cannot be saved as '{target}': a link leads out of the folder")
        draft = Path(self.folder, DRAFTS, f"{os.getpid()}-{mark[-16:]}.new")
        draft.parent.mkdir(parents=True, exist_ok=True)
        try:
            draft.write_bytes(encoded)
            try:
                target.hardlink_to(draft)  # a rename would replace a file that came in between
            except FileNotFoundError:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.hardlink_to(draft)
        except FileExistsError:
            if _mark_of(target) == mark:
                draft.replace(target)
            elif not _are_alike(draft, target):
                raise Quarantined(f"cannot be saved as '{target.name}': another picture has that name") from None
        finally:
            draft.unlink(missing_ok=True)


def on_white(image: "Image.Image") -> "Image.Image":
    """A picture without transparency."""
    from PIL import Image

    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image.convert("RGBA"))
    return ground.convert("L" if image.mode == "LA" else "RGB")


@lru_cache(maxsize=10_000)
def _is_below(place: str, folder: str) -> bool:
    real, root = os.path.realpath(place), os.path.realpath(folder)
    return real == root or real.startswith(os.path.join(root, ""))  # noqa: PTH118


def _mark_of(path: Path) -> str:
    """Whom a picture is for; nothing where it is none of ours."""
    from PIL import Image

    with suppress(OSError, SyntaxError, ValueError, Warning, Image.DecompressionBombError):
        if not path.is_symlink():
            with Image.open(path, formats=("JPEG", "PNG", "WEBP")) as image:
                return str(image.getexif().get(SOFTWARE, ""))
    return ""


def _are_alike(draft: Path, target: Path) -> bool:
    """Whether two pictures are to be seen alike: then one is enough, and a name may be a hash of what it shows."""
    from PIL import Image

    unreadable = (OSError, SyntaxError, ValueError, Warning, Image.DecompressionBombError)
    with suppress(*unreadable), Image.open(draft) as one, Image.open(target, formats=[one.format or ""]) as other:
        return (one.mode, one.size) == (other.mode, other.size) and one.tobytes() == other.tobytes()
    return False
