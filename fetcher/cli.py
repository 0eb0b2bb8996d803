"""The command line. Heavy packages are imported inside the command that needs them: `--help` answers at once."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fetcher.job.load import LoadedJob

EXIT_CODES = """
\b
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

JOB = click.argument("job", type=click.Path(path_type=Path))
SET = click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key; the value is TOML.")


@click.group(epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="polite-fetcher", prog_name="fetcher")
def main() -> None:
    """Bring every record of a rate-limited HTTP API home: politely, at full speed, exactly once."""


@main.command()
@JOB
@SET
def run(job: Path, overrides: tuple[str, ...]) -> None:
    """Fetch every row of JOB that is not done yet."""
    sys.exit(run_shown(loaded(job, overrides)))


@main.command()
def schema() -> None:
    """Print the JSON Schema of job files, for editors."""
    import json

    from fetcher.job.schema import job_schema

    click.echo(json.dumps(job_schema(), indent=2))


@main.command()
@click.option("--port", default=8765, show_default=True, help="Port on 127.0.0.1; 0 picks a free one.")
@click.option(
    "--step", type=click.Choice(["60", "5"]), default="60", show_default=True, help="Minutes between readings."
)
def serve(port: int, step: str) -> None:
    """Run the built-in API: a hundred days of air temperature, with faults and a rate limit."""
    from fetcher.testing.server import main as serve_until_stopped

    sys.exit(serve_until_stopped(["--port", str(port), "--step", step]))


@main.command()
@click.option(
    "--step", type=click.Choice(["60", "5"]), default="60", show_default=True, help="Minutes between readings."
)
@click.option("--folder", type=click.Path(path_type=Path), default=Path("data/demo"), show_default=True)
@SET
def demo(step: str, folder: Path, overrides: tuple[str, ...]) -> None:
    """Run the air-temperature job against the built-in API."""
    from fetcher.demo import built_in_api, demo_job_file, demo_overrides

    with built_in_api(int(step)) as url:
        sys.exit(run_shown(loaded(demo_job_file(), (*demo_overrides(url, folder), *overrides))))


def loaded(path: Path, overrides: tuple[str, ...]) -> "LoadedJob":
    """The job, or its faults on the screen and exit code 78."""
    import os

    from fetcher.errors import JobError
    from fetcher.job.load import load_job

    try:
        return load_job(path, os.environ, overrides)
    except JobError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)


def run_shown(job: "LoadedJob") -> int:
    """Run a job in front of a person or a log; returns the exit code."""
    import gc
    import logging

    from fetcher.errors import FetcherError
    from fetcher.progress import is_terminal, summary, watch
    from fetcher.run import run as run_job

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    gc.freeze()  # measured: decoding and encoding large answers takes half the time
    try:
        report = run_job(job, watch(job.name, is_terminal()))
    except FetcherError as error:
        click.echo(f"fetcher: {error}", err=True)
        return error.exit_code
    click.echo(summary(report), err=True)
    return report.exit_code
