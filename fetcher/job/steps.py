"""How far one row of dates reaches: `1 day`, `7 days`, `1 month`, `1 year`, `6 h`."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from fetcher.job.days import LONGEST_STEP_DAYS
from fetcher.job.kinds import Kind, text_schema
from fetcher.job.wording import shown

_STEP = re.compile(r"\s*([0-9]{1,4})\s*(d|days?|months?|years?|h|hours?)\s*")
_HOURS = (1, 2, 3, 4, 6, 8, 12, 24)
_LONGEST_MONTHS = 1200
_A_STEP = "expected a step such as '1 day', '7 days', '1 month', '1 year' or '6 h'"


WINDOW = ("start", "end", "until")


@dataclass(frozen=True, slots=True)
class Step:
    """So many days, months of the calendar, or hours of a day."""

    count: int
    unit: Literal["day", "month", "hour"] = "day"

    @property
    def slots(self) -> tuple[str, ...]:
        """What a row of this step fills; `{until}` is the first moment after it. A day is a window of one day, too."""
        return ("date", *WINDOW) if self == Step(1) else WINDOW


def parse_every(value: object) -> Step:
    """The step that a text means; a year is twelve months. Raises ValueError saying what was expected."""
    if isinstance(value, Step):
        return value
    written = _STEP.fullmatch(value) if isinstance(value, str) else None
    if written is None or int(written[1]) < 1:
        raise ValueError(f"{_A_STEP}, got {shown(value)}")
    count, unit = int(written[1]), written[2]
    if unit.startswith("h"):
        if count not in _HOURS:
            raise ValueError(f"expected hours that part a day evenly, such as '6 h', got {shown(value)}")
        return Step(count, "hour")
    if unit.startswith(("m", "y")):
        months = count * (12 if unit.startswith("y") else 1)
        if months > _LONGEST_MONTHS:
            raise ValueError(f"expected at most '{_LONGEST_MONTHS} months', got {shown(value)}")
        return Step(months, "month")
    if count > LONGEST_STEP_DAYS:
        raise ValueError(f"expected at most '{LONGEST_STEP_DAYS} days', got {shown(value)}")
    return Step(count)


EveryText = Annotated[
    Step,
    Kind(
        parse_every,
        text_schema(r"[0-9]+ *(?:d|days?|months?|years?|h|hours?)", "1 day", "7 days", "1 month", "1 year", "6 h"),
    ),
]
