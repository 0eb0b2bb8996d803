"""Points that are left out because nothing changed (run-length coding) become records again."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from fetcher.errors import Quarantined
from fetcher.parse.conversions import iso_text, moment
from fetcher.parse.exploding import Node
from fetcher.parse.sources import Within, found_by

MOST_POINTS = 1_000_000
_DURATION = re.compile(
    r"P(?:(?P<weeks>\d{1,4})W)?(?:(?P<days>\d{1,5})D)?"
    r"(?:T(?:(?P<hours>\d{1,5})H)?(?:(?P<minutes>\d{1,7})M)?(?:(?P<seconds>\d{1,9})S)?)?"
)
_MONTHS = re.compile(r"P(?:(\d{1,4})Y)?(?:(\d{1,5})M)?")


@dataclass(frozen=True, slots=True)
class Fill:
    """`by` is the field that numbers the points of a list from `first` on; one that is missing repeats the one before.

    The list ends at point `last`, or where `start`, `end` and `step` (ISO 8601: times, and a duration) say. With a
    `time`, each record gets the time of its point in that field. Without either it ends with its last point.
    """

    by: str
    first: int = 1
    last: Within | None = None
    start: Within | None = None
    end: Within | None = None
    step: Within | None = None
    time: str = ""


def filled(fill: Fill, nodes: Iterable[Node]) -> Iterator[Node]:
    """The points of each list, none left out. Raises `Quarantined` where their numbers do not grow."""
    for _, points in groupby(nodes, key=lambda node: id(node.above)):
        yield from _filled_list(fill, list(points))


def _filled_list(fill: Fill, points: list[Node]) -> Iterator[Node]:
    clock = _clock(fill, points[0])
    numbers = [_number(fill, point) for point in points]
    last = _last(fill, points[0], clock, numbers[-1])
    if numbers[0] != fill.first or any(later <= earlier for earlier, later in pairwise(numbers)):
        raise Quarantined(f"parse.fill: the points' numbers do not grow from {fill.first} on")
    if numbers[-1] > last:
        raise Quarantined(f"parse.fill: point {numbers[-1]} is behind the last one, {last}")
    if last - fill.first >= MOST_POINTS:
        raise Quarantined(f"parse.fill: {last:,} points are more than {MOST_POINTS:,} in one list")
    for point, number, following in zip(points, numbers, [*numbers[1:], last + 1], strict=True):
        assert isinstance(point.value, Mapping)
        for each in range(number, following):
            time = {fill.time: clock.at(each - fill.first)} if clock and fill.time else {}
            yield point._replace(value={**point.value, fill.by: each, **time}, position=each - fill.first)


def _number(fill: Fill, point: Node) -> int:
    written = point.value.get(fill.by) if isinstance(point.value, Mapping) else None
    try:
        return int(str(written))
    except ValueError as error:
        raise Quarantined(f"parse.fill: '{fill.by}' of a point is {written!r}, expected a whole number") from error


@dataclass(frozen=True, slots=True)
class _Clock:
    """A step is so many `months`, or so long."""

    start: datetime
    step: timedelta
    months: int = 0

    def moment(self, steps: int) -> datetime:
        """The time after so many steps."""
        if not self.months:
            return self.start + steps * self.step
        year, month = divmod(self.start.year * 12 + self.start.month - 1 + steps * self.months, 12)
        return self.start.replace(year=year, month=month + 1)

    def at(self, steps: int) -> str:
        """That time in ISO 8601, UTC. Raises `Quarantined` where the calendar has none."""
        try:
            return iso_text(self.moment(steps))
        except (ValueError, OverflowError) as error:
            raise Quarantined(f"parse.fill: {steps} steps after {iso_text(self.start)} is no time: {error}") from error

    def steps_until(self, end: datetime) -> int:
        """How many steps fit before `end`."""
        if not self.months:
            return -((self.start - end) // self.step)
        return -(-((end.year - self.start.year) * 12 + end.month - self.start.month) // self.months)


def _clock(fill: Fill, point: Node) -> _Clock | None:
    if not fill.start or not fill.step:
        return None
    start = _time("start", fill.start, point)
    written = str(found_by(fill.step, point, "parse.fill.step"))
    if (months := _MONTHS.fullmatch(written)) and any(months.groups()):
        return _Clock(start, timedelta(), 12 * int(months[1] or 0) + int(months[2] or 0) or 1)
    lasting = _DURATION.fullmatch(written)
    step = timedelta(**{unit: int(amount or 0) for unit, amount in lasting.groupdict().items()}) if lasting else None
    if not step:
        raise Quarantined(f"parse.fill.step finds {written!r}, expected a duration such as 'PT15M' or 'P1D'")
    return _Clock(start, step)


def _last(fill: Fill, point: Node, clock: _Clock | None, seen: int) -> int:
    if fill.last:
        written = found_by(fill.last, point, "parse.fill.last")
        try:
            return int(str(written))
        except ValueError as error:
            raise Quarantined(f"parse.fill.last finds {written!r}, expected a whole number") from error
    if fill.end and clock:
        return fill.first - 1 + clock.steps_until(_time("end", fill.end, point))
    return seen


def _time(name: str, within: Within, point: Node) -> datetime:
    written = found_by(within, point, f"parse.fill.{name}")
    try:
        return moment(written)
    except ValueError as error:
        raise Quarantined(f"parse.fill.{name}: {error}") from error
