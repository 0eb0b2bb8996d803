"""Days in a request become slots, and the job's rows: `date=2024-01-01` is asked for every day."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from fetcher.draft.texts import Text, literal

_DAY = re.compile(
    r"(?<![\d.])(?:(?P<iso>\d{4}-\d{2}-\d{2})|(?P<slashed>\d{4}/\d{2}/\d{2})|(?P<packed>(?:19|20)\d{6}))(?![\d.])"
)
_FORMATS = {"iso": "%Y-%m-%d", "slashed": "%Y/%m/%d", "packed": "%Y%m%d"}


@dataclass(frozen=True, slots=True)
class Days:
    """The days of a request: `first` and `last`, and the slot that each fills; a window where they differ."""

    first: date
    last: date

    @property
    def every(self) -> int:
        """Length of a window in days."""
        return (self.last - self.first).days + 1

    def slot(self, day: date) -> str | None:
        """What a day of the request becomes; None for one that is neither end."""
        if self.first == self.last:
            return "date" if day == self.first else None
        return {self.first: "start", self.last: "end"}.get(day)


def days_of(texts: Sequence[str]) -> Days | None:
    """The first and the last day that these texts hold; None where they hold none."""
    found = sorted(day for text in texts for match in _DAY.finditer(text) if (day := _read(match)))
    return Days(found[0], found[-1]) if found else None


def dated(text: str, days: Days | None) -> Text:
    """A text as the job file has it, with slots in the place of days."""
    if days is None:
        return literal(text)
    written, position = "", 0
    for match in _DAY.finditer(text):
        day = _read(match)
        slot = days.slot(day) if day else None
        if slot:
            written += literal(text[position : match.start()]).source + f"{{{slot}:{_format(match)}}}"
            position = match.end()
    return Text(written + literal(text[position:]).source)


def _read(match: re.Match[str]) -> date | None:
    try:
        return datetime.strptime(match[0], _format(match)).date()
    except ValueError:
        return None


def _format(match: re.Match[str]) -> str:
    return _FORMATS[match.lastgroup or "iso"]
