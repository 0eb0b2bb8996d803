"""The air-temperature job against the built-in API: the job file that is shipped, with what a test needs set anew."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import fetcher.testing
from fetcher.testing.air_temperature import load_plan

TEST_RATE = "20/s"
"""What the built-in API allows; the real one allows less."""


def demo_job_file() -> Path:
    """`configs/air_temperature.toml`, beside the package in a checkout and inside it once installed."""
    package = Path(fetcher.testing.__file__).parents[1]
    places = [folder / "configs" / "air_temperature.toml" for folder in (package.parent, package)]
    return next((place for place in places if place.is_file()), places[-1])


def demo_overrides(url: str, folder: Path) -> tuple[str, ...]:
    """What differs from the real job: the address, the hundred days of the plan, the folder and the rate."""
    plan = load_plan()
    return (
        f'fetch.base_url="{url}"',
        f'fetch.limits.rate="{TEST_RATE}"',
        f'read.dates.from="{plan.first}"',
        f'read.dates.to="{plan.last}"',
        f"write.folder={json.dumps(str(folder.resolve()))}",
    )


@contextmanager
def built_in_api(step: int) -> Iterator[str]:
    """The built-in API in a process of its own, which ends with this one; yields its address."""
    command = [sys.executable, "-m", "fetcher.testing.server", "--port", "0", "--step", str(step), "--with-parent"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()
