"""`[annotate.image]` in a job file."""

import importlib.util

import pytest
from pydantic import ValidationError

from fetcher.job.fingerprints import parse_fingerprint
from fetcher.job.images import ImageSection

SAVING = {"resize": [60, 40], "folder": "small", "name": "{stem}.jpg"}


def section(place, told) -> ImageSection:
    return ImageSection.model_validate(told, context={"folder": place})


@pytest.mark.parametrize(
    ("told", "form"),
    [
        ({}, "jpeg"),
        ({"name": "{stem}.PNG"}, "png"),
        ({"name": "{stem}.webp", "quality": 3}, "webp"),
        ({"name": "{name}", "format": "webp"}, "webp"),
        ({"name": "{stem}.jpg", "format": "png"}, "png"),
    ],
)
def test_the_format_is_told_by_the_name_or_by_itself(tmp_path, told, form):
    """The job's word counts more than the name."""
    found = section(tmp_path, {**SAVING, **told})
    assert found.saved_as == form
    assert found.folder == tmp_path / "small"


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"take": ["widht"]}, "Input should be 'width', 'height'"),
        ({"bytes": "body", "path": "{path}"}, "expected either 'path' or 'bytes', got both"),
        ({"quality": 80}, "'quality' is of the picture that 'resize' makes, and there is no 'resize'"),
        ({"folder": "small"}, "'folder' is of the picture that 'resize' makes"),
        ({**SAVING, "name": None}, "resize needs 'name'"),
        ({**SAVING, "folder": None}, "resize needs 'folder'"),
        ({**SAVING, "name": "{name}"}, "'{name}' does not tell a format; say format = 'jpeg', 'png' or 'webp'"),
        ({**SAVING, "name": "{stem}.png", "quality": 80}, "'quality' is for JPEG and WebP"),
        ({**SAVING, "resize": [60]}, "resize"),
        ({**SAVING, "resize": [60, 0]}, "expected a whole number"),
        ({**SAVING, "fit": "crop"}, "Input should be 'inside', 'cover' or 'stretch'"),
        ({"max_pixels": "all"}, "expected a whole number"),
    ],
)
def test_what_does_not_go_together_is_a_fault(tmp_path, told, message):
    """Before anything is read."""
    with pytest.raises(ValidationError) as caught:
        section(tmp_path, told)
    assert message in str(caught.value)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    """With the extra that brings it."""
    monkeypatch.setattr("fetcher.job.images.find_spec", lambda name: None)
    assert importlib.util.find_spec("PIL")
    with pytest.raises(ValidationError, match=r"image needs the package pillow: pip install 'polite-fetcher\[parse\]'"):
        section(tmp_path, {})


JOB = """
name = "photos"
[read.files]
path = "{path}"
[[annotate]]
[annotate.image]
resize = [60, 40]
folder = "{folder}"
name = "{{stem}}.jpg"
quality = {quality}
[write]
folder = "{out}"
"""


def job_text(path="photos/**/*.jpg", folder="small", quality=85, out="out"):
    return JOB.format(path=path, folder=folder, quality=quality, out=out)


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "configs" / "photos").mkdir(parents=True)


def test_what_changes_pictures_changes_what_is_parsed(load, photos):
    """Another quality is another picture; another folder holds the same ones."""
    told = parse_fingerprint(load(text=job_text()))
    assert parse_fingerprint(load(text=job_text(quality=60))) != told
    assert parse_fingerprint(load(text=job_text(folder="tiny"))) == told


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (
            {"folder": "photos/small"},
            "small) lies where read.files looks",
        ),
        ({"path": "**/*", "folder": "small"}, "lies where read.files looks"),
        ({"path": ".", "folder": "/tmp/small"}, "out) lies where read.files looks"),
    ],
)
def test_a_job_does_not_read_what_it_writes(faults_of, photos, told, message):
    """Each run would find more than the last one."""
    assert message in faults_of(text=job_text(**told))[0]


@pytest.mark.parametrize("told", [{}, {"path": "photos/*.jpg", "folder": "photos/small"}, {"path": "**/*.jpg"}])
def test_what_a_pattern_does_not_reach_is_fine(load, photos, told):
    """A folder deeper down, or files of other names."""
    if told.get("path") == "**/*.jpg":
        told = {**told, "folder": "../small"}
    assert load(text=job_text(**told))
