"""Every fault of groups N (network), H (HTTP), S (servers), P (processes) has a test by its name or a reason."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOT_GIVEN = {"N11", "H03", "H07", "H13", "H24", "H26", "S08", "S14", "P10", "P11"}
"""Numbers that the catalogue leaves out."""

CATALOGUE = [
    name
    for letter, last in (("N", 15), ("H", 28), ("S", 18), ("P", 15))
    for number in range(1, last + 1)
    if (name := f"{letter}{number:02}") not in NOT_GIVEN
]
NAMED = re.compile(r"(?:^|_)([nhsp][0-9]{2})(?=_|$)")
LISTED = re.compile(r"\b([NHSP])([0-9]{2})(?: to \1([0-9]{2}))?\b")


def faults_named() -> Iterator[str]:
    """The faults that a test is named after."""
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                yield from (name.upper() for name in NAMED.findall(node.name))


def listed() -> Iterator[str]:
    """The faults that docs/limits.md speaks of."""
    for letter, first, last in LISTED.findall((ROOT / "docs" / "limits.md").read_text()):
        yield from (f"{letter}{number:02}" for number in range(int(first), int(last or first) + 1))


@pytest.fixture(scope="module")
def accounted() -> set[str]:
    return {*faults_named(), *listed()}


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_fault_is_tested_or_listed(name, accounted):
    """None is forgotten: whoever takes a test away says so."""
    assert name in accounted


def test_no_other_number_is_used():
    """A name that is misspelt would be nobody's."""
    assert {*faults_named(), *listed()} <= set(CATALOGUE)
