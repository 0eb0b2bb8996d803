"""The command line. Heavy packages are imported inside the command that needs them: `--help` answers at once."""

import gc
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fetcher.commands.caching import cache
from fetcher.commands.drafting import init
from fetcher.commands.exporting import export
from fetcher.commands.failing import failures
from fetcher.commands.trying import check, preview, test
from fetcher.shell import JOB, SET, loaded, seconds, tell, told_errors, without_secrets

if TYPE_CHECKING:
    from fetcher.job.load import LoadedJob
    from fetcher.selection import RunOptions

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


class Program(click.Group):
    """The program as a whole: an interruption has the same exit code wherever it strikes."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; Ctrl-C outside a run ends like Ctrl-C inside one."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(128 + signal.SIGINT)


@click.group(
    cls=Program, epilog=EXIT_CODES, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(package_name="polite-fetcher", prog_name="fetcher")
def main() -> None:
    """Bring every record of a rate-limited HTTP API home: politely, at full speed, exactly once."""
    open_closed_streams()


main.add_command(cache)
main.add_command(export)
main.add_command(failures)
main.add_command(init)
main.add_command(check)
main.add_command(preview)
main.add_command(test)


@main.command()
@JOB
@SET
@click.option(
    "--for", "for_", metavar="TIME", help="Begin no row after this long, such as 25m; exit 75 if some are left."
)
@click.option("--only", type=click.Choice(["failed"]), help="Ask for rows that failed, and for no others.")
@click.option("--reparse", is_flag=True, help="Parse kept answers again by the job's present rules.")
@click.option("--as-is", is_flag=True, help="The parse part has changed: leave old rows as they are.")
@click.option("--offline", is_flag=True, help="Send nothing: rows whose answer is not kept wait, with exit 75.")
@click.option("--refresh", is_flag=True, help="Ask for every row again, also for those that are done.")
@click.option(
    "--jitter", metavar="TIME", help="Begin after a random wait of up to this long: for many machines at :00."
)
def run(job: Path, overrides: tuple[str, ...], **chosen: str | bool | None) -> None:
    """Fetch every row of JOB that is not done yet."""
    gc.disable()  # what is imported now makes many objects, and no garbage
    from fetcher.selection import RunOptions

    for one, other in (("reparse", "as_is"), ("offline", "refresh"), ("reparse", "refresh")):
        if chosen[one] and chosen[other]:
            raise click.UsageError(f"--{one} and --{other.replace('_', '-')} exclude each other")
    options = RunOptions(
        only_failed=chosen["only"] == "failed",
        reparse=bool(chosen["reparse"]),
        as_is=bool(chosen["as_is"]),
        offline=bool(chosen["offline"]),
        refresh=bool(chosen["refresh"]),
        for_s=seconds("--for", chosen["for_"]),
    )
    loaded_job = loaded(job, overrides)
    if jitter_s := seconds("--jitter", chosen["jitter"]):
        import random

        wait_for_turn(loaded_job.name, random.uniform(0.0, jitter_s))
    sys.exit(run_shown(loaded_job, options))


@main.command()
@JOB
@SET
def status(job: Path, overrides: tuple[str, ...]) -> None:
    """Show where JOB stands: rows by state, gaps, waits. Sends nothing."""
    import time

    from fetcher.launch import layout_of, user_state
    from fetcher.status import status as status_of
    from fetcher.status import status_text

    loaded_job, now = loaded(job, overrides), time.time()
    with told_errors():
        found = status_of(loaded_job, now, user_state(layout_of(loaded_job), os.environ))
        click.echo(status_text(loaded_job.name, found, now))


@main.command()
@JOB
@SET
def verify(job: Path, overrides: tuple[str, ...]) -> None:
    """Check JOB's ledger against its files, and what was sent against its limits. Exit 65 where something is wrong."""
    from fetcher.errors import Contradiction
    from fetcher.verify import problems

    loaded_job = loaded(job, overrides)
    with told_errors():
        if found := list(problems(loaded_job)):
            raise Contradiction("\n".join(found))
        click.echo(f"{loaded_job.name}: ledger and files agree, and no limit was exceeded")


@main.command()
@JOB
@SET
def plan(job: Path, overrides: tuple[str, ...]) -> None:
    """Tell what a run of JOB would ask for and how long it would take. Sends nothing."""
    import random
    import time

    from fetcher.plan import plan as plan_of
    from fetcher.plan import plan_text

    loaded_job = loaded(job, overrides)
    with told_errors():
        click.echo(plan_text(loaded_job, plan_of(loaded_job, time.time(), random.Random())))


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
@click.option("--limit", default="20/1", show_default=True, metavar="N/SECONDS", help='Rate limit, or "none".')
@click.option("--list-faults", is_flag=True, help="Print the faults that can be asked for, and end.")
def serve(port: int, step: str, limit: str, list_faults: bool) -> None:
    """Run the built-in API: a hundred days of air temperature, with faults and a rate limit."""
    if list_faults:
        from fetcher.testing.faults.catalogue import as_text

        click.echo("\n".join(as_text()))
        return
    from fetcher.testing.server import main as serve_until_stopped

    sys.exit(serve_until_stopped(["--port", str(port), "--step", step, "--limit", limit]))


@main.command()
@click.option(
    "--step", type=click.Choice(["60", "5"]), default="60", show_default=True, help="Minutes between readings."
)
@click.option("--folder", type=click.Path(path_type=Path), default=Path("data/demo"), show_default=True)
@SET
def demo(step: str, folder: Path, overrides: tuple[str, ...]) -> None:
    """Run the air-temperature job against the built-in API."""
    from fetcher.demo import built_in_api, demo_job_file, demo_overrides
    from fetcher.selection import RunOptions

    with built_in_api(int(step)) as url:
        job = loaded(demo_job_file(), (*demo_overrides(url, folder), *overrides))
        sys.exit(run_shown(job, RunOptions()))


def wait_for_turn(job: str, wait_s: float) -> None:
    """Sleep before a run, and say for how long."""
    import time

    with told_errors():
        tell(f"{job}: begins in {wait_s:,.0f} s")
        time.sleep(wait_s)


def open_closed_streams() -> None:
    """Give standard streams that were closed to nowhere.

    The next file that is opened would take their numbers, and get what was meant for the screen.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number, which is this one
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115  (for the whole life)
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def run_shown(job: "LoadedJob", options: "RunOptions") -> int:
    """Run a job in front of a person or a log; returns the exit code."""
    import logging

    from fetcher.launch import own_process
    from fetcher.launch import run as run_job
    from fetcher.progress import is_terminal, summary, watch
    from fetcher.redaction import RedactingFilter

    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    for handler in logging.getLogger().handlers:
        handler.addFilter(RedactingFilter(job.secrets))
    own_process()
    with told_errors(), without_secrets(job.secrets):
        report = run_job(job, options, watch(job.name, is_terminal()))
        if report.parent:
            tell(summary(report.parent))
        if report.stopped and not report.tally.settled_now:
            raise report.stopped
        tell(summary(report))
        return report.exit_code
