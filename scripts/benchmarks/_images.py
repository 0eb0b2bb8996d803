"""Photos made smaller: the loop that people write, and fetcher with one worker and with two.

Photos are made with a seed: gradients with coarse and fine noise, of a camera's size, as JPEG. A few different ones
stand under many names, so that a thousand of them fit on the disk. Every figure is a whole process, its start included;
fetcher runs as by hand, with its live line on a terminal, its ledger and its output.
"""

import os
import pty
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

SEED, DIFFERENT = 6, 20
SMALL, LARGE = 64, 600
LOOP = """
import sys
from pathlib import Path
from PIL import Image
side, folder = int(sys.argv[1]), Path(sys.argv[2])
for path in sorted(Path(sys.argv[3]).glob("*.jpg")):
    with Image.open(path) as image:
        image.resize((side, side)).save(folder / path.name)
"""
POOL = """
import sys
from multiprocessing import Pool
from pathlib import Path
from PIL import Image
side, folder = int(sys.argv[1]), Path(sys.argv[2])
def small(path):
    with Image.open(path) as image:
        image.draft(None, (side, side))
        image.resize((side, side)).save(folder / path.name)
if __name__ == "__main__":
    with Pool(2) as pool:
        for _ in pool.imap_unordered(small, sorted(Path(sys.argv[3]).glob("*.jpg")), chunksize=16):
            pass
"""
JOB = """
name = "images"
[read.files]
path = "photos/*.jpg"
[parse]
workers = {workers}
[[annotate]]
[annotate.image]
resize = [{side}, {side}]
fit = "stretch"
folder = "small"
name = "{{stem}}.jpg"
[write]
folder = "out"
"""


def make_photos(folder: Path, count: int, width: int) -> int:
    """So many names of a few different photos; their mean size in bytes."""
    from PIL import Image

    folder.mkdir()
    height, chance = width * 3 // 4, random.Random(SEED)
    sizes = []
    for number in range(min(DIFFERENT, count)):
        coarse = Image.frombytes("L", (width // 16, height // 16), chance.randbytes((width // 16) * (height // 16)))
        fine = Image.frombytes("L", (width, height), chance.randbytes(width * height))
        cloud = coarse.resize((width, height), Image.Resampling.BICUBIC)
        gradient = Image.linear_gradient("L").resize((width, height)).rotate(180 * (number % 2))
        plain = (Image.blend(gradient, cloud, share) for share in (0.3, 0.5, 0.7))
        photo = Image.merge("RGB", [Image.blend(channel, fine, 0.12) for channel in plain])
        photo.save(folder / f"{number:06}.jpg", quality=85)
        sizes.append((folder / f"{number:06}.jpg").stat().st_size)
    for number in range(len(sizes), count):
        (folder / f"{number:06}.jpg").hardlink_to(folder / f"{number % len(sizes):06}.jpg")
    return sum(sizes) // len(sizes)


def seconds_of_loop(script: str, photos: Path, side: int) -> float:
    """A script in a process of its own."""
    with tempfile.TemporaryDirectory(dir=photos.parent) as folder:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", script, str(side), folder, str(photos)], check=True)
        return time.perf_counter() - began


def seconds_of_pool(photos: Path, side: int) -> float:
    """Its workers import the script by name."""
    with tempfile.TemporaryDirectory(dir=photos.parent) as folder:
        script = Path(folder) / "pool.py"
        script.write_text(POOL)
        small = Path(folder) / "small"
        small.mkdir()
        began = time.perf_counter()
        subprocess.run([sys.executable, str(script), str(side), str(small), str(photos)], check=True)
        return time.perf_counter() - began


def seconds_of_fetcher(photos: Path, side: int, workers: int) -> float:
    """`fetcher run` on a terminal."""
    with tempfile.TemporaryDirectory(dir=photos.parent) as name:
        folder = Path(name)
        (folder / "photos").symlink_to(photos)
        (folder / "job.toml").write_text(JOB.format(side=side, workers=workers))
        ours, theirs = pty.openpty()
        reading = threading.Thread(target=drain, args=(ours,), daemon=True)
        reading.start()
        environment = {**os.environ, "FETCHER_STATE": str(folder / "state"), "TERM": "xterm"}
        command = [sys.executable, "-m", "fetcher", "run", str(folder / "job.toml")]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=theirs, stderr=theirs, env=environment)
        took = time.perf_counter() - began
        os.close(theirs)
        reading.join()
        os.close(ours)
        made = len(list((folder / "small").glob("*.jpg")))
        assert made == len(list(photos.glob("*.jpg"))), f"{made} are there"
        return took


def drain(terminal: int) -> None:
    """Read what is shown, as a terminal does."""
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:  # Linux says so when the other side is closed
        return


def one_round(photos: Path) -> dict[str, float]:
    """Seconds of each."""
    return {
        "loop, 64": seconds_of_loop(LOOP, photos, SMALL),
        "pool of 2 with draft, 64": seconds_of_pool(photos, SMALL),
        "fetcher, 2 workers, 64": seconds_of_fetcher(photos, SMALL, 2),
        "fetcher, 1 worker, 600": seconds_of_fetcher(photos, LARGE, 1),
        "fetcher, 2 workers, 600": seconds_of_fetcher(photos, LARGE, 2),
        "loop, 600": seconds_of_loop(LOOP, photos, LARGE),
    }


def measure(pictures: int, width: int, rounds: int) -> None:
    """Measure and print: medians of the seconds, and of the shares within each round."""
    with tempfile.TemporaryDirectory() as name:
        photos = Path(name) / "photos"
        size = make_photos(photos, pictures, width)
        found = [one_round(photos) for _ in range(rounds)]
    print(f"images: {pictures:,} JPEGs of {width} x {width * 3 // 4}, {size:,} bytes each, {rounds} rounds")
    for what in found[0]:
        seconds = statistics.median(one[what] for one in found)
        print(f"  {what:26} {seconds:8.2f} s {pictures / seconds:9,.1f}/s")
    faster = statistics.median(one["loop, 64"] / one["fetcher, 2 workers, 64"] for one in found)
    linear = statistics.median(one["fetcher, 1 worker, 600"] / one["fetcher, 2 workers, 600"] / 2 for one in found)
    print(f"  at 64 x 64 two workers are {faster:.1f} times as fast as the loop (wanted: 3.5)")
    print(f"  at 600 x 600 two workers are {linear:.2f} of linear to one (wanted: 0.8)")
