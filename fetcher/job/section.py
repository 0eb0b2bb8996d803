"""What every section of a job file has in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Unknown keys are faults; nothing changes after loading. Defaults are written as a job file would write them."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


def written(default: str, description: str) -> Any:
    """A field whose default is text of a job file, read like any other; typed like pydantic's own `Field`."""
    return Field(default=default, description=description)
