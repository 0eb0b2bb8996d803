"""Every example of a job in the documentation is one that loads."""

import re
import tomllib
from pathlib import Path

import pytest

from fetcher.job.load import load_job

DOCS = Path(__file__).parents[1] / "docs"
AROUND = {
    "read": 'read.dates = { from = "2024-01-01", to = "2024-01-07" }',
    "parse": 'parse.records = "items[]"',
    "write": 'write = { folder = "out", key = ["id"] }',
}


def examples(name: str) -> list[str]:
    """The TOML of a page."""
    return re.findall(r"```toml\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)


@pytest.mark.parametrize("example", examples("requests.md"))
def test_an_example_of_requests_loads(example, tmp_path):
    """With the rest of a job around it."""
    rest = [line for section, line in AROUND.items() if section not in tomllib.loads(example)]
    job = tmp_path / "job.toml"
    job.write_text("\n".join(['name = "example"', *rest, example]))
    load_job(job, {})
