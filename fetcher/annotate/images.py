"""What is added about a picture. It comes from anywhere: nothing is decoded before its size is known, and only formats
that are read without the help of other programs."""

import binascii
import hashlib
import io
import os
import re
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fetcher.annotate.pixels import Stored, decoded, dhash
from fetcher.annotate.thumbnails import Thumbnails
from fetcher.engines.tracebacks import described
from fetcher.errors import DiskFailed, Quarantined, RowError
from fetcher.model import Value
from fetcher.template import Template

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")
"""Not EPS, for which Pillow calls Ghostscript, nor anything else that few have."""

ORIENTATION, EXIF, TAKEN_AT, TAKEN_OFFSET = 0x0112, 0x8769, 0x9003, 0x9011
_TAKEN = re.compile(r"([0-9]{4}):([01][0-9]):([0-3][0-9]) ([0-2][0-9]:[0-5][0-9]:[0-6][0-9])")
_OFFSET = re.compile(r"[+-][0-9]{2}:[0-9]{2}")
HASHED_AT = (128, 128)


@dataclass(frozen=True, slots=True)
class Images:
    """How pictures are looked at. A record has a picture's path (`path` is filled from it, and counts from `base`), or
    the picture itself in the field `content`, which is left to the record if it `is_needed` behind an annotator that
    asks. `take` are the fields that are added."""

    take: tuple[str, ...]
    max_pixels: int
    path: Template
    base: str
    content: str = ""
    thumbnails: Thumbnails | None = None
    is_needed: bool = False

    def found(self, record: Mapping[str, Value], origin: str) -> dict[str, object]:
        """The fields for a record. `origin` names the record, in all runs alike.

        Raises `Quarantined` where there is no picture that can be read, `DiskFailed` where none can be saved.
        """
        where = f"'{self.content}'"
        try:
            where = where if self.content else self.path.fill_text(record)
            owner = origin if self.content else os.path.relpath(where, self.base)  # a project may move, as a whole
            with self._file(record, where) as file, opened(file, self.max_pixels) as image:
                return self._of(file, image, record, owner)
        except RowError as error:
            raise Quarantined(f"{where}: {error}") from error
        except DiskFailed:
            raise
        except Exception as error:
            raise Quarantined(f"{where}: {_reason(error, self.max_pixels)}") from error

    def _of(self, file: BinaryIO, image: "Image.Image", record: Mapping[str, Value], owner: str) -> dict[str, object]:
        exif = _exif(image)
        turned = exif.get(ORIENTATION)
        stored = Stored(image.width, image.height, turned if isinstance(turned, int) else 1)
        found: dict[str, object] = {name: _told(name, image, stored, exif) for name in self.take}
        if "sha256" in found:
            found["sha256"] = _sha256(file)
        if not self.thumbnails and "dhash" not in found:
            return found
        cut = self.thumbnails.cut(stored) if self.thumbnails else None
        pixels = decoded(image, cut.needs(stored) if cut else HASHED_AT)
        if "dhash" in found:
            found["dhash"] = dhash(pixels, stored.orientation)
        if self.thumbnails and cut:
            small = self.thumbnails.made(pixels, stored, cut, image.info.get("icc_profile"))
            found["saved"] = self.thumbnails.save(small, {**record, **found}, owner)
        return found

    @contextmanager
    def _file(self, record: Mapping[str, Value], where: str) -> Iterator[BinaryIO]:
        if not self.content:
            with Path(self.base, where).open("rb") as file:
                yield file
            return
        content: object = record.get(self.content)
        if isinstance(content, str):
            content = binascii.a2b_base64(content, strict_mode=True)
        if not isinstance(content, bytes):
            raise Quarantined(f"expected a picture, got a value of type {type(content).__name__}")
        yield io.BytesIO(content)


@contextmanager
def opened(file: BinaryIO, max_pixels: int) -> Iterator["Image.Image"]:
    """A picture whose size is known, and of which nothing is decoded yet. Raises whatever Pillow does."""
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about what is odd in a file, and can be read all the same
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        Image.MAX_IMAGE_PIXELS = max_pixels  # its own check comes before ours, and wherever a size shows later
        with Image.open(file, formats=FORMATS) as image:
            yield image


def _told(name: str, image: "Image.Image", stored: Stored, exif: Mapping[int, object]) -> object:
    """What a file says of its picture; the hashes are made later."""
    if name == "frames":
        return getattr(image, "n_frames", 1)  # which looks through the whole file
    is_several = image.format == "MPO"  # what some cameras make of a JPEG: it has a second one behind it
    return {
        "width": stored.shown[0],
        "height": stored.shown[1],
        "format": "jpeg" if is_several else (image.format or "").lower(),
        "mode": image.mode,
        "taken_at": taken_at(exif),
    }.get(name)


def _exif(image: "Image.Image") -> dict[int, object]:
    """The tags that matter here; nothing where there are none, or where they are broken: the picture may be good."""
    with suppress(ArithmeticError, LookupError, OSError, SyntaxError, TypeError, ValueError, struct.error):
        exif = image.getexif()
        return {**exif, **exif.get_ifd(EXIF)}
    return {}


def taken_at(exif: Mapping[int, object]) -> str | None:
    """When the picture was taken, as ISO 8601: by the camera's clock, with its time zone where it tells one."""
    when, offset = (str(exif.get(tag, "")).strip("\0 ") for tag in (TAKEN_AT, TAKEN_OFFSET))
    found = _TAKEN.fullmatch(when)
    if not found or found[1] == "0000":
        return None
    return f"{found[1]}-{found[2]}-{found[3]}T{found[4]}{offset if _OFFSET.fullmatch(offset) else ''}"


def _sha256(file: BinaryIO) -> str:
    at = file.tell()
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # BytesIO, or a file of bytes
    file.seek(at)
    return digest


def _reason(error: Exception, max_pixels: int) -> str:
    from PIL import Image, UnidentifiedImageError

    match error:
        case Image.DecompressionBombError() | Image.DecompressionBombWarning():
            return f"is larger than max_pixels = {max_pixels:,} allows; it was not decoded"
        case UnidentifiedImageError():
            return f"is no picture; expected one of {', '.join(FORMATS)}"
        case OSError(strerror=str(cause)):
            return f"cannot be read: {cause}"
        case MemoryError():
            return "takes more memory than there is"
    return f"cannot be decoded: {described(error)}"
