"""`fetcher failures`."""

import sys
from pathlib import Path

import click

from fetcher.shell import JOB, SET, loaded, told_errors, without_secrets


@click.group()
def failures() -> None:
    """List the rows of a job that failed, ask for them again, or give them up for good."""


@failures.command("list")
@JOB
@SET
def list_failures(job: Path, overrides: tuple[str, ...]) -> None:
    """One line a failed row: key, state, reason."""
    from fetcher.progress import on_screen
    from fetcher.status import view

    with told_errors(), view(loaded(job, overrides)) as ledger:
        for failure in ledger.failures():
            click.echo(f"{failure.key}\t{failure.state}\t{failure.attempts} attempts\t{on_screen(failure.reason)}")


@failures.command("show")
@JOB
@click.argument("keys", nargs=-1)
@SET
def show_failures(job: Path, keys: tuple[str, ...], overrides: tuple[str, ...]) -> None:
    """The failed rows KEYS (all of them without any) with request and kept answer; secrets are left out."""
    import time

    from fetcher.failures import shown

    with told_errors():
        found = shown(loaded(job, overrides), keys, time.time())
        matched(len(found), keys)
        for text in found:
            click.echo(text)


@failures.command("repro")
@JOB
@click.argument("key")
@SET
def repro_failure(job: Path, key: str, overrides: tuple[str, ...]) -> None:
    """Parse the answer of the failed row KEY again, by JOB as it is now. Exit 0 where it works, 3 where it fails.

    It is done in a worker of its own, with the limits of JOB; what the parser prints is shown. Settles nothing.
    """
    from fetcher.errors import NotKept
    from fetcher.failures import repro, reproduced_lines

    loaded_job = loaded(job, overrides)
    with told_errors(), without_secrets(loaded_job.secrets):
        try:
            found, now = repro(loaded_job, key)
        except NotKept as error:
            raise click.UsageError(str(error)) from error
        for line in reproduced_lines(loaded_job, found, now):
            click.echo(line)
        sys.exit(3 if now.reason else 0)


@failures.command("retry")
@JOB
@click.argument("keys", nargs=-1)
@SET
def retry_failures(job: Path, keys: tuple[str, ...], overrides: tuple[str, ...]) -> None:
    """Ask for the failed rows KEYS (all of them without any) at the next run."""
    from fetcher.failures import retry

    with told_errors():
        click.echo(f"{matched(retry(loaded(job, overrides), keys), keys):,} rows are asked for at the next run")


@failures.command("discard")
@JOB
@click.argument("keys", nargs=-1, required=True)
@SET
def discard_failures(job: Path, keys: tuple[str, ...], overrides: tuple[str, ...]) -> None:
    """Settle the failed rows KEYS as discarded: they are not asked for again and fail no run."""
    from fetcher.failures import discard

    with told_errors():
        click.echo(f"{matched(discard(loaded(job, overrides), keys), keys):,} rows are discarded")


def matched(rows: int, keys: tuple[str, ...]) -> int:
    """How many rows a command has found, or exit code 2 where it was given keys and found fewer."""
    if rows < len(set(keys)):
        raise click.UsageError(
            f"{rows} of these are failed rows: {', '.join(keys)}; `fetcher failures list` names them"
        )
    return rows
