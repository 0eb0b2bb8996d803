"""`[read.records]`: rows that are the records of another job."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, PlainValidator, StrictBool, ValidationInfo, WithJsonSchema

from fetcher.job.section import Section
from fetcher.job.wording import shown


def parse_job_path(value: object, folder: Path) -> Path:
    """The job file that `value` means, relative to `folder`. Raises ValueError where there is none."""
    expected = "expected another job file such as 'stations.toml'"
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f"{expected}, got {shown(value)}")
    path = folder / value
    if not path.is_file():
        raise ValueError(f"{expected}, got {shown(value)}, which is no file ({path})")
    return path


def _read_job(value: object, info: ValidationInfo) -> Path:
    folder = Path(info.context["folder"]) if info.context else Path()
    return value if isinstance(value, Path) else parse_job_path(value, folder)


class Records(Section):
    """One row for each record of another job, in the order of its writing."""

    job: Annotated[
        Path, PlainValidator(_read_job), WithJsonSchema({"type": "string", "examples": ["stations.toml"]})
    ] = Field(description="The other job's file, relative to this one. Each run of this job runs that one first.")
    select: tuple[str, ...] = Field(
        default=(), description="Fields of a record that make up a row, such as ['id']. Left out: all of them."
    )
    distinct: StrictBool = Field(default=False, description="One row for all records that are equal in those fields.")
