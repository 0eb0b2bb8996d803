"""Why rows are not done, counted in groups. Pure.

A reason may quote the record, the answer or a server, so no two need be equal. Of one kind are those that differ in
numbers, in names of files, in what stands in quotes and is no name, in the line that was read and what it holds; and
what was raised at one place of the job's code by one class, whatever the exception says. Which annotator has asked
tells them apart.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fetcher.model import RowState

REASONS_KEPT = 1000
OTHER_REASONS = "other reasons, of which there are too many to tell apart here"

PLACE = re.compile(r" \([^()]+, line \d+\)")
# It stands first, or behind who raised it, or behind what failed: `topics: raised ...`, `a.jpg: cannot be ...: ...`.
RAISED = re.compile(r"^[^\W\d]\w*: (?!raised |cannot )|\braised [^\W\d]\w*(?:: |$)|\b[A-Z]\w*: ")
LINE_READ = re.compile(r"[^:]+:\d+ ")
ASKER = re.compile(r"annotate\[\d+\]\.\w+(?: '.*?')?: ")
VARIES = re.compile(
    r"""(?P<name>(?<!\w)(?P<quote>['"])(?!\w*\d\w*\d)[^\W\d]\w{0,29}(?P=quote))  # of a field, an error
    | (?<!HTTP\ )\b\w*\d\w*(?:[,.:-]\w*\d\w*)*  # numbers, dates, identifiers; not the status of an answer
    | (?<!\w)'[^']*' | "[^"]*"
    | (?<![^\s"])[^\s"]*/\S+ | (?<!\S)\S+\.\w+(?=:\ )  # addresses, paths, names of files""",
    re.VERBOSE,
)


def kind_of(reason: str) -> str:
    """What a reason has in common with others of its kind. For telling them apart, not for a person."""
    line = LINE_READ.match(reason)
    begin = line.end() if line else 0
    asker = ASKER.match(reason, begin)
    said = reason[asker.end() if asker else begin :]
    fault = _raised(said) if PLACE.search(said) else _masked(said.partition(": ")[0] if line else said)
    return f"{_masked(line[0]) if line else ''}{asker[0] if asker else ''}{fault}"


def _raised(said: str) -> str:
    """Who has raised what, and where, without what the exception says."""
    place = PLACE.findall(said)[-1]
    said = said[: said.rindex(place)]
    raised = RAISED.search(said)
    return f"{_masked(said[: raised.start()])}{raised[0]}{place}" if raised else _masked(said) + place


def _masked(text: str) -> str:
    return VARIES.sub(lambda found: found["name"] or "...", text)


@dataclass(slots=True)
class Group:
    """How many rows are in `state` for reasons of one kind; `first` is the first of these, and whether it is the only
    one."""

    state: RowState
    first: str
    rows: int = 0
    is_one: bool = True

    def __str__(self) -> str:
        """`quarantined: not JSON`, or, where others are like it, `quarantined, such as: record 3: ...`"""
        return f"{self.state}{'' if self.is_one else ', such as'}: {self.first}"


class Reasons:
    """Groups of reasons with the states that they are for: so many are kept, however many rows there are."""

    def __init__(self) -> None:
        self._groups: dict[tuple[RowState, str], Group] = {}

    def add(self, state: RowState, reason: str) -> None:
        """Count one more row."""
        key = (state, kind_of(reason))
        if key not in self._groups and len(self._groups) >= REASONS_KEPT:
            key, reason = (state, OTHER_REASONS), OTHER_REASONS
        group = self._groups.setdefault(key, Group(state, reason))
        group.rows += 1
        group.is_one = group.is_one and group.first == reason

    def __iter__(self) -> Iterator[Group]:
        """The groups, those with the most rows first."""
        return iter(sorted(self._groups.values(), key=lambda group: -group.rows))
