"""Rules for the whole tree that no linter holds."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fetcher"
SAY_NOTHING = {"utils", "util", "helpers", "helper", "core", "common", "base", "manager", "misc"}
HEAVY = {"aiohttp", "pandas", "pydantic", "rich", "msgspec"}


def dependencies() -> set[str]:
    """Import names of all that pyproject.toml asks for (`types-requests` gives `types_requests`)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(name for extra in project["optional-dependencies"].values() for name in extra)]
    return {re.split(r"[^\w.-]", name)[0].lower().replace("-", "_") for name in asked}


def tracked_files() -> list[Path]:
    """Every file that is, or is about to be, in the repository."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def lines_matching(pattern: str) -> list[str]:
    """`file:line: text` for every line of the repository in which `pattern` is found."""
    wanted = re.compile(pattern)
    return [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()[:100]}"
        for file in tracked_files()
        for number, line in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), start=1)
        if wanted.search(line)
    ]


def test_no_module_borrows_a_name_or_says_nothing_by_it() -> None:
    """No module is named like the standard library, a dependency, or a drawer for everything."""
    modules = {
        path.stem: path for path in PACKAGE.rglob("*") if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    assert "errors" in modules
    taken = modules.keys() & (sys.stdlib_module_names | dependencies() | SAY_NOTHING)
    assert not taken, [str(modules[name].relative_to(ROOT)) for name in taken]


def test_nothing_is_marked_unfinished() -> None:
    """What is left to do is not written into the code."""
    marks = "|".join(["TO" + "DO", "FIX" + "ME"])
    assert lines_matching(rf"\b({marks})\b") == []


def test_no_file_names_a_place_on_one_machine() -> None:
    """Nothing in the repository knows where somebody has checked it out."""
    assert lines_matching(r"(?<![\w.{}$-])/(work|root|home|Users)" + r"/\w") == []


@pytest.mark.skipif(not (PACKAGE / "cli.py").is_file(), reason="there is no command line yet")
def test_help_imports_nothing_heavy() -> None:
    """`fetcher --help` answers at once: what takes long to import is imported inside the command that needs it."""
    command = [sys.executable, "-X", "importtime", "-m", "fetcher", "--help"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in ran.stderr.splitlines()}
    assert "click" in imported
    assert not imported & HEAVY


def test_no_api_is_known_by_name() -> None:
    """What is special about an API is in its job file; the program knows only the one that the demo imitates."""
    apis = r"(?i)open-?ai|crossref|usgs|fdsn|world ?bank|ip-api|open-?meteo|data\.gov"
    named = {line.partition(":")[0] for line in lines_matching(apis)}
    assert {name for name in named if name.startswith("fetcher/")} == {"fetcher/testing/server.py"}
