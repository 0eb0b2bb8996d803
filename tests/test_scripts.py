"""The scripts, in a folder with a space in its name; stand-ins for python3 and uv note how they were called."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.write.chaos import parse as chaos_options
from tests.write.test_power_loss import CRASH_HISTORIES, ERROR_HISTORIES, OTHERS, SHARDS, seeds

ROOT = Path(__file__).parents[1]
TOOLS = [
    "sh",
    "bash",
    "basename",
    "cat",
    "chmod",
    "cksum",
    "cp",
    "dirname",
    "grep",
    "mkdir",
    "mktemp",
    "rm",
    "sed",
    "tail",
    "tee",
]

# FAILS names what shall go wrong: venv, pip (there is none), install, old (the version), uv.
PYTHON = """#!/bin/sh
echo "${0##*/} $*" >>"$CALLS"
fails() { case " $FAILS " in *" $1 "*) return 0 ;; esac; return 1; }
case "$*" in
    "-V") echo "Python 3.10.4" ;;
    "-c "*)
        minor=11
        if fails old; then minor=10; fi
        "$REAL" -c "import sys; sys.version_info = (3, $minor); $2" ;;
    "-m venv --without-pip .venv" | "-m venv .venv")
        mkdir -p .venv/bin
        cp "$0" .venv/bin/python
        case "$*" in *without*) echo >.venv/no-pip ;; *) ! fails venv ;; esac ;;
    "-m pip --version")
        case $0 in .venv/*) [ ! -f .venv/no-pip ] ;; *) ! fails pip ;; esac ;;
    *install*) ! fails install ;;
esac
"""
UV = """#!/bin/sh
echo "uv $*" >>"$CALLS"
case " $FAILS " in *" uv "*) exit 1 ;; esac
if [ "$1" = venv ]; then mkdir -p .venv/bin; cp "$PYTHON3" .venv/bin/python; echo >.venv/no-pip; fi
"""


class Checkout:
    """A copy of the scripts, and a PATH on which nothing lies but what is put there."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a check out"
        self.venv = self.root / ".venv"
        self.bin = folder / "bin"
        self.calls_file = folder / "calls"
        shutil.copytree(ROOT / "scripts", self.root / "scripts")
        shutil.copytree(ROOT / ".ci", self.root / ".ci")
        self.bin.mkdir()
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found, tool
            (self.bin / tool).symlink_to(found)
        (self.root / "pyproject.toml").write_text("[project]\n")

    def put(self, path: Path, text: str) -> None:
        """An executable file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def run(self, script: str, *arguments: str, fails: str = "") -> subprocess.CompletedProcess[str]:
        """Run a script from another folder; `calls` then holds what this run called."""
        self.calls_file.write_text("")
        environment = {
            "PATH": str(self.bin),
            "CALLS": str(self.calls_file),
            "FAILS": fails,
            "PYTHON3": str(self.bin / "python3"),
            "REAL": sys.executable,
            "TMPDIR": str(self.bin.parent),
        }
        command = [str(self.root / script), *arguments]
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, cwd=os.sep, check=False, timeout=60
        )

    @property
    def calls(self) -> list[str]:
        """What was called, without the questions after versions."""
        called = self.calls_file.read_text().splitlines()
        return [call for call in called if " -c " not in call and "--version" not in call and " -V" not in call]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """A checkout with python3, and without uv."""
    made = Checkout(tmp_path)
    made.put(made.bin / "python3", PYTHON)
    return made


PIP = "python -m pip install --quiet --disable-pip-version-check --editable"
NO_PIP = "python3 -m pip --python .venv/bin/python install --quiet --disable-pip-version-check --editable"


def test_uv_is_taken_where_it_is_present(checkout: Checkout) -> None:
    """Neither venv nor pip is asked then."""
    checkout.put(checkout.bin / "uv", UV)
    assert checkout.run("scripts/setup").returncode == 0
    assert [call.split()[:2] for call in checkout.calls] == [["uv", "venv"], ["uv", "pip"]]


def test_a_uv_that_fails_gives_way_to_venv_and_pip(checkout: Checkout) -> None:
    """It may not know the certificates or the index that pip is configured for."""
    checkout.put(checkout.bin / "uv", UV)
    assert checkout.run("scripts/setup", fails="uv").returncode == 0
    assert [call for call in checkout.calls if not call.startswith("uv")] == ["python3 -m venv .venv", f"{PIP} ."]


def test_without_uv_venv_brings_its_own_pip(checkout: Checkout) -> None:
    """The test extra is asked for by name."""
    assert checkout.run("scripts/setup", "test").returncode == 0
    assert checkout.calls == ["python3 -m venv .venv", f"{PIP} .[test]"]


def test_where_venv_has_no_ensurepip_the_pip_of_the_system_installs(checkout: Checkout) -> None:
    """What the failed attempt left is removed first."""
    assert checkout.run("scripts/setup", fails="venv").returncode == 0
    assert checkout.calls == ["python3 -m venv .venv", "python3 -m venv --without-pip .venv", f"{NO_PIP} ."]


@pytest.mark.parametrize("fails", ["venv pip", "old"])
def test_what_cannot_be_set_up_ends_with_one_line_and_exit_code_3(checkout: Checkout, fails: str) -> None:
    """And leaves nothing behind."""
    ran = checkout.run("scripts/setup", fails=fails)
    assert ran.returncode == 3
    assert len(ran.stderr.splitlines()) == 2
    assert ("python3-venv" if "venv" in fails else "3.11 or later") in ran.stderr.splitlines()[1]
    assert not checkout.venv.exists()


def test_the_second_run_calls_nothing(checkout: Checkout) -> None:
    """So it needs no network; what was made for the tests serves the demo too."""
    checkout.run("scripts/setup", "test")
    for want in ("test", "core"):
        assert checkout.run("scripts/setup", want).returncode == 0
        assert checkout.calls == []


def test_tests_after_a_demo_add_the_extra_in_place(checkout: Checkout) -> None:
    """The environment is not made anew for it."""
    checkout.run("scripts/setup", "core")
    checkout.run("scripts/setup", "test")
    assert checkout.calls == [f"{PIP} .[test]"]


def test_a_changed_pyproject_is_installed_in_place(checkout: Checkout) -> None:
    """Once."""
    checkout.run("scripts/setup")
    (checkout.root / "pyproject.toml").write_text("[project]\nname = 'new'\n")
    checkout.run("scripts/setup")
    assert checkout.calls == [f"{PIP} ."]
    checkout.run("scripts/setup")
    assert checkout.calls == []


def test_a_half_made_environment_is_removed(checkout: Checkout) -> None:
    """The marker is written last: without it nothing in the folder is trusted."""
    assert checkout.run("scripts/setup", fails="install").returncode == 3
    (checkout.venv / "left-over").write_text("")
    assert checkout.run("scripts/setup").returncode == 0
    assert not (checkout.venv / "left-over").exists()
    assert checkout.calls == ["python3 -m venv .venv", f"{PIP} ."]


def test_an_environment_whose_python_is_gone_is_removed(checkout: Checkout) -> None:
    """As after an upgrade of the system."""
    checkout.run("scripts/setup")
    (checkout.venv / "bin" / "python").unlink()
    checkout.run("scripts/setup")
    assert checkout.calls == ["python3 -m venv .venv", f"{PIP} ."]


DEMO = """#!/bin/sh
case "$*" in
    "-m fetcher demo"*) exit "${FAILS%,*}" ;;
    "-m fetcher.testing.check_demo "*) exit "${FAILS#*,}" ;;
esac
"""


@pytest.mark.parametrize(("run_and_check", "expected"), [("3,0", 0), ("3,1", 1), ("0,0", 1), ("75,0", 1)])
def test_the_demo_succeeds_only_where_it_fails_as_planned(
    checkout: Checkout, run_and_check: str, expected: int
) -> None:
    """Exit code 3 of `fetcher demo` and records as planned: anything else is a failure of the demo."""
    checkout.run("scripts/setup")
    checkout.put(checkout.venv / "bin" / "python", DEMO)
    ran = checkout.run("scripts/demo", fails=run_and_check)
    assert ran.returncode == expected
    assert ("cron would see exit code 3" in ran.stdout) == (expected == 0)


@pytest.mark.parametrize(
    ("check", "chaos", "test", "closing", "expected"),
    [
        (0, 0, 0, "==== 3 passed, 1 skipped in 0.10s ====", 0),
        (1, 0, 0, "==== 3 passed in 0.10s ====", 1),
        (0, 1, 0, "==== 3 passed in 0.10s ====", 1),
        (0, 0, 1, "==== 1 failed, 3 passed in 0.10s ====", 1),
        (0, 0, 5, "==== no tests ran in 0.10s ====", 1),
        (0, 0, 0, "==== 3 skipped in 0.10s ====", 1),
    ],
)
def test_ci_passes_only_where_checks_histories_and_at_least_one_test_passed(
    checkout: Checkout, check: int, chaos: int, test: int, closing: str, expected: int
) -> None:
    """And its last line is the test runner's closing line."""
    checkout.put(checkout.root / "scripts" / "check", f"#!/bin/sh\nexit {check}\n")
    checkout.put(checkout.root / "scripts" / "chaos", f"#!/bin/sh\nexit {chaos}\n")
    checkout.put(
        checkout.root / "scripts" / "test", f"#!/bin/sh\necho '{closing}'\necho a late warning >&2\nexit {test}\n"
    )
    shell = checkout.run(".ci/run")
    assert shell.returncode == expected, shell.stderr
    assert shell.stdout.splitlines()[-1] == closing


def test_ci_loses_power_in_ten_thousand_histories(checkout: Checkout) -> None:
    """Those of the tests and those of scripts/chaos, and none of them twice."""
    for name in ("check", "chaos", "test"):
        checkout.put(checkout.root / "scripts" / name, '#!/bin/sh\necho "${0##*/} $*" >>"$CALLS"\n')
    checkout.run(".ci/run")
    assert [call.split()[0] for call in checkout.calls] == ["check", "chaos", "test"]
    options = chaos_options(checkout.calls[1].split()[1:])
    told = {*range(options.first, options.first + options.histories), *OTHERS}
    for shard in range(SHARDS):
        told |= {*seeds(shard, CRASH_HISTORIES, faulty=False), *seeds(shard, ERROR_HISTORIES, faulty=True)}
    assert len(told) == 10_000


def test_bench_lists_what_there_is_and_refuses_what_there_is_not(checkout: Checkout) -> None:
    """A benchmark is a file in scripts/benchmarks; its docstring's first line is its description."""
    checkout.put(checkout.root / "scripts" / "benchmarks" / "seeds.py", '"""How fast seeds grow."""\n')
    listed = checkout.run("scripts/bench")
    assert listed.returncode == 0
    assert "seeds            How fast seeds grow." in listed.stdout
    refused = checkout.run("scripts/bench", "weeds")
    assert refused.returncode == 2
    assert "no benchmark called weeds" in refused.stderr


@pytest.mark.parametrize(("body_lines", "expected"), [(39, 0), (40, 1)])
def test_a_function_of_41_lines_is_too_long_and_its_docstring_is_not_counted(
    tmp_path: Path, body_lines: int, expected: int
) -> None:
    """`def` and 39 lines make 40."""
    docstring = '    """One.\n\n    Two.\n    """\n'
    (tmp_path / "long.py").write_text("def grow():\n" + docstring + "    x = 1\n" * body_lines)
    assert sizes(tmp_path) == expected


@pytest.mark.parametrize(("lines", "expected"), [(350, 0), (351, 1)])
def test_a_module_of_351_lines_is_too_long(tmp_path: Path, lines: int, expected: int) -> None:
    """Split by idea, not by length."""
    (tmp_path / "long.py").write_text("x = 1\n" * lines)
    assert sizes(tmp_path) == expected


def sizes(folder: Path) -> int:
    """The exit code of scripts/sizes."""
    command = [sys.executable, str(ROOT / "scripts" / "sizes"), str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode
