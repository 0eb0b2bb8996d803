"""`fetcher failures`."""

import sys
from pathlib import Path

import click

from fetcher.shell import JOB, SET, loaded, told_errors, without_secrets

UNLISTED = "not listed by the job any more"


@click.group()
def failures() -> None:
    """List the rows of a job that failed, ask for them again, or give them up for good."""


@failures.command("list")
@JOB
@SET
def list_failures(job: Path, overrides: tuple[str, ...]) -> None:
    """One line a failed row: key, state, attempts, reason, and whether JOB lists it no more."""
    import time

    from fetcher.failures import listed_failures
    from fetcher.progress import counted, on_screen

    with told_errors():
        for failure, is_listed in listed_failures(loaded(job, overrides), time.time()):
            attempts, no_more = counted(failure.attempts, "attempt"), "" if is_listed else f"\t{UNLISTED}"
            click.echo(f"{failure.key}\t{failure.state}\t{attempts}\t{on_screen(failure.reason)}{no_more}")


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
    """Ask for the failed rows KEYS (all of them without any) at the next run.

    Those that JOB lists no more, such as days before its first one, are left as they are.
    """
    import time

    from fetcher.failures import retry
    from fetcher.progress import counted

    with told_errors():
        rows, unlisted = retry(loaded(job, overrides), keys, time.time())
        matched(rows + unlisted, keys)
        click.echo(f"{counted(rows, 'row is', 'rows are')} asked for at the next run")
        if unlisted:
            what = counted(unlisted, "failed row is", "failed rows are")
            click.echo(f"{what} {UNLISTED}, and left: `fetcher failures discard` takes such rows off the list")


@failures.command("discard")
@JOB
@click.argument("keys", nargs=-1, required=True)
@SET
def discard_failures(job: Path, keys: tuple[str, ...], overrides: tuple[str, ...]) -> None:
    """Settle the failed rows KEYS as discarded: they are not asked for again and fail no run."""
    from fetcher.failures import discard
    from fetcher.progress import counted

    with told_errors():
        rows = matched(discard(loaded(job, overrides), keys), keys)
        click.echo(f"{counted(rows, 'row is', 'rows are')} discarded")


def matched(rows: int, keys: tuple[str, ...]) -> int:
    """How many rows a command has found, or exit code 2 where it was given keys and found fewer."""
    if rows < len(set(keys)):
        raise click.UsageError(
            f"{rows} of these are failed rows: {', '.join(keys)}; `fetcher failures list` names them"
        )
    return rows
