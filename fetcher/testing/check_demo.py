"""Whether a folder holds exactly what the air-temperature demo promises: `python -m fetcher.testing.check_demo FOLDER`.

It reads the published files as any stranger would, by their names and as plain JSON, and knows no ledger.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from fetcher.testing.air_temperature import canonical_hash, day_records, load_plan

STEPS = (60, 5)


def expected(step: int) -> tuple[int, str]:
    """Count and canonical hash of the records of every day that does not fail for ever."""
    plan = load_plan()
    days = (plan.first + timedelta(number) for number in range((plan.last - plan.first).days + 1))
    return canonical_hash(record for day in days if plan.day(day).status == 200 for record in day_records(day, step))


def published(folder: Path) -> Iterator[Mapping[str, object]]:
    """Every record in the folder's records-*.jsonl. Raises ValueError naming the file and line that is none."""
    for path in sorted(folder.glob("records-*.jsonl")):
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                yield _record(line, f"{path.name}:{number}")


def _record(line: bytes, place: str) -> Mapping[str, object]:
    if not line.endswith(b"\n"):
        raise ValueError(f"{place}: the line has no end")
    try:
        record = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{place}: not JSON: {error}") from error
    if not isinstance(record, dict):
        raise ValueError(f"{place}: expected an object, got {line[:60]!r}")
    return record


def verdict(folder: Path, step: int) -> tuple[bool, str]:
    """Whether all is as planned, and one line that says so, or what differs."""
    try:
        found = canonical_hash(published(folder))
    except (OSError, ValueError) as error:
        return False, str(error)
    told = f"{found[0]:,} records, SHA-256 {found[1]}"
    if found == (wanted := expected(step)):
        return True, f"{told}: as planned"
    if not found[0]:
        return False, f"{folder}: no records here, expected {wanted[0]:,}"
    if other := next((step_ for step_ in STEPS if step_ != step and found == expected(step_)), None):
        return False, f"{told}: that is the demo with --step {other}; name another --folder for --step {step}"
    return False, f"{told}: expected {wanted[0]:,} records, SHA-256 {wanted[1]}"


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; gives the exit status: 0 as planned, 1 not."""
    parser = argparse.ArgumentParser(prog="python -m fetcher.testing.check_demo", description="Check a demo's records.")
    parser.add_argument("folder", type=Path, help="where the demo wrote")
    parser.add_argument("--step", type=int, choices=STEPS, default=60, help="minutes between readings (default 60)")
    told = parser.parse_args(argv)
    is_as_planned, line = verdict(told.folder, told.step)
    print(line, file=sys.stdout if is_as_planned else sys.stderr)
    return 0 if is_as_planned else 1


if __name__ == "__main__":
    sys.exit(main())
