"""The examples of docs/answers.md: each does what it says."""

import re
import tomllib
from pathlib import Path

import pytest

from fetcher.job.parse import Parse
from fetcher.parse.from_job import parsing_of
from fetcher.parse.records import parse

PAGE = (Path(__file__).parents[2] / "docs" / "answers.md").read_text()
EXAMPLE = re.compile(
    r"```toml\n(?P<job>.*?)```\n(?:```row\n(?P<row>.*?)```\n)?```(?:json|xml|text)\n(?P<body>.*?)```\n"
    r"```jsonl\n(?P<lines>.*?)```\n",
    re.DOTALL,
)
EXAMPLES = [found.groupdict() for found in EXAMPLE.finditer(PAGE)]


def test_every_block_of_the_page_is_part_of_an_example():
    """No example is passed over because of how it is written."""
    assert len(EXAMPLES) == PAGE.count("```toml\n") == PAGE.count("```jsonl\n") >= 15
    assert PAGE.count("```") == 6 * len(EXAMPLES) + 2 * PAGE.count("```row\n")


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["job"].splitlines()[0])
def test_an_example_gives_its_records(example):
    """To the byte: fields in the order of the job, numbers as they are written."""
    parsing = parsing_of(Parse.model_validate(tomllib.loads(example["job"])), (), None)
    row = tomllib.loads(example["row"] or "")
    assert parse(parsing, example["body"].encode(), row).lines.decode() == example["lines"]
