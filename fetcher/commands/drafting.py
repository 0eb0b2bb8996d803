"""`fetcher init`."""

import os
import sys
from pathlib import Path

import click

from fetcher.shell import tell, told_errors


@click.command()
@click.argument("url", required=False)
@click.option("--curl", metavar="COMMAND", help="A curl command in quotes, as documentation has it; - reads it.")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write the job file here.")
@click.option(
    "--probe/--no-probe", default=None, help="Ask the API once, to learn from its answer. A GET is, unless told."
)
def init(url: str | None, curl: str | None, output: Path | None, probe: bool | None) -> None:
    """Draft a commented job file from a URL or a curl command.

    Secrets in it become ${secret:NAME}, days become slots. A GET is sent once, to see what its answer looks like.
    """
    import tempfile
    import time

    from fetcher.draft.init import Telling, asked_from, draft
    from fetcher.launch import user_state
    from fetcher.write.segments import Layout

    if (url is None) == (curl is None):
        raise click.UsageError("expected a URL, or --curl with a command, and not both")
    command = sys.stdin.read() if "-" in (url, curl) else url or curl or ""
    with told_errors(), tempfile.TemporaryDirectory() as folder:
        check_is_new(output)
        state = None if probe is False else user_state(Layout(Path(folder), Path(folder)), os.environ)
        telling = Telling(str(output or "FILE"), os.environ, time.time(), state, may_change=bool(probe))
        try:
            text = draft(asked_from(command, os.environ), telling)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        if output is None:
            click.echo(text, nl=False)
            return
        write_new(output, text)
        tell(f"{output}: a first draft; read it, then `fetcher check {output}`")


def check_is_new(output: Path | None) -> None:
    """Exit code 2 where the file is there already, before anything is sent."""
    if output is not None and output.exists():
        raise click.UsageError(f"{output} is there already, and is not overwritten")


def write_new(output: Path, text: str) -> None:
    """Write a file that is not there yet. Raises `DiskFailed`."""
    from fetcher.errors import DiskFailed

    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise DiskFailed(f"{output}: {error.strerror}") from error
