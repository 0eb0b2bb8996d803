"""The examples of docs/answers.md: each does what it says."""

import re
import tomllib
from datetime import date
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


def test_the_readmes_section_does_what_its_comments_say():
    """What is round the record, what the row gives, and what a sentinel becomes."""
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (block,) = [block for block in re.findall(r"```toml\n(.*?)```", readme, re.DOTALL) if block.startswith("[parse]")]
    parsing = parsing_of(Parse.model_validate(tomllib.loads(block)["parse"]), (), None)
    body = b'{"items":[{"timestamp":"2024-05-01T00:00:00+08:00","readings":[{"station_id":"S6","value":-999}]}]}'
    assert parse(parsing, body, {"date": date(2024, 5, 1)}).lines == (
        b'{"day":"2024-05-01","station":"S6","value":null,"year":"2024"}\n'
    )
