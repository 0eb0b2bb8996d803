"""From a picture that was opened to a small upright one, with as little decoding as that takes."""

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from fetcher.errors import Quarantined

if TYPE_CHECKING:
    from PIL import Image

Fit = Literal["inside", "cover", "stretch"]
Box = tuple[float, float, float, float]

GAP = 2.0
"""A picture is first decoded, or added up, to no less than twice its new size: no eye tells it from the slow way."""

HASH_SIDE = 8
_TURNS = (5, 6, 7, 8)
"""Orientations (EXIF) that change width and height over."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A picture as it lies in its file: `orientation` (EXIF, 1 to 8) says how it is turned before it is shown."""

    width: int
    height: int
    orientation: int = 1

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height as people see them."""
        is_turned = self.orientation in _TURNS
        return (self.height, self.width) if is_turned else (self.width, self.height)


@dataclass(frozen=True, slots=True)
class Cut:
    """What of a stored picture becomes how large."""

    box: Box
    size: tuple[int, int]

    def needs(self, stored: Stored) -> tuple[int, int]:
        """To which size the whole picture has to be decoded at least."""
        left, top, right, bottom = self.box
        wide = stored.width * self.size[0] / (right - left)
        high = stored.height * self.size[1] / (bottom - top)
        return max(1, int(wide * GAP)), max(1, int(high * GAP))


def cut(stored: Stored, size: tuple[int, int], fit: Fit) -> Cut:
    """What is cut out of a picture, so that it fits a size as it is shown."""
    wide, high = (size[1], size[0]) if stored.orientation in _TURNS else size
    whole = (0.0, 0.0, float(stored.width), float(stored.height))
    match fit:
        case "stretch":
            return Cut(whole, (wide, high))
        case "inside":
            scale = min(wide / stored.width, high / stored.height, 1.0)
            return Cut(whole, (max(1, round(stored.width * scale)), max(1, round(stored.height * scale))))
        case "cover":
            scale = max(wide / stored.width, high / stored.height)
            left, top = (stored.width - wide / scale) / 2, (stored.height - high / scale) / 2
            return Cut((left, top, stored.width - left, stored.height - top), (wide, high))


def decoded(image: "Image.Image", at_least: tuple[int, int]) -> "Image.Image":
    """Its pixels, in grey or colours, with their transparency. A JPEG is decoded at an eighth, a quarter or a half."""
    image.draft(None, at_least)  # in its own mode
    image.load()
    if image.mode.startswith("I;16"):  # the conversion of Pillow would cut, rather than scale
        return image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.mode in ("I", "F"):
        raise Quarantined(f"its pixels are numbers (mode {image.mode}), which nobody sees")
    if image.has_transparency_data:
        return image if image.mode in ("LA", "RGBA") else image.convert("RGBA")
    if image.mode == "1":
        return image.convert("L")
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def resized(pixels: "Image.Image", stored: Stored, wanted: Cut) -> "Image.Image":
    """The small picture, upright."""
    from PIL import Image

    across, down = pixels.width / stored.width, pixels.height / stored.height
    left, top, right, bottom = wanted.box
    box = (left * across, top * down, min(right * across, pixels.width), min(bottom * down, pixels.height))
    small = pixels.resize(wanted.size, Image.Resampling.LANCZOS, box=box, reducing_gap=GAP)
    return upright(small, stored.orientation)


def upright(image: "Image.Image", orientation: int) -> "Image.Image":
    """Turned as its EXIF says (TIFF 6.0, tag Orientation)."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    return image.transpose(turns[orientation]) if orientation in turns else image


def dhash(pixels: "Image.Image", orientation: int) -> str:
    """A hash of what is to be seen, 64 bits in hex: alike for alike pictures. A bit says whether it becomes brighter to
    the right (Krawetz 2013)."""
    from PIL.Image import Resampling

    side = 8 * HASH_SIDE
    small = upright(pixels.convert("L").resize((side, side), Resampling.BOX, reducing_gap=GAP), orientation)
    grey = small.resize((HASH_SIDE + 1, HASH_SIDE), Resampling.BOX).tobytes()
    bits = 0
    for row in range(HASH_SIDE):
        line = grey[row * (HASH_SIDE + 1) : (row + 1) * (HASH_SIDE + 1)]
        for left, right in pairwise(line):
            bits = bits << 1 | (left < right)
    return f"{bits:0{HASH_SIDE * HASH_SIDE // 4}x}"
