"""What --help says of each command: snapshots, for it is read before anything else."""

import pytest
from click.testing import CliRunner

from fetcher.cli import main

HELP = {
    "export": """\
Usage: fetcher export [OPTIONS] JOB OUT

  Write the records of JOB into a file: CSV, Parquet or JSON Lines.

  Those that stand, without what a later revision replaced. OUT ends in .csv, .tsv, .jsonl (each may
  be packed, too: .csv.gz, .csv.zst) or .parquet; - is standard output. It is there whole at the
  end, or as it was before. Sends nothing; a run may go on meanwhile.

Options:
  --set KEY=VALUE                 Override a key; the value is TOML.
  --table NAME                    A table beside the main one (write.tables).
  --format [csv|tsv|jsonl|parquet]
                                  Left out: by the end of OUT's name; jsonl for -.
  --guard-formulas                CSV, TSV: put ' before what a spreadsheet takes for a formula.
  --force                         Replace OUT where it is there already.
  -h, --help                      Show this message and exit.
""",
    "init": """\
Usage: fetcher init [OPTIONS] [URL]

  Draft a commented job file from a URL or a curl command.

  Secrets in it become ${secret:NAME}, days become slots. A GET is sent once, to see what its answer
  looks like.

Options:
  --curl COMMAND        A curl command in quotes, as documentation has it; - reads it.
  -o, --output FILE     Write the job file here.
  --probe / --no-probe  Ask the API once, to learn from its answer. A GET is, unless told.
  -h, --help            Show this message and exit.
""",
    "check": """\
Usage: fetcher check [OPTIONS] JOB

  Tell what a run of JOB would do and what may be wrong with it. Sends nothing.

  Exit 78 where the job file or its function is wrong, 74 where its folder cannot be written;
  warnings change no exit code.

Options:
  --set KEY=VALUE  Override a key; the value is TOML.
  -h, --help       Show this message and exit.
""",
    "preview": """\
Usage: fetcher preview [OPTIONS] JOB

  Fetch the first rows of JOB and show their records.

  Writes nothing but the cache of answers: a run does not ask again for what is kept there
  (cache.keep = "http": as headers say). Keeps to the limits of JOB.

Options:
  --set KEY=VALUE         Override a key; the value is TOML.
  --rows INTEGER RANGE    So many rows, from the first.  [default: 3; 1<=x<=100]
  --pages INTEGER RANGE   So many pages of each row.  [default: 1; 1<=x<=100]
  --sample INTEGER RANGE  Count what becomes of so many rows, all pages.  [x>=1]
  -h, --help              Show this message and exit.
""",
    "test": """\
Usage: fetcher test [OPTIONS] JOB

  Try the examples beside JOB: answers in, records out. Sends nothing, needs no secret.

  The examples of job.toml are in job.test.toml. Exit 0 where all hold, 3 where some do not, 78
  where there are none.

Options:
  --set KEY=VALUE       Override a key; the value is TOML.
  --record              Make the file of examples from the first rows' answers, without secrets.
  --rows INTEGER RANGE  So many rows are recorded.  [default: 1; 1<=x<=100]
  -h, --help            Show this message and exit.
""",
    "failures": """\
Usage: fetcher failures [OPTIONS] COMMAND [ARGS]...

  List the rows of a job that failed, ask for them again, or give them up for good.

Options:
  -h, --help  Show this message and exit.

Commands:
  discard  Settle the failed rows KEYS as discarded: they are not asked for again and fail no run.
  list     One line a failed row: key, state, attempts, reason, and whether JOB lists it no more.
  repro    Parse the answer of the failed row KEY again, by JOB as it is now.
  retry    Ask for the failed rows KEYS (all of them without any) at the next run.
  show     The failed rows KEYS (all of them without any) with request and kept answer; secrets...
""",
}


@pytest.mark.parametrize("command", HELP)
def test_the_help_of_a_command_is_as_shown(command):
    """On a terminal of a hundred columns."""
    ran = CliRunner().invoke(main, [command, "--help"], prog_name="fetcher", terminal_width=100)
    assert (ran.exit_code, ran.output) == (0, HELP[command])
