"""`fetcher export`."""

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fetcher.shell import JOB, SET, loaded, tell, told_errors

if TYPE_CHECKING:
    from fetcher.export.tables import Exported
    from fetcher.job.load import LoadedJob


@click.command()
@JOB
@click.argument("out")
@SET
@click.option("--table", default="records", metavar="NAME", help="A table beside the main one (write.tables).")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["csv", "tsv", "jsonl", "parquet"]),
    help="Left out: by the end of OUT's name; jsonl for -.",
)
@click.option("--guard-formulas", is_flag=True, help="CSV, TSV: put ' before what a spreadsheet takes for a formula.")
@click.option("--force", is_flag=True, help="Replace OUT where it is there already.")
def export(job: Path, out: str, overrides: tuple[str, ...], **chosen: Any) -> None:
    """Write the records of JOB into a file: CSV, Parquet or JSON Lines.

    Those that stand, without what a later revision replaced. OUT ends in .csv, .tsv, .jsonl (each may be packed, too:
    .csv.gz, .csv.zst) or .parquet; - is standard output. It is there whole at the end, or as it was before. Sends
    nothing; a run may go on meanwhile.
    """
    import time

    from fetcher.export.files import STANDARD_OUTPUT, kind_of, replaced_whole
    from fetcher.export.tables import Wanted
    from fetcher.export.tables import export as write_export

    loaded_job, file = loaded(job, overrides), Path(os.path.realpath(out))
    try:
        format_, packing = kind_of(out, chosen["format_"])
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="OUT") from error
    wanted = Wanted(format_, packing, chosen["table"], chosen["guard_formulas"])
    with told_errors():
        check_table(loaded_job, wanted.table)
        if out == STANDARD_OUTPUT:
            stdout = sys.stdout.buffer
            found = write_export(loaded_job, wanted, stdout, time.time())
            stdout.flush()
        else:
            check_place(loaded_job, file, chosen["force"])
            signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that no draft is left behind
            with replaced_whole(file) as draft:
                found = write_export(loaded_job, wanted, draft, time.time())
        tell(exported_text(out, found))


def check_table(job: "LoadedJob", table: str) -> None:
    """Exit code 2 for a table that neither the job nor its ledger knows."""
    from fetcher.status import view

    with view(job) as ledger:
        is_known = table in job.write.tables or ledger.knows(table)
    if not is_known:
        names = ", ".join(["records", *job.write.tables])
        raise click.BadParameter(f"the job has no table '{table}', only {names}", param_hint="--table")


def check_place(job: "LoadedJob", file: Path, is_forced: bool) -> None:
    """Exit code 2 where the file must not, or cannot, be put there."""
    from fetcher.write.segments import PUBLISHED_NAME

    sources = [one.path for one in job.read.table.files() if one.path] if job.read.table else []
    fault = ""
    if not file.parent.is_dir():
        fault = f"the folder {file.parent} does not exist"
    elif file.exists() and not file.is_file():
        fault = f"{file} is no file"
    elif file.exists() and any(source.exists() and source.samefile(file) for source in sources):
        fault = f"{file} is the table that the job reads"
    elif file.parent == job.write.folder.resolve() and PUBLISHED_NAME.fullmatch(file.name):
        fault = f"{file} has the name of a file that the job writes"
    elif file.exists() and not is_forced:
        fault = f"{file} is there already; --force replaces it"
    if fault:
        raise click.BadParameter(fault, param_hint="OUT")


def exported_text(out: str, found: "Exported") -> str:
    """What was written, and what of the job was not."""
    from fetcher.progress import counted

    lines = [f"{out}: {counted(found.records, 'record')}"]
    if found.mixed:
        lines.append(f"  JSON text, for their values have no type in common: {', '.join(found.mixed)}")
    failed = " + ".join(f"{count:,} {state}" for state, count in sorted(found.failed.items()))
    if failed:
        lines.append(f"  without records of rows that failed: {failed}; `fetcher failures list` names them")
    if found.unpublished:
        lines.append(f"  without {counted(found.unpublished, 'record')} not published yet; a run publishes them")
    return "\n".join(lines)
