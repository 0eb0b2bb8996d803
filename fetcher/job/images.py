"""`[annotate.image]`: what is added about a picture, and the smaller picture that is saved of it."""

from importlib.util import find_spec
from pathlib import PurePath
from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from fetcher.job.entries import Folder
from fetcher.job.kinds import whole_number
from fetcher.job.section import Section, written
from fetcher.job.wording import listed, shown
from fetcher.template import Template

MISSING_EXTRA = "image needs the package pillow: pip install 'polite-fetcher[parse]'"
Fact = Literal["width", "height", "format", "mode", "frames", "taken_at", "sha256", "dhash"]
Saved = Literal["jpeg", "png", "webp"]
SUFFIXES: dict[str, Saved] = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp"}
SAVING = ("resize", "fit", "folder", "name", "format", "quality")
Side = Annotated[int, whole_number(1, 65_500)]


class ImageSection(Section):
    """What is added about a picture; with 'resize' a smaller one is saved, and 'saved' is its name below 'folder'."""

    path: Template = written("{path}", "Where the picture lies, filled from the record; relative to the job file.")
    bytes_: str | None = Field(
        default=None,
        alias="bytes",
        min_length=1,
        description="Field of the record that is the picture itself (parse.format = 'bytes', or base64), in place of "
        "'path'. It is not written.",
    )
    take: tuple[Fact, ...] = Field(
        default=("width", "height", "format", "mode", "taken_at"), description=f"Fields: {listed(get_args(Fact))}."
    )
    max_pixels: Annotated[int, whole_number(1, 10**10)] = Field(
        default=120_000_000, description="Largest picture, width times height; a larger one is set aside unread."
    )
    resize: tuple[Side, Side] | None = Field(
        default=None, description="Width and height of the smaller picture: [600, 600]. No picture is enlarged to fit."
    )
    fit: Literal["inside", "cover", "stretch"] = Field(
        default="inside",
        description="How it fits: 'inside' keeps its shape, 'cover' fills the size and cuts off what is too much, "
        "'stretch' fills the size with all of it.",
    )
    folder: Folder | None = Field(default=None, description="Folder for the smaller pictures.")
    name: Template | None = Field(
        default=None, description="Name of one, filled from the record: '{folder}/{stem}.jpg'. No two may be alike."
    )
    format: Saved | None = Field(default=None, description="Format of the smaller pictures. Left out: by their name.")
    quality: Annotated[int, whole_number(1, 100)] | None = Field(
        default=None, description="Quality of JPEG and WebP, from 1 to 100. Left out: 85."
    )

    @model_validator(mode="after")
    def _check_package(self) -> Self:
        if find_spec("PIL") is None:
            raise ValueError(MISSING_EXTRA)
        return self

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        given = self.model_fields_set
        if "path" in given and self.bytes_:
            raise ValueError("expected either 'path' or 'bytes', got both: where is the picture?")
        if not self.resize:
            if useless := [name for name in SAVING if name in given]:
                raise ValueError(f"'{useless[0]}' is of the picture that 'resize' makes, and there is no 'resize'")
            return self
        if missing := [name for name in ("folder", "name") if not getattr(self, name)]:
            raise ValueError(f"resize needs '{missing[0]}': where does the smaller picture go?")
        if not self.saved_as:
            raise ValueError(f"{shown(str(self.name))} does not tell a format; say format = 'jpeg', 'png' or 'webp'")
        if self.quality and self.saved_as == "png":
            raise ValueError("'quality' is for JPEG and WebP, and PNG loses nothing")
        return self

    @property
    def saved_as(self) -> Saved | None:
        """The format of the smaller pictures; None where neither 'format' nor their name tells."""
        return self.format or SUFFIXES.get(PurePath(self.name.text).suffix.lower() if self.name else "")
