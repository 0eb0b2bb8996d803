"""Commands that try a job before it is run: `check`, `preview`, `test`."""

import os
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


@click.command()
@JOB
@SET
@click.option("--rows", default=3, show_default=True, type=click.IntRange(1, 100), help="So many rows, from the first.")
@click.option("--pages", default=1, show_default=True, type=click.IntRange(1, 100), help="So many pages of each row.")
def preview(job: Path, overrides: tuple[str, ...], rows: int, pages: int) -> None:
    """Fetch the first rows of JOB and show their records.

    Writes nothing but the cache of answers, so a run does not ask for them again. Keeps to the limits of JOB.
    """
    from fetcher.preview import Look, is_carried_out_twice, preview_lines

    loaded_job = loaded(job, overrides)
    if is_carried_out_twice(loaded_job):
        raise click.UsageError(
            f"a {loaded_job.fetch.method} whose answer is not kept (fetch.cache.keep = 'none') would be carried out "
            "here, and again by a run; try --set fetch.cache.keep=forever"
        )
    with told_errors():
        for text in preview_lines(loaded_job, Look(rows, pages), os.environ):
            click.echo(text)
