"""A program that prints what tells jobs, their annotators, rows and realms apart, a line each."""

import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

from fetcher.job import fetch_fingerprint, load_job, parse_fingerprint
from fetcher.job.fingerprints import version_of
from fetcher.read.rows import source_rows
from fetcher.read.tables import Reading
from fetcher.realms import realms_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def prints_of(file: Path) -> list[str]:
    """Those of a job file, its secrets made up."""
    secrets = re.findall(r"\$\{secret:(\w+)\}", file.read_text(encoding="utf-8"))
    job = load_job(file, {**os.environ, **{name: f"made-up {name}" for name in secrets}})
    asking = [*([job] if job.asks else []), *job.asking.values()]
    return [
        f"fetch {fetch_fingerprint(job)}",
        f"parse {parse_fingerprint(job)}",
        *(f"annotator {version_of(section, job)}" for section in job.annotate),
        *(f"row {row.key!r}" for row in source_rows(job.read, NOW, Reading())),
        *(f"realm {realm}" for each in asking for realm in realms_of(each)),
    ]


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        print(*(f"{path.name} {line}" for line in prints_of(path)), sep="\n")
