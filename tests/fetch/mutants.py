"""What scripts/mutants runs: mutmut over the modules of one group, with the tests that are about them.

Each group has a folder of its own below `mutants/`, with a copy of the sources and what mutmut knows of every mutant.
A run that was stopped goes on where it was; a function that changed has its mutants tried again. A mutant that lives
is tried again with `--again`, once there are sharper tests.
"""

import argparse
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORK = ROOT / "mutants"
IN_MEMORY = Path("/dev/shm")
"""Where a sync costs nothing: mutants of what is kept make thousands of them."""

COPIED = ("fetcher", "tests", "configs")
KILLED = frozenset({1, 3, -24, 24, 36, 152, 255})
"""What mutmut notes of a mutant that a test has found, or that never came to an end."""

SETTINGS = """
[tool.mutmut]
source_paths = ["fetcher"]
only_mutate = {modules}
also_copy = ["configs"]
pytest_add_cli_args = {arguments}
pytest_add_cli_args_test_selection = {tests}
timeout_multiplier = 1.5
timeout_constant = 3.0
use_git_change_detection = false
on_dependency_change = "ignore"
"""


@dataclass(frozen=True, slots=True)
class Group:
    """Modules of fetcher/fetch, and the files beside this one whose tests are about them, but for the slow ones; others
    with their folder."""

    modules: Sequence[str]
    tests: Sequence[str]
    left_out: Sequence[str] = ()


ARGUMENTS = ("-p", "no:cacheprovider", "--hypothesis-profile", "mutants")
FOUR_PROCESSES = (
    "starts.py::test_four_processes_share_a_window_also_when_one_is_killed",
    "starts.py::test_four_that_share_use_what_they_may",
)
HINTS = ("hints", "retry_after", "resets", "families", "policies", "refusals", "http_dates", "structured")
GROUPS: Mapping[str, Group] = {
    "limits": Group(("limits", "windows", "crowd"), ("limits", "windows", "starts", "health"), FOUR_PROCESSES),
    "retries": Group(("retries", "budget"), ("retries", "budget")),
    "hints": Group(HINTS, HINTS),
    "health": Group(("breaker", "adaptive", "health"), ("breaker", "adaptive", "health")),
    "quotas": Group(("quotas", "rations"), ("quotas", "starts"), FOUR_PROCESSES),
    "safety": Group(("redirects", "guard", "auth", "../origins"), ("redirects", "guard", "auth", "../test_origins")),
}


def prepare(name: str) -> Path:
    """The group's folder, with the sources of now; what is unchanged keeps its time, by which mutmut knows it."""
    folder, group = WORK / name, GROUPS[name]
    folder.mkdir(parents=True, exist_ok=True)
    for part in COPIED:
        shutil.rmtree(folder / part, ignore_errors=True)
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    told = SETTINGS.format(
        arguments=json.dumps([*ARGUMENTS, *(f"--deselect=tests/fetch/test_{test}" for test in group.left_out)]),
        modules=json.dumps([f"fetcher/fetch/{module}.py".replace("fetch/../", "") for module in group.modules]),
        tests=json.dumps([f"tests/fetch/test_{test}.py".replace("fetch/test_../", "") for test in group.tests]),
    )
    (folder / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text() + told)
    return folder


def run(folder: Path, names: Sequence[str]) -> None:
    """Try every mutant that has not been tried, or those named."""
    mutmut = Path(sys.executable).with_name("mutmut")
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    if IN_MEMORY.is_dir():
        environ["TMPDIR"] = str(IN_MEMORY)
    command = ["nice", str(mutmut), "run", "--max-children", str(os.cpu_count() or 1), *names]
    with (folder / "said").open("wb") as said:
        if subprocess.run(command, cwd=folder, stdout=said, env=environ, check=False).returncode:
            raise SystemExit(f"mutmut failed; {folder / 'said'} tells why")


def results(folder: Path) -> Iterator[tuple[str, dict[str, int | None]]]:
    """(module, {mutant: what mutmut notes of it}) for every module that was mutated."""
    for path in sorted((folder / "mutants").rglob("*.meta")):
        if found := json.loads(path.read_text())["exit_code_by_key"]:
            yield path.name.removesuffix(".py.meta"), found


def living(folder: Path) -> list[str]:
    return [mutant for _, found in results(folder) for mutant, code in found.items() if code not in KILLED]


def tell(name: str, folder: Path, lists: bool) -> None:
    killed = total = 0
    for module, found in results(folder):
        dead = sum(code in KILLED for code in found.values())
        print(f"  {module:12} {dead:5} of {len(found):5}  {100 * dead / len(found):5.1f} %", flush=True)
        killed, total = killed + dead, total + len(found)
    print(f"{name}: {killed} of {total} killed, {100 * killed / max(1, total):.1f} %", flush=True)
    if lists:
        mutmut = Path(sys.executable).with_name("mutmut")
        for mutant in living(folder):
            subprocess.run([mutmut, "show", mutant], cwd=folder, check=False)


def install() -> None:
    """Put the throw-away extra `mutants` where this runs, if it is not there."""
    if importlib.util.find_spec("mutmut"):
        return
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["mutants"]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    uv = ["uv", "pip", "install", "--quiet", "--python", sys.executable]
    subprocess.run([*(uv if shutil.which("uv") else pip), *extra], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"some of {', '.join(GROUPS)} (all)")
    parser.add_argument("--again", action="store_true", help="try those that live again")
    parser.add_argument("--tell", action="store_true", help="run nothing, tell what is known")
    parser.add_argument("--list", action="store_true", help="show those that live")
    options = parser.parse_args()
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"there is no group {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    install()
    for name in options.groups or GROUPS:
        if not options.tell:
            folder = prepare(name)
            run(folder, ())
            if options.again and (names := living(folder)):
                run(folder, names)
        tell(name, WORK / name, options.list)


if __name__ == "__main__":
    main()
