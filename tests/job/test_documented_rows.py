"""The examples of docs/rows.md: each is a `[read]` section that loads."""

import re
import tomllib
from pathlib import Path

import pytest

from fetcher.job.read import Read
from fetcher.job.steps import parse_every
from fetcher.tabular.reading import SUFFIXES

PAGE = (Path(__file__).parents[2] / "docs" / "rows.md").read_text()
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_loads(tmp_path, example):
    """Beside the files that it names."""
    (tmp_path / "stations.csv").write_text("id,Station Name\n")
    (tmp_path / "stations.toml").write_text("")
    (tmp_path / "photos").mkdir()
    Read.model_validate(tomllib.loads(example)["read"], context={"folder": tmp_path})


def test_what_the_page_names_is_there():
    """Every step, and every ending of a name."""
    steps, endings = re.findall(r"`(\d+ (?:days?|months?|years?|h))`", PAGE), re.findall(r"`(\.[a-z0-9]+)`", PAGE)
    assert len(EXAMPLES) == 6
    assert len([parse_every(step) for step in steps]) >= 6
    assert set(endings) - {".jpg"} == set(SUFFIXES) - {".sqlite3"}
