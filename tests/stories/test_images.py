"""Pictures, from a folder or from an API, to records and smaller pictures."""

import json
import random
import re
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web
from PIL import Image

from tests.annotate.pictures import BLUE, GREEN, RED, WHITE, animated, encoded, png_bomb, quarters
from tests.stories.conftest import ROOT
from tests.stories.feeds import serving

POLL_S = 0.005
THUMBNAILS = ROOT / "configs" / "thumbnails.toml"
DOCS = ROOT / "docs" / "annotate.md"
JOB = """
name = "pictures"
[read.files]
path = "photos"
[[annotate]]
[annotate.image]
resize = [40, 40]
folder = "small"
name = "{stem}.jpg"
[write]
folder = "out"
"""
BAD = {
    "empty": b"",
    "text": b"not a picture",
    "truncated": encoded(quarters(400, 200))[:-400],
    "bomb": png_bomb(),
}
GOOD = {
    "cmyk": encoded(quarters().convert("CMYK")),
    "animated": animated(),
    "palette": encoded(quarters().quantize(8), "PNG"),
    "grey16": encoded(Image.new("I;16", (80, 40)), "PNG"),
    "plain": encoded(quarters()),
}


def small_pictures(folder: Path) -> dict[str, tuple[int, int]]:
    """{name: size} of all that were saved; a broken one, and a draft that was left, fail the test."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            with Image.open(path) as image:
                image.load()
                found[str(path.relative_to(folder))] = image.size
    return found


@pytest.fixture
def photos(tmp_path):
    """A folder for photos, and a job about them."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "job.toml").write_text(JOB)
    return tmp_path / "photos"


def test_the_shipped_job_resizes_a_folder_of_photos(fetcher, output, tmp_path, monkeypatch):
    """Upright, in the same folders; the second run finds everything done."""
    for name, size in (("2023/a.jpg", (1200, 800)), ("2024/b.jpg", (300, 1500)), ("c.jpg", (64, 64))):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(encoded(quarters(*size)))
    monkeypatch.setenv("PHOTOS", str(tmp_path / "photos"))
    job = tmp_path / "configs" / "thumbnails.toml"
    job.parent.mkdir()
    job.write_text(THUMBNAILS.read_text())
    assert len(job.read_text().splitlines()) < 30
    ran = fetcher("run", job)
    assert ran.code == 0, ran.err
    thumbnails = tmp_path / "data" / "thumbnails" / "600"
    assert small_pictures(thumbnails) == {"2023/a.jpg": (600, 400), "2024/b.jpg": (120, 600), "c.jpg": (64, 64)}
    records = {record["name"]: record for record in output(tmp_path / "data" / "thumbnails").records()}
    assert {name: record["saved"] for name, record in records.items()} == {
        "a.jpg": "2023/a.jpg",
        "b.jpg": "2024/b.jpg",
        "c.jpg": "c.jpg",
    }
    assert (records["b.jpg"]["width"], records["b.jpg"]["height"]) == (300, 1500)
    again = fetcher("run", job)
    assert again.code == 0
    assert "0 records added" in again.out + again.err


def test_each_picture_that_cannot_be_read_costs_itself(fetcher, output, photos, tmp_path):
    """Exit 3, with the reasons; all others are there, and no draft is left."""
    for name, content in {**BAD, **GOOD}.items():
        (photos / name).write_bytes(content)
    (photos / "link").symlink_to("/etc/hostname")
    ran = fetcher("run", tmp_path / "job.toml")
    assert ran.code == 3, ran.err
    assert {record["name"] for record in output(tmp_path / "out").records()} == set(GOOD)
    assert set(small_pictures(tmp_path / "small")) == {f"{name}.jpg" for name in GOOD}
    failures = [json.loads(line) for line in (tmp_path / "out" / "failures.jsonl").read_text().splitlines()]
    assert {failure["row"] for failure in failures if not failure["row"].startswith("bad-")} == set(BAD)
    assert {failure["state"] for failure in failures} == {"quarantined"}
    assert "max_pixels = 120,000,000" in next(failure["reason"] for failure in failures if failure["row"] == "bomb")


def test_two_pictures_of_one_name_are_a_failure_of_the_second(fetcher, output, photos, tmp_path):
    """Which is second is chance, with two workers; one is there, and whole."""
    colours = {"jpg": (RED, GREEN, BLUE, WHITE), "png": (WHITE, BLUE, GREEN, RED)}
    for suffix, four in colours.items():
        (photos / f"a.{suffix}").write_bytes(encoded(quarters(colours=four), "PNG"))
    ran = fetcher("run", tmp_path / "job.toml")
    assert ran.code == 3
    (record,) = output(tmp_path / "out").records()
    with Image.open(tmp_path / "small" / "a.jpg") as image:
        assert image.convert("RGB").getpixel((2, 2)) == pytest.approx(colours[record["suffix"][1:]][0], abs=12)
    assert "another picture has that name" in fetcher("failures", "list", tmp_path / "job.toml").out


def test_runs_that_are_killed_leave_nothing_half(fetcher, start, output, photos, tmp_path):
    """kill -9 at any moment; the run that is left alone makes each picture once, and replaces none."""
    chance, names = random.Random(5), [f"{number:03}" for number in range(60)]
    for name in names:
        colours = [tuple(chance.randrange(256) for _ in range(3)) for _ in range(4)]
        (photos / name).write_bytes(encoded(quarters(800, 400, colours=colours)))
    small = tmp_path / "small"
    for most in (1, 20, 40):
        process = start("run", tmp_path / "job.toml", "--set", "write.rotate.records=7")
        while process.poll() is None and len(list(small.glob("*.jpg"))) < most:
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_S)
        process.kill()
        process.communicate()
    ran = fetcher("run", tmp_path / "job.toml", "--set", "write.rotate.records=7")
    assert ran.code == 0, ran.err
    assert sorted(record["saved"] for record in output(tmp_path / "out").records()) == [f"{name}.jpg" for name in names]
    saved = {path.name for path in small.glob("*.jpg")}
    assert saved == {f"{name}.jpg" for name in names}
    for name in names:
        with Image.open(small / f"{name}.jpg") as image, Image.open(photos / name) as original:
            seen, meant = (picture.convert("RGB").resize((2, 2)).getpixel((0, 0)) for picture in (image, original))
            assert seen == pytest.approx(meant, abs=12)


def test_a_preview_saves_nothing(fetcher, photos, tmp_path):
    """And tells what a run would."""
    (photos / "plain").write_bytes(GOOD["plain"])
    ran = fetcher("preview", tmp_path / "job.toml")
    assert ran.code == 0, ran.err
    assert "done: 1 record" in ran.out
    assert not (tmp_path / "small").exists()


def test_other_sizes_are_made_on_request_in_the_place_of_the_old_ones(fetcher, photos, tmp_path):
    """A changed job says so, as any."""
    (photos / "plain").write_bytes(encoded(quarters(400, 200)))
    job = tmp_path / "job.toml"
    assert fetcher("run", job).code == 0
    job.write_text(JOB.replace("[40, 40]", "[20, 20]"))
    assert fetcher("run", job).code == 78
    assert fetcher("run", job, "--reparse").code == 0
    assert small_pictures(tmp_path / "small") == {"plain.jpg": (20, 10)}


def examples() -> list[str]:
    return [block for block in re.findall(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL) if "image" in block]


def test_the_first_example_of_the_documentation_is_a_job(fetcher, photos, tmp_path):
    """With files to read."""
    (photos / "plain.jpg").write_bytes(encoded(quarters(900, 900)))
    rest = 'name = "example"\nread.files.path = "photos"\nwrite.folder = "out"\n'
    (tmp_path / "job.toml").write_text(rest + examples()[0])
    ran = fetcher("run", tmp_path / "job.toml")
    assert ran.code == 0, ran.err
    assert small_pictures(tmp_path / "thumbnails") == {"plain.jpg": (600, 600)}


def test_pictures_of_an_api_are_resized_and_not_written(fetcher, output, tmp_path):
    """The second example; the answers are in the cache, so --reparse asks nobody."""

    async def picture(_day):
        return web.Response(body=encoded(quarters(640, 480)), content_type="image/jpeg")

    with serving(picture) as feed:
        text = examples()[1].replace("https://images.example.org", feed.url).replace("/{id}.jpg", "/days?date={id}")
        text = text.replace('url = "/days?date={id}"', 'url = "/days"\nquery = { date = "{id}" }')
        (tmp_path / "job.toml").write_text('name = "example"\nwrite.folder = "out"\n' + text)
        ran = fetcher("run", tmp_path / "job.toml")
        assert ran.code == 0, ran.err
        assert small_pictures(tmp_path / "thumbnails") == {"7.jpg": (64, 48), "8.jpg": (64, 48)}
        records = sorted(output(tmp_path / "out").records(), key=lambda record: record["id"])
        told = {"width": 640, "height": 480, "format": "jpeg", "mode": "RGB", "taken_at": None}
        assert records == [{"id": name, **told, "saved": f"{name}.jpg"} for name in "78"]
        feed.taken()
        assert fetcher("run", tmp_path / "job.toml", "--reparse").code == 0
        assert feed.taken() == []


PICTURE = '[[annotate]]\ninto = "{into}"\n[annotate.image]\nbytes = "bytes"\ntake = {take}\n'
QUESTION = (
    '[[annotate]]\ninto = "{into}"\n[annotate.service]\nbase_url = "{url}"\nurl = "/days"\nquery = {{ {query} }}\n'
)


@pytest.mark.parametrize(
    ("annotators", "added"),
    [
        ("SHAPE PLACE HASH", {"shape": {"width": 8}, "place": {"of": "8"}, "hash": {"format": "png"}}),
        ("SHAPE PLACE PLACE HASH", {"shape": {"width": 8}, "place": {"of": "8"}, "hash": {"format": "png"}}),
        ("SHAPE SEEN", {"shape": {"width": 8}, "seen": {"of": "iVBO"}}),
        ("SHAPE SEEN HASH", {"shape": {"width": 8}, "seen": {"of": "iVBO"}, "hash": {"format": "png"}}),
        ("PLAIN HASH", {"place": {"of": "a"}, "hash": {"format": "png"}}),
        ("HASH PLACE", {"place": {"of": "8"}, "hash": {"format": "png"}}),
    ],
)
def test_a_picture_is_there_for_whoever_needs_it_behind_a_service_and_never_written(
    fetcher, output, tmp_path, annotators, added
):
    """For another look at it, and for a service that is sent it; in the end it is gone, also with no image there."""
    png = encoded(quarters(8, 8), "PNG")

    def answer(asked):
        is_picture = asked == "1"
        return web.Response(body=png, content_type="image/png") if is_picture else web.json_response({"of": asked[:4]})

    with serving(answer) as feed:
        parts = {
            "SHAPE": PICTURE.format(into="shape", take='["width"]'),
            "HASH": PICTURE.format(into="hash", take='["format"]'),
            "PLACE": QUESTION.format(into="place", url=feed.url, query='date = "8"'),
            "PLAIN": QUESTION.format(into="place", url=feed.url, query='date = "a"'),
            "SEEN": QUESTION.format(into="seen", url=feed.url, query='date = "{bytes}"'),
        }
        (tmp_path / "job.toml").write_text(
            f'name = "p"\nread.values = {{ id = ["1"] }}\n[fetch]\nbase_url = "{feed.url}"\nurl = "/days"\n'
            'query = { date = "{id}" }\n[parse]\nformat = "bytes"\nfields = { id = "{id}", bytes = "bytes" }\n'
            + "".join(parts[name] for name in annotators.split())
            + '[write]\nfolder = "out"\n'
        )
        ran = fetcher("run", tmp_path / "job.toml")
    assert ran.code == 0, ran.err
    assert output(tmp_path / "out").records() == [{"id": "1", **added}]
