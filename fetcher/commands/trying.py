"""Commands that try a job before it is run: `check`, `preview`, `test`."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from fetcher.shell import JOB, SET, loaded, told_errors, without_secrets

if TYPE_CHECKING:
    from fetcher.job.load import LoadedJob


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
@click.option("--sample", type=click.IntRange(1), help="Count what becomes of so many rows, all pages.")
def preview(job: Path, overrides: tuple[str, ...], *, rows: int, pages: int, sample: int | None) -> None:
    """Fetch the first rows of JOB and show their records.

    Writes nothing but the cache of answers: a run does not ask again for what is kept there (cache.keep = "http": as
    headers say). Keeps to the limits of JOB.
    """
    from fetcher.preview import Look, is_carried_out_twice, preview_lines

    told = click.get_current_context().get_parameter_source
    if sample and ParameterSource.COMMANDLINE in (told("rows"), told("pages")):
        raise click.UsageError("--sample says how many rows, and takes all their pages: leave out --rows and --pages")
    loaded_job = loaded(job, overrides)
    if is_carried_out_twice(loaded_job):
        raise click.UsageError(
            "a request whose answer is not kept (cache.keep = 'none', and 'http' of a POST or PATCH) would be carried "
            "out here, and again by a run; try --set fetch.cache.keep=forever"
        )
    with told_errors(), without_secrets(loaded_job.secrets):
        if sample:
            sys.exit(show_sample(loaded_job, sample))
        for text in preview_lines(loaded_job, Look(rows, pages), os.environ):
            click.echo(text)


def show_sample(job: "LoadedJob", rows: int) -> int:
    """Try so many rows and print what became of them; returns the exit code."""
    from fetcher.sample import sample, sample_lines

    found = sample(job, rows, os.environ)
    click.echo("\n".join(sample_lines(job, found)))
    if found.signal:
        return 128 + found.signal
    return found.stopped.exit_code if found.stopped else 0


@click.command()
@JOB
@SET
@click.option("--record", is_flag=True, help="Make the file of examples from the first rows' answers, without secrets.")
@click.option("--rows", default=1, show_default=True, type=click.IntRange(1, 100), help="So many rows are recorded.")
def test(job: Path, overrides: tuple[str, ...], record: bool, rows: int) -> None:
    """Try the examples beside JOB: answers in, records out. Sends nothing, needs no secret.

    The examples of job.toml are in job.test.toml. Exit 0 where all hold, 3 where some do not, 78 where there are none.
    """
    from fetcher.examples import tried_text, try_examples, with_stand_ins

    if record:
        from fetcher.recording import record as record_examples

        loaded_job = loaded(job, overrides)
        with told_errors():
            click.echo(record_examples(loaded_job, rows, os.environ))
        return
    loaded_job = loaded(job, overrides, with_stand_ins(job, os.environ))
    with told_errors():
        found = try_examples(loaded_job)
        click.echo(tried_text(loaded_job, found))
        sys.exit(3 if any(example.wrong for example in found) else 0)
