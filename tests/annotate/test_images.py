"""Pictures: what is told of them, what is saved of them, and what becomes of those that are none."""

import base64
import hashlib
import os
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from fetcher.annotate.images import Images
from fetcher.annotate.pixels import Stored, cut, dhash, upright
from fetcher.annotate.steps import Step, annotated
from fetcher.annotate.thumbnails import Thumbnails
from fetcher.errors import DiskFailed, Quarantined
from fetcher.template import Template
from tests.annotate.pictures import (
    BLUE,
    GREEN,
    RED,
    WHITE,
    animated,
    bmp_claiming,
    encoded,
    png_bomb,
    png_with_text,
    quarters,
    tiff_claiming,
    with_exif,
)

FACTS = ("width", "height", "format", "mode", "taken_at")
SIZES = st.tuples(st.integers(1, 3000), st.integers(1, 3000))


class Studio:
    """`studio(content)`: the fields that are added for a picture in a file; `thumbs` is where small ones go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.thumbs = folder / "thumbs"

    def annotator(self, take=FACTS, max_pixels=10**6, content="", **saving) -> Images:
        thumbnails = None
        if saving:
            told = {"size": (16, 16), "fit": "inside", "name": "{stem}.jpg", "quality": 90, "format": "jpeg", **saving}
            told["name"] = Template.parse(told["name"])
            thumbnails = Thumbnails(folder=str(self.thumbs), **told)
        return Images(take, max_pixels, Template.parse("{path}"), str(self.folder), content, thumbnails)

    def __call__(self, content: bytes, path="a.jpg", record=None, **options):
        (self.folder / path).write_bytes(content)
        values = {"path": path, "stem": Path(path).stem, **(record or {})}
        return self.annotator(**options).found(values, "row")

    def small(self, content: bytes, path="a.jpg", **saving) -> Image.Image:
        """The small picture that is saved of one."""
        name = self(content, path, **{"size": (16, 16), **saving})["saved"]
        image = Image.open(self.thumbs / str(name))
        image.load()
        return image


@pytest.fixture
def studio(tmp_path):
    return Studio(tmp_path)


def corners(image):
    """The colours near the corners, as far as a lossy format keeps them: upper left, upper right, lower left, ..."""
    image = image.convert("RGB")
    right, low = image.width - 2, image.height - 2
    seen = [image.getpixel(at) for at in ((1, 1), (right, 1), (1, low), (right, low))]
    return [tuple(255 * round(value / 255) for value in colour) for colour in seen]


def test_what_a_picture_is_like_is_told_without_decoding_it(studio):
    """By its header, so a file that ends behind it will do."""
    whole = encoded(quarters())
    assert studio(whole) == {"width": 80, "height": 40, "format": "jpeg", "mode": "RGB", "taken_at": None}
    assert studio(whole[:700]) == studio(whole)
    assert studio(encoded(quarters(), "PNG"), take=("format",)) == {"format": "png"}


def test_a_path_counts_from_the_job_and_may_be_put_together(studio, tmp_path):
    """An absolute one stands by itself."""
    told = studio(encoded(quarters()))
    assert studio.annotator().found({"path": str(tmp_path / "a.jpg")}, "") == told
    with pytest.raises(Quarantined, match=r"'path' of this row is empty"):
        studio.annotator().found({"path": None}, "")


def test_hashes_are_of_the_file_and_of_what_is_seen(studio):
    """One tells files apart, the other finds alike pictures, whatever their size and format."""
    content = encoded(quarters(400, 200), "PNG")
    both = studio(content, take=("sha256", "dhash"))
    assert both["sha256"] == hashlib.sha256(content).hexdigest()
    smaller = studio(encoded(quarters(90, 45), quality=60), take=("dhash",))
    assert (int(both["dhash"], 16) ^ int(smaller["dhash"], 16)).bit_count() <= 3
    other = studio(encoded(quarters(colours=(WHITE, BLUE, RED, GREEN))), take=("dhash",))
    assert (int(both["dhash"], 16) ^ int(other["dhash"], 16)).bit_count() > 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_hash_is_of_what_is_seen_however_the_camera_was_held(orientation):
    """Turned twice is not turned."""
    picture = quarters(2, 2, "L", (0, 200, 120, 40)).resize((160, 190), Image.Resampling.BICUBIC)
    back = {6: 8, 8: 6}.get(orientation, orientation)
    turned = upright(picture, back)
    assert (int(dhash(turned, orientation), 16) ^ int(dhash(picture, 1), 16)).bit_count() <= 2
    assert orientation == 1 or dhash(turned, 1) != dhash(picture, 1)


def test_a_picture_that_becomes_brighter_has_ones_alone():
    """To the right, in every line (the definition)."""
    assert dhash(Image.linear_gradient("L").transpose(Image.Transpose.ROTATE_90), 1) == "f" * 16
    assert dhash(Image.linear_gradient("L").transpose(Image.Transpose.ROTATE_270), 1) == "0" * 16


@pytest.mark.parametrize(
    ("tags", "told"),
    [
        ({"taken": "2024:05:01 10:11:12"}, "2024-05-01T10:11:12"),
        ({"taken": "2024:05:01 10:11:12", "offset": "+02:00"}, "2024-05-01T10:11:12+02:00"),
        ({"taken": "2024:05:01 10:11:12\0", "offset": "   "}, "2024-05-01T10:11:12"),
        ({"taken": "0000:00:00 00:00:00"}, None),
        ({"taken": "yesterday"}, None),
        ({"taken": ""}, None),
        ({}, None),
    ],
)
def test_when_a_picture_was_taken_is_told_as_far_as_its_camera_knew(studio, tags, told):
    """Cameras without a clock write zeroes."""
    assert studio(with_exif(**tags))["taken_at"] == told


@pytest.mark.parametrize(
    ("orientation", "seen"),
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (4, [BLUE, WHITE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, WHITE]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]),
        (8, [GREEN, WHITE, RED, BLUE]),
        (0, [RED, GREEN, BLUE, WHITE]),
        (99, [RED, GREEN, BLUE, WHITE]),
    ],
)
def test_a_turned_picture_is_saved_and_told_upright(studio, orientation, seen):
    """All eight ways of TIFF 6.0; others mean nothing. The small picture needs no turning any more."""
    content = with_exif(orientation)
    told, small = studio(content), studio.small(content)
    assert corners(small) == seen
    assert 0x0112 not in small.getexif()
    is_turned = orientation in range(5, 9)
    assert (told["width"], told["height"]) == ((40, 80) if is_turned else (80, 40))
    assert small.size == ((8, 16) if is_turned else (16, 8))


def test_broken_exif_costs_no_picture(studio):
    """It is good to see all the same."""
    content = with_exif(6, taken="2024:05:01 10:11:12")
    broken = content.replace(b"Exif\0\0MM\0*", b"Exif\0\0XX\0*")
    assert broken != content
    assert studio(broken) == studio(encoded(quarters()))


@pytest.mark.parametrize(("fit", "size"), [("inside", (16, 8)), ("cover", (16, 16)), ("stretch", (16, 16))], ids=str)
@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_pictures_fit_in_three_ways(studio, fit, size, form):
    """Inside: all of it in its shape. Cover: the middle. Stretch: all of it in another shape."""
    small = studio.small(encoded(quarters(800, 400), form), fit=fit)
    assert small.size == size
    assert corners(small) == [RED, GREEN, BLUE, WHITE]


@given(stored=SIZES, size=SIZES, orientation=st.integers(1, 8), fit=st.sampled_from(["inside", "cover", "stretch"]))
def test_what_is_cut_lies_within_the_picture_and_has_the_size_that_was_asked_for(stored, size, orientation, fit):
    """Inside never stands over or enlarges, and touches one side unless the picture is smaller."""
    picture = Stored(stored[0], stored[1], orientation)
    found = cut(picture, size, fit)
    left, top, right, bottom = found.box
    assert -1e-6 <= left < right <= stored[0] + 1e-6
    assert -1e-6 <= top < bottom <= stored[1] + 1e-6
    shown = found.size[::-1] if orientation >= 5 else found.size
    if fit != "inside":
        assert shown == size
        return
    assert all(1 <= new <= most for new, most in zip(shown, size, strict=True))
    assert any(new in (most, old) for new, most, old in zip(shown, size, picture.shown, strict=True))


def test_no_picture_is_enlarged_to_fit(studio):
    """It is saved as large as it is."""
    assert studio.small(encoded(quarters(8, 4)), size=(600, 600)).size == (8, 4)


def test_a_jpeg_is_decoded_no_larger_than_it_has_to_be(studio, monkeypatch):
    """The whole of it takes four times as long."""
    seen = []

    def resize(self, *arguments, real=Image.Image.resize, **options):
        seen.append(self.size)
        return real(self, *arguments, **options)

    monkeypatch.setattr(Image.Image, "resize", resize)
    studio.small(encoded(quarters(800, 800)))
    assert seen[0] == (100, 100)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is no picture"),
        (b"<html>not found</html>", "is no picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n", "is no picture"),
        (encoded(quarters())[:700], "image file is truncated"),
        (encoded(quarters(), "PNG")[:60], "cannot be decoded"),
        (encoded(quarters(), "GIF")[:-100], "cannot be decoded"),
        (png_bomb(), "is larger than max_pixels = 1,000,000 allows"),
        (png_bomb(1001, 1000), "is larger than max_pixels = 1,000,000 allows"),
        (png_bomb(0, 10), "is no picture"),
        (encoded(quarters())[:2] + b"\xff\xc0" + b"\0" * 40, "is no picture"),
        (bmp_claiming(4_000_000_000)[:200], "image file is truncated"),
        (tiff_claiming(4_000_000_000), "cannot be decoded"),
        (png_with_text(100 << 20), "cannot be decoded"),
        (encoded(Image.new("F", (10, 10)), "TIFF"), "its pixels are numbers"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_picture_or_too_large_a_one_is_set_aside(studio, content, reason):
    """With the file's name and the reason, whatever it claims to be."""
    with pytest.raises(Quarantined) as caught:
        studio(content, path="odd.jpg", size=(16, 16))
    assert str(caught.value).startswith("odd.jpg: ")
    assert reason in str(caught.value)
    assert not list(studio.folder.glob("thumbs/**/*.*g"))


def test_a_picture_is_as_large_as_the_job_allows_to_the_pixel(studio):
    """No warning below, no picture above."""
    assert studio(encoded(Image.new("L", (1000, 1000)), "PNG"))["width"] == 1000
    with pytest.raises(Quarantined, match="max_pixels = 999,999"):
        studio(encoded(Image.new("L", (1000, 1000)), "PNG"), max_pixels=999_999)


def test_a_claim_takes_no_memory(studio):
    """Two kilobytes that say they are 2,500 million pixels."""
    import tracemalloc

    tracemalloc.start()
    with pytest.raises(Quarantined):
        studio(png_bomb(), size=(16, 16))
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("path", ["missing.jpg", "folder", "locked/a.jpg"])
def test_a_file_that_cannot_be_read_is_set_aside(studio, path):
    """With what the system says."""
    (studio.folder / "folder").mkdir()
    (studio.folder / "locked").symlink_to("locked")
    with pytest.raises(Quarantined, match=rf"{path}: cannot be read: \w+"):
        studio.annotator().found({"path": path}, "")


MODES = {
    "CMYK": encoded(quarters().convert("CMYK")),
    "YCbCr": encoded(quarters().convert("YCbCr"), "TIFF"),
    "P": encoded(quarters().quantize(8), "PNG"),
    "RGBA": encoded(quarters().convert("RGBA"), "PNG"),
    "GIF": encoded(quarters(), "GIF"),
    "WEBP": encoded(quarters(), "WEBP", lossless=True),
    "BMP": encoded(quarters(), "BMP"),
    "JPEG2000": encoded(quarters(), "JPEG2000"),
}


@pytest.mark.parametrize("form", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("mode", MODES)
def test_colours_of_every_kind_can_be_saved(studio, mode, form):
    """And look as before."""
    small = studio.small(MODES[mode], format=form, name="{stem}.x")
    assert small.format == form.upper()
    assert corners(small) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["I;16", "I;16B"])
def test_greys_of_16_bits_are_scaled_not_cut(studio, form, mode):
    """A half is a half."""
    if form == "PNG" and mode == "I;16B":
        pytest.skip("PNG has one order of bytes")
    pixels = (32_768).to_bytes(2, "little" if mode == "I;16" else "big") * 400
    small = studio.small(encoded(Image.frombytes(mode, (20, 20), pixels), form), format="png", name="x")
    assert (small.mode, small.getpixel((3, 3))) == ("L", 128)


def test_one_bit_becomes_grey(studio):
    """So that edges can be soft."""
    assert studio.small(encoded(Image.new("1", (40, 40), 1), "PNG")).getpixel((2, 2)) == 255


def transparent(mode):
    image = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (20, 0, 40, 40))
    if mode == "P":
        return encoded(image.quantize(4), "PNG")
    return encoded(image.convert(mode), "PNG")


@pytest.mark.parametrize("mode", ["RGBA", "P", "LA"])
def test_what_is_transparent_stays_so_or_becomes_white(studio, mode):
    """JPEG has no transparency; a palette with it is no exception."""
    flat = studio.small(transparent(mode))
    assert flat.convert("RGB").getpixel((2, 8)) == pytest.approx(WHITE, abs=6)
    kept = studio.small(transparent(mode), path="b.png", format="png", name="{stem}.png")
    assert [kept.convert("RGBA").getpixel(at)[3] for at in ((2, 8), (13, 8))] == [0, 255]


def test_of_an_animated_picture_the_first_frame_is_saved(studio):
    """And its frames are counted."""
    assert studio(animated(3), take=("frames", "format")) == {"frames": 3, "format": "gif"}
    assert studio(encoded(quarters()), take=("frames",)) == {"frames": 1}
    assert corners(studio.small(animated(3)))[0] == RED


def test_what_colours_mean_is_kept_where_they_are_kept(studio):
    """A wide gamut shown as a narrow one looks pale; a profile of CMYK says nothing of RGB."""
    from PIL.ImageCms import ImageCmsProfile, createProfile

    profile = ImageCmsProfile(createProfile("sRGB")).tobytes()
    assert studio.small(encoded(quarters(), icc_profile=profile)).info["icc_profile"] == profile
    foreign = profile[:16] + b"CMYK" + profile[20:]
    assert "icc_profile" not in studio.small(encoded(quarters().convert("CMYK"), icc_profile=foreign)).info
    assert "icc_profile" not in studio.small(encoded(quarters().convert("L"), icc_profile=profile)).info


def test_what_the_camera_wrote_is_not_passed_on(studio):
    """Where a picture was taken is nobody's business who sees a small one."""
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif.get_ifd(0x8825)[1] = "N"
    small = studio.small(encoded(quarters(), exif=exif))
    assert list(small.getexif()) == [0x0131]


# --- saving


def saved(studio, name, record=None, content=None, **saving):
    """Save a picture under a name; a record of its own where `record` says so."""
    content = content or encoded(quarters())
    return studio(content, record={"name": name, **(record or {})}, **{"name": "{name}", "fit": "inside", **saving})


def tree(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_names_are_filled_from_the_record_and_may_have_folders(studio):
    """With what the annotator itself has found."""
    told = studio(encoded(quarters()), record={"folder": "./2024"}, name="{folder}/{width}/{stem}.jpg")
    assert told["saved"] == "2024/80/a.jpg"
    assert tree(studio.thumbs) == ["2024/80/a.jpg"]


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/a.jpg", "a/../../b.jpg", "", ".", "a/", "a\0b", ".fetcher/a.jpg"])
def test_no_name_leads_out_of_the_folder(studio, name):
    """A table may come from a stranger."""
    with pytest.raises(Quarantined, match="expected a name below the folder"):
        saved(studio, name)
    assert tree(studio.folder) == ["a.jpg"]


def test_no_link_leads_out_of_the_folder(studio):
    """Neither of a folder nor of the file itself."""
    outside = studio.folder / "outside"
    outside.mkdir()
    studio.thumbs.mkdir()
    (studio.thumbs / "way").symlink_to(outside)
    (studio.thumbs / "b.jpg").symlink_to(outside / "b.jpg")
    for name in ("way/a.jpg", "b.jpg"):
        with pytest.raises(Quarantined, match="cannot be saved"):
            saved(studio, name)
    assert tree(outside) == []


@pytest.mark.parametrize("name", ["x" * 300 + ".jpg", "file/a.jpg"])
def test_a_name_that_the_system_refuses_costs_its_record(studio, name):
    """The next one is fine."""
    saved(studio, "file")
    with pytest.raises(Quarantined, match="cannot be saved as"):
        saved(studio, name)
    assert saved(studio, "b.jpg")["saved"] == "b.jpg"


def test_two_records_of_one_name_are_a_failure_of_the_second(studio):
    """The first one's picture stays as it is."""
    saved(studio, "a.jpg")
    before = (studio.thumbs / "a.jpg").read_bytes()
    (studio.folder / "other.jpg").write_bytes(encoded(quarters(colours=(GREEN, RED, BLUE, WHITE))))
    with pytest.raises(Quarantined, match=r"other.jpg: cannot be saved as 'a.jpg': another picture has that name"):
        studio.annotator(name="a.jpg").found({"path": "other.jpg"}, "")
    assert (studio.thumbs / "a.jpg").read_bytes() == before
    assert tree(studio.thumbs) == ["a.jpg"]


def test_alike_pictures_may_share_a_name(studio):
    """A name may be the hash of what it shows."""
    saved(studio, "a.jpg")
    (studio.folder / "copy.jpg").write_bytes((studio.folder / "a.jpg").read_bytes())
    assert studio.annotator(name="a.jpg").found({"path": "copy.jpg"}, "")["saved"] == "a.jpg"


def test_a_file_that_is_nobodys_small_picture_is_left_alone(studio):
    """Above all the pictures themselves, where the folder is theirs."""
    studio.thumbs.mkdir()
    original, text = encoded(quarters(300, 300)), b"letter"
    (studio.thumbs / "a.jpg").write_bytes(original)
    (studio.thumbs / "b.jpg").write_bytes(text)
    for name in ("a.jpg", "b.jpg"):
        with pytest.raises(Quarantined, match="another picture has that name"):
            saved(studio, name)
    assert [(studio.thumbs / name).read_bytes() for name in ("a.jpg", "b.jpg")] == [original, text]


@pytest.mark.parametrize("form", ["jpeg", "png", "webp"])
def test_a_record_that_is_done_again_replaces_its_own_picture(studio, form):
    """After a crash, and after the job or the picture has changed; the same makes the same bytes."""
    saved(studio, "a", format=form)
    before = (studio.thumbs / "a").read_bytes()
    saved(studio, "a", format=form)
    assert (studio.thumbs / "a").read_bytes() == before
    saved(studio, "a", content=encoded(quarters(colours=(GREEN, RED, BLUE, WHITE))), format=form, size=(8, 8))
    with Image.open(studio.thumbs / "a") as image:
        assert image.size == (8, 4)
    assert tree(studio.thumbs) == ["a"]


def test_a_project_may_move_with_its_pictures(studio, tmp_path):
    """What a record is known by is the way from the job to its picture."""
    saved(studio, "a.jpg", {"path": str(tmp_path / "a.jpg")})
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("thumbs", "a.jpg"):
        (tmp_path / name).rename(moved / name)
    before = (moved / "thumbs" / "a.jpg").read_bytes()
    saved(Studio(moved), "a.jpg", {"path": str(moved / "a.jpg")}, encoded(quarters(colours=(GREEN, RED, BLUE, WHITE))))
    assert (moved / "thumbs" / "a.jpg").read_bytes() != before


def test_a_file_appears_whole_or_not_at_all(studio, monkeypatch):
    """Whatever moment the process is killed at, here just before each call that changes a folder."""
    calls = {"mkdir": Path.mkdir, "write_bytes": Path.write_bytes, "hardlink_to": Path.hardlink_to}

    class Killed(BaseException):
        pass

    def killed(*_arguments, **_options):
        raise Killed

    content = encoded(quarters())
    for name, real in calls.items():
        (studio.folder / "a.jpg").write_bytes(content)
        monkeypatch.setattr(Path, name, killed)
        with pytest.raises(Killed):
            studio.annotator(name="a.jpg").found({"path": "a.jpg"}, "")
        monkeypatch.setattr(Path, name, real)
        assert tree(studio.thumbs) == []
    saved(studio, "a.jpg")
    whole = (studio.thumbs / "a.jpg").read_bytes()
    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(Killed):
        saved(studio, "a.jpg", size=(8, 8))
    assert (studio.thumbs / "a.jpg").read_bytes() == whole


def test_a_disk_that_fails_is_no_fault_of_the_picture(studio, monkeypatch):
    """The run ends: the next record would fail, too."""

    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    (studio.folder / "b.jpg").symlink_to("a.jpg")
    with open(studio.folder / "a.jpg", "wb") as file:  # noqa: PTH123  (the other way is full)
        file.write(encoded(quarters()))
    with pytest.raises(DiskFailed, match="No space left on device"):
        studio.annotator(name="a.jpg").found({"path": "a.jpg"}, "")


def test_who_may_see_a_small_picture_is_as_the_umask_says(studio):
    """As for every file of a program; they are made for others."""
    before = os.umask(0o027)
    try:
        saved(studio, "x/a.jpg")
    finally:
        os.umask(before)
    modes = [oct((studio.thumbs / name).stat().st_mode & 0o777) for name in (".", "x", "x/a.jpg")]
    assert modes == ["0o750", "0o750", "0o640"]


def test_on_trial_nothing_is_written(studio):
    """A preview leaves nothing behind, and tells the same."""
    assert saved(studio, "a.jpg", is_kept=False) == saved(studio, "a.jpg", is_kept=False)
    assert not studio.thumbs.exists()


# --- among other annotators


def test_a_picture_may_be_in_the_record_itself_and_is_not_written(studio):
    """As bytes or in base64; an annotator before it may have brought it."""
    content = encoded(quarters())
    step = Step(studio.annotator(content="body", name="{id}.jpg"), "image")
    told = {"width": 80, "height": 40, "format": "jpeg", "mode": "RGB", "taken_at": None, "saved": "7.jpg"}
    for body in (content, base64.b64encode(content).decode()):
        (record,) = annotated((step,), [{"id": "7", "body": body}], "row")
        assert record == {"id": "7", "image": told}
    for body in (None, 7, "no base64"):
        with pytest.raises(Quarantined, match="'body': "):
            list(annotated((step,), [{"id": "8", "body": body}], "row"))


def test_records_of_a_row_are_told_apart_and_are_themselves_again(studio):
    """Two records that one answer brings do not share a name; asked anew, each keeps its own."""
    step = Step(studio.annotator(content="body", name="{id}.jpg"))
    one, other = encoded(quarters()), encoded(quarters(colours=(GREEN, RED, BLUE, WHITE)))
    list(annotated((step,), [{"id": "1", "body": one}, {"id": "2", "body": other}], "row"))
    list(annotated((step,), [{"id": "1", "body": other}, {"id": "2", "body": one}], "row"))
    for bodies, origin in (([one, other], "row"), ([other], "another row")):
        with pytest.raises(Quarantined, match="another picture has that name"):
            list(annotated((step,), [{"id": "1", "body": body} for body in bodies], origin))


def test_a_step_may_take_long():
    """So it is never taken in the loop."""
    assert Step(Studio(Path()).annotator()).may_take_long


@given(content=st.binary(max_size=200), at=st.integers(0, 2000), form=st.sampled_from(["JPEG", "PNG", "GIF", "TIFF"]))
def test_no_bytes_raise_anything_else(tmp_path_factory, content, at, form):
    """A good picture with some of its bytes changed is a picture, or is set aside."""
    studio = Studio(tmp_path_factory.mktemp("studio"))
    whole = encoded(quarters(), form)
    assume(at < len(whole))
    broken = whole[:at] + content + whole[at + len(content) :]
    try:
        studio(broken, take=(*FACTS, "frames", "sha256", "dhash"), size=(16, 16))
    except Quarantined as error:
        assert "a.jpg: " in str(error)


def test_pillow_is_needed_by_nobody_else():
    """A worker that has no pictures starts without it."""
    import subprocess

    told = "import sys, fetcher.annotate.from_job, fetcher.stations; sys.exit('PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", told], check=False).returncode == 0
