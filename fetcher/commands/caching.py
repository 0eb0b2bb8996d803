"""`fetcher cache`: what is kept of a job's answers. Heavy packages are imported inside the commands."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fetcher.job.load import LoadedJob

JOB = click.argument("job", type=click.Path(path_type=Path))
SET = click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key; the value is TOML.")


NOTHING_KEPT = "nothing is kept"


@click.group()
def cache() -> None:
    """List the answers that a job keeps, show one, or throw some or all of them away."""


@cache.command("ls")
@JOB
@SET
def list_answers(job: Path, overrides: tuple[str, ...]) -> None:
    """One line an answer, the newest first: key, status, bytes (packed), time, request."""
    from fetcher.fetch.upkeep import kept_answers
    from fetcher.progress import local_time, on_screen

    with cache_of(job, overrides) as path:
        kept = None
        for kept in kept_answers(path):
            told = f"{kept.size:,}\t{local_time(kept.fetched_at)}\t{on_screen(kept.label)}"
            click.echo(f"{kept.key[:12]}\t{kept.status}\t{told}")
        if kept is None:
            click.echo(NOTHING_KEPT, err=True)


@cache.command()
@JOB
@click.argument("key")
@SET
def show(job: Path, key: str, overrides: tuple[str, ...]) -> None:
    """The answer whose key begins with KEY: its status and headers on standard error, its body on standard output."""
    from fetcher.fetch.upkeep import kept_answer
    from fetcher.progress import on_screen

    with cache_of(job, overrides) as path:
        found = kept_answer(path, key)
        if found is None:
            raise click.UsageError(f"expected the first letters of one key, got {key}; `fetcher cache ls` lists them")
        kept, answer = found
        lines = [f"{kept.label} {kept.status}", *(f"{name}: {value}" for name, value in answer.headers)]
        click.echo("\n".join(on_screen(line) for line in lines), err=True)
        click.echo(answer.body, nl=False)


@cache.command()
@JOB
@click.option("--older-than", required=True, metavar="TIME", help="Such as '30 days', since it was fetched.")
@SET
def prune(job: Path, older_than: str, overrides: tuple[str, ...]) -> None:
    """Throw away answers that are older than a time. Those of rows that are not done are asked for again."""
    import time

    from fetcher.fetch.upkeep import prune as throw_away
    from fetcher.job.units import parse_duration

    try:
        age_s = parse_duration(older_than)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--older-than") from error
    with cache_of(job, overrides, is_changed=True) as path:
        click.echo(f"{throw_away(path, time.time() - age_s):,} answers thrown away")


@cache.command()
@JOB
@SET
def clear(job: Path, overrides: tuple[str, ...]) -> None:
    """Throw away all answers. What is done stays done; `run --reparse` finds nothing to parse any more."""
    from fetcher.fetch.upkeep import prune as throw_away

    with cache_of(job, overrides, is_changed=True) as path:
        click.echo(f"{throw_away(path, float('inf')):,} answers thrown away")


@contextmanager
def cache_of(path: Path, overrides: tuple[str, ...], *, is_changed: bool = False) -> Iterator[Path]:
    """The file of a job's answers; exit 0 where there is none yet. What changes it waits for no run: exit 4."""
    from contextlib import nullcontext

    from fetcher.errors import FetcherError
    from fetcher.launch import held, layout_of

    layout = layout_of(loaded(path, overrides))
    if not (layout.state / "cache.sqlite").is_file():
        click.echo(NOTHING_KEPT, err=True)
        sys.exit(0)
    try:
        with held(layout) if is_changed else nullcontext():
            yield layout.state / "cache.sqlite"
    except FetcherError as error:
        click.echo(f"fetcher: {error}", err=True)
        sys.exit(error.exit_code)


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
