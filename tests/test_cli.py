"""The face of the program: what --help says and costs, and that whatever the project shows to a newcomer works."""

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from aiohttp import web

from fetcher.job import load_job

ROOT = Path(__file__).parents[1]
HEAVY = {"aiohttp", "pandas", "pydantic", "rich", "msgspec", "pebble", "tenacity"}
HELP = """\
Usage: python -m fetcher [OPTIONS] COMMAND [ARGS]...

  Bring every record of a rate-limited HTTP API home: politely, at full speed, exactly once.

Options:
  --version   Show the version and exit.
  -h, --help  Show this message and exit.

Commands:
  cache     List the answers that a job keeps, show one, or throw some or all of them away.
  check     Tell what a run of JOB would do and what may be wrong with it.
  demo      Run the air-temperature job against the built-in API.
  export    Write the records of JOB into a file: CSV, Parquet or JSON Lines.
  failures  List the rows of a job that failed, ask for them again, or give them up for good.
  init      Draft a commented job file from a URL or a curl command.
  plan      Tell what a run of JOB would ask for and how long it would take.
  preview   Fetch the first rows of JOB and show their records.
  run       Fetch every row of JOB that is not done yet.
  schema    Print the JSON Schema of job files, for editors.
  serve     Run the built-in API: a hundred days of air temperature, with faults and a rate...
  status    Show where JOB stands: rows by state, gaps, waits.
  test      Try the examples beside JOB: answers in, records out.
  verify    Check JOB's ledger against its files, and what was sent against its limits.

  Exit codes:
    0   every row accounted for, none failed
    2   wrong command line
    3   finished, some rows failed
    4   another run holds the job
    65  ledger and files contradict each other
    69  the API is down
    74  the disk failed or is full
    75  to be continued: run again, after the printed time if there is one
    78  the job file is wrong
    130, 143  interrupted; run again to go on
"""
HELP_CPU_S = 0.3


def python(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run this Python, in a terminal of a hundred columns."""
    told = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **environment}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=cwd, env=told, timeout=120, check=False
    )


def blocks(language: str) -> list[str]:
    """The README's code blocks in that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)


def test_help_is_as_shown() -> None:
    """A snapshot: commands and exit codes are a contract."""
    ran = python("-m", "fetcher", "--help", PYTHONWARNINGS="error")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, HELP, "")


def cpu_s_of_help() -> float:
    """User and system time of one `fetcher --help`."""
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "fetcher", "--help"],
        os.environ,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, used = os.wait4(pid, 0)
    assert status == 0
    return used.ru_utime + used.ru_stime


def test_help_answers_within_three_tenths_of_a_second_of_cpu() -> None:
    """The least of several: the first may have to compile."""
    least = min(cpu_s_of_help() for _ in range(5))
    print(f"{least:.3f} s")
    assert least < HELP_CPU_S


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["run", "--help"],
        ["demo", "--help"],
        ["check", "--help"],
        ["init", "--help"],
        ["preview", "--help"],
        ["--version"],
    ],
)
def test_no_help_imports_anything_heavy(arguments: list[str]) -> None:
    """What takes long to import is imported inside the command that needs it."""
    ran = python("-X", "importtime", "-m", "fetcher", *arguments)
    assert ran.returncode == 0
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in ran.stderr.splitlines()}
    assert "click" in imported
    assert not imported & HEAVY


def test_schema_prints_a_json_schema_in_which_every_key_is_described() -> None:
    """Plain JSON on standard output; every reference leads somewhere."""
    ran = python("-m", "fetcher", "schema")
    assert (ran.returncode, ran.stderr) == (0, "")
    schema = json.loads(ran.stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["type"] == "object"
    for reference in re.findall(r'"\$ref": "#/\$defs/(\w+)"', ran.stdout):
        assert reference in schema["$defs"]
    for section in (schema, *schema["$defs"].values()):
        for name, key in section.get("properties", {}).items():
            assert key.get("description") or key.get("$ref"), name


SHIPPED = sorted(path for path in (ROOT / "configs").glob("*.toml") if not path.name.endswith(".test.toml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_job_loads(path: Path) -> None:
    """A newcomer starts from these files; none may need anything from outside but the keys of its API."""
    secrets = re.findall(r"\$\{secret:(\w+)\}", path.read_text(encoding="utf-8"))
    assert load_job(path, dict.fromkeys(secrets, "key")).name


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.test.toml")), ids=lambda path: path.name)
def test_every_shipped_example_holds(path: Path) -> None:
    """They are beside the jobs that a newcomer starts from, and show what an answer looks like."""
    ran = python("-m", "fetcher", "test", str(path.with_name(path.name.replace(".test.toml", ".toml"))))
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run"], "Missing argument 'JOB'"),
        (["demo", "--step", "7"], "'7' is not one of '60', '5'"),
        (["fetch"], "No such command 'fetch'"),
    ],
)
def test_a_wrong_command_line_exits_2(arguments: list[str], message: str) -> None:
    """And says what was wrong with it."""
    ran = python("-m", "fetcher", *arguments)
    assert ran.returncode == 2
    assert message in ran.stderr


def test_a_job_file_that_is_not_there_is_a_fault_of_the_job(tmp_path: Path) -> None:
    """Exit 78 and one line."""
    ran = python("-m", "fetcher", "run", str(tmp_path / "no.toml"))
    assert ran.returncode == 78
    assert len(ran.stderr.splitlines()) == 1
    assert "no.toml" in ran.stderr


def test_the_readme_names_every_exit_code_and_command_of_help() -> None:
    """One table there, one list here: they may not drift apart."""
    text = (ROOT / "README.md").read_text()
    for code in re.findall(r"^    ([\d, ]+?)  +\w", HELP, re.MULTILINE):
        assert all(re.search(rf"^\|[^|]*\b{number}\b[^|]*\|", text, re.MULTILINE) for number in code.split(", ")), code
    for name in re.findall(r"^  (\w+)  +\w", HELP, re.MULTILINE):
        assert f"fetcher {name}" in text, name


def test_the_readmes_scripts_exist() -> None:
    """Every script that a shell block calls is there and can be run."""
    called = set(re.findall(r"^(scripts/\w+)", "\n".join(blocks("sh")), re.MULTILINE))
    assert {"scripts/demo", "scripts/test"} <= called
    assert all(os.access(ROOT / name, os.X_OK) for name in called)


def test_the_readmes_first_job_and_python_run_as_written(tmp_path: Path) -> None:
    """The job file, its command and the Python block, in a folder of their own, against the built-in API."""
    served = [sys.executable, "-m", "fetcher", "serve", "--port", "0"]
    with subprocess.Popen(served, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            assert server.stdout
            url = server.stdout.readline().strip()
            job = blocks("toml")[0]
            assert "http://127.0.0.1:8765" in job
            (tmp_path / "first.toml").write_text(job.replace("http://127.0.0.1:8765", url))
            (line,) = [line for block in blocks("sh") for line in block.splitlines() if "first.toml" in line]
            ran = python("-m", *shlex.split(line, comments=True), cwd=tmp_path)
            assert ran.returncode == 0, ran.stderr
            (source,) = blocks("python")
            ran = python("-W", "error", "-c", source, cwd=tmp_path)
            assert ran.returncode == 0, ran.stderr
            assert ran.stdout
        finally:
            server.terminate()


def test_the_readmes_table_is_labelled_as_written(tmp_path: Path) -> None:
    """Its job and its two commands, over a table as it describes it; then with a line that was changed."""
    (job,) = [block for block in blocks("toml") if 'name = "reviews"' in block]
    (commands,) = [block for block in blocks("sh") if "reviews.toml" in block]
    (tmp_path / "reviews.toml").write_text(job)

    def labelled(table: str, *options: str) -> list[str]:
        (tmp_path / "reviews.csv").write_text(table)
        for line in commands.splitlines():
            ran = python("-m", *shlex.split(line, comments=True), *(options if "export" in line else ()), cwd=tmp_path)
            assert ran.returncode == 0, ran.stderr
        return (tmp_path / "labelled.csv").read_text().splitlines()

    assert len(job.splitlines()) <= 12
    both = '"[""logistics"",""quality""]"'
    header, *rows = labelled("id,review\n001,Delivered late and broken\nNA,not broken\n")
    assert header == "id,review,topics"
    assert sorted(rows) == [f"001,Delivered late and broken,{both}", "NA,not broken,[]"]
    _, *rows = labelled("id,review\n001,Delivered late and broken\nNA,broken\n", "--force")
    assert sorted(rows) == [f"001,Delivered late and broken,{both}", 'NA,broken,"[""quality""]"']


async def search(request: web.Request) -> web.Response:
    """Five items a day, two of them a page; one that was answered before is not carried out again."""
    told, after = await request.json(), int(request.query.get("after", 0))
    assert request.headers["Idempotency-Key"]
    items = [{"id": f"{told['day']}/{number}"} for number in range(5)]
    last = after + told["limit"]
    meta = {"next": last if last < len(items) else None, "total": len(items)}
    return web.json_response({"items": items[after:last], "meta": meta})


async def test_the_readmes_job_in_pages_runs_as_written(tmp_path: Path) -> None:
    """Its job file and its command, against a server that answers as the comments there say."""
    app = web.Application()
    app.router.add_post("/v1/search", search)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        (job,) = [block for block in blocks("toml") if 'name = "paged"' in block]
        assert "http://127.0.0.1:8766" in job
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        (tmp_path / "paged.toml").write_text(job.replace("http://127.0.0.1:8766", url))
        (line,) = [line for block in blocks("sh") for line in block.splitlines() if "paged.toml" in line]
        ran = await asyncio.to_thread(partial(python, "-m", *shlex.split(line, comments=True), cwd=tmp_path))
        assert ran.returncode == 0, ran.stderr
        records = (tmp_path / "data" / "paged" / "records-000001.jsonl").read_text().splitlines()
        assert len(set(records)) == len(records) == 15
        assert "9 requests" in ran.stderr
    finally:
        await runner.cleanup()
