"""What every command has in common: the job that it is given, and how errors become exit codes."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fetcher.job.load import LoadedJob

INTERRUPTED = 130
LEAST_SECRET = 8

JOB = click.argument("job", type=click.Path(path_type=Path))
SET = click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key; the value is TOML.")


def loaded(path: Path, overrides: tuple[str, ...], environ: Mapping[str, str] = os.environ) -> "LoadedJob":
    """The job, or its faults on the screen and exit code 78."""
    from fetcher.errors import JobError
    from fetcher.job.load import load_job

    try:
        return load_job(path, environ, overrides)
    except JobError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)


def seconds(option: str, text: str | bool | None) -> float | None:
    """A time such as `25m`, or exit code 2."""
    from fetcher.job.units import parse_duration

    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=option) from error


@contextmanager
def told_errors() -> Iterator[None]:
    """Errors that fetcher raises on purpose become one line and their exit code; Ctrl-C becomes 130."""
    from fetcher.errors import FetcherError

    try:
        yield
    except FetcherError as error:
        tell(f"fetcher: {error}")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


@contextmanager
def without_secrets(secrets: frozenset[str]) -> Iterator[None]:
    """Take the variables that hold secrets out of the environment: workers inherit it, and run code of others.

    A short secret is looked for as a whole value; it may be a part of anything.
    """
    long = [secret for secret in secrets if len(secret) >= LEAST_SECRET]
    held = {name: text for name, text in os.environ.items() if text in secrets or any(one in text for one in long)}
    for name in held:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(held)


def tell(text: str) -> None:
    """A line on standard error. Where nobody reads on, as behind `| head`, the exit code is what still counts."""
    try:
        click.echo(text, err=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # what is left in the buffer would fail the interpreter's end
