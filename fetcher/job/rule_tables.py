"""Rules for labels, and the files that hold them."""

import csv
import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from fetcher.job.kinds import Kind, whole_number
from fetcher.job.section import Section
from fetcher.job.values import parse_pattern
from fetcher.job.wording import listed, shown

COLUMNS = ("label", "term", "pattern", "unless", "priority")


def _term(value: object) -> str:
    if isinstance(value, str) and value.strip(" \t*"):
        return value.strip()
    raise ValueError(f"expected a word or a phrase such as 'late' or 'deliver*', got {shown(value)}")


def _pattern(value: object) -> str:
    return parse_pattern(value).pattern


Term = Annotated[str, Kind(_term, lambda: {"type": "string", "examples": ["late", "deliver*", "did not arrive"]})]
PatternText = Annotated[str, Kind(_pattern, lambda: {"type": "string", "examples": ["refund(ed)?"]})]


class RuleSection(Section):
    """A label, and what gives it."""

    label: str = Field(min_length=1, description="What the rule calls a text that it fits.")
    terms: tuple[Term, ...] = Field(
        default=(), description="Words and phrases, upper and lower case alike; 'deliver*' is the beginning of a word."
    )
    patterns: tuple[PatternText, ...] = Field(
        default=(), description="Regular expressions, upper and lower case alike."
    )
    unless: tuple[Term, ...] = Field(default=(), description="Words and phrases that speak against the label.")
    priority: Annotated[int, whole_number(-(10**6), 10**6)] = Field(
        default=0, description="Labels of a higher priority come first; among equals the order of the rules counts."
    )

    @model_validator(mode="after")
    def _check_some(self) -> Self:
        if not self.terms and not self.patterns:
            raise ValueError("expected 'terms' or 'patterns', got neither: nothing would give this label")
        return self


class _Table(Section):
    rule: tuple[RuleSection, ...] = Field(min_length=1)


def rules_in_file(file: Path) -> tuple[RuleSection, ...]:
    """The rules of a TOML or CSV file. Raises ValueError saying where in it something is wrong."""
    try:
        if file.suffix == ".csv":
            return _from_csv(file)
        return _Table.model_validate(tomllib.loads(file.read_text(encoding="utf-8-sig"))).rule
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"'{file.name}' {place}: {first['msg'].removeprefix('Value error, ')}") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, csv.Error) as error:
        raise ValueError(f"'{file.name}' cannot be read: {error}") from error


def _from_csv(file: Path) -> tuple[RuleSection, ...]:
    """One line for each term; lines with one label make one rule."""
    rules: dict[str, dict[str, list[object]]] = {}
    priorities: dict[str, int] = {}
    with file.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        unknown = [name for name in reader.fieldnames or () if name not in COLUMNS]
        if unknown or "label" not in (reader.fieldnames or ()):
            raise ValueError(f"'{file.name}' line 1: expected the columns {listed(COLUMNS, 'or')}, got {unknown}")
        for line in reader:
            rule = rules.setdefault(line["label"], {"terms": [], "patterns": [], "unless": []})
            for column, key in (("term", "terms"), ("pattern", "patterns"), ("unless", "unless")):
                rule[key] += [line[column]] if line.get(column) else []
            if text := line.get("priority"):
                if not text.strip().lstrip("-").isdigit():
                    raise ValueError(f"'{file.name}' line {reader.line_num}: priority is {text!r}, expected a number")
                priorities[line["label"]] = int(text)
    told = [{"label": label, "priority": priorities.get(label, 0), **rule} for label, rule in rules.items()]
    return _Table.model_validate({"rule": told}).rule
