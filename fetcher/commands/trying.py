"""Commands that try a job before it is run: `check`, `preview`, `test`."""

from pathlib import Path

import click

from fetcher.shell import JOB, SET, loaded, told_errors


@click.command()
@JOB
@SET
def check(job: Path, overrides: tuple[str, ...]) -> None:
    """Tell what a run of JOB would do and what may be wrong with it. Sends nothing.

    Exit 78 where the job file or its function is wrong, 74 where its folder cannot be written; warnings change no exit
    code.
    """
    import time

    from fetcher.check import check as check_of
    from fetcher.check import check_text

    loaded_job = loaded(job, overrides)
    with told_errors():
        click.echo(check_text(loaded_job, check_of(loaded_job, time.time())))
