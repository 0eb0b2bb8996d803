"""What is added to each record, annotator by annotator, in the order of the job. Runs where answers are parsed."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, Protocol

from fetcher.annotate import frames
from fetcher.annotate.frames import ByFrame
from fetcher.annotate.images import Images
from fetcher.annotate.lookups import Lookup
from fetcher.annotate.rules import Rules
from fetcher.engines.functions import function_of
from fetcher.engines.notes import NO_RECORD
from fetcher.engines.tracebacks import described, trace_of
from fetcher.engines.worker import note_at
from fetcher.errors import Quarantined
from fetcher.model import is_true
from fetcher.provenance import Origin, add

Record = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ByRules:
    """Labels for the text of `field`. `is_first` gives one label or null; `why` names the field for what matched."""

    field: str
    rules: Rules
    is_first: bool = False
    why: str = ""


@dataclass(frozen=True, slots=True)
class ByFunction:
    """What a function in a Python file gives for a record."""

    file: str
    name: str


@dataclass(frozen=True, slots=True)
class Step:
    """One annotator. Its result goes `into` a field, or its fields into the record where that is empty.

    `when` is a condition (JMESPath); `only_empty` leaves a field alone that has something already. With an `origin` the
    record says where its fields are from.
    """

    by: ByRules | ByFunction | ByFrame | Lookup | Images
    into: str = ""
    when: str = ""
    only_empty: bool = False
    origin: Origin | None = None

    @property
    def may_take_long(self) -> bool:
        """Whether a record may take more than a moment: code of the job's own, such patterns, a big table."""
        return not isinstance(self.by, ByRules) or self.by.rules.may_take_long


def annotated(steps: tuple[Step, ...], records: Iterable[Record], row_key: str = "") -> Iterator[Record]:
    """The records with what the annotators have added, without pictures that nobody needs any more. `row_key` is what
    their row is known by. Raises `Quarantined` for a record that one cannot take, `JobError` where a function or a
    table cannot be read, `DiskFailed` where a picture cannot be saved."""
    pictures = {step.by.content for step in steps if isinstance(step.by, Images) and not step.by.is_needed}
    at_once = frames.MOST_RECORDS if any(isinstance(step.by, ByFrame) for step in steps) else 1
    left = enumerate(records, 1)
    while some := {number: _copied(record, number) for number, record in islice(left, at_once)}:
        for step in steps:
            wanted = {number: record for number, record in some.items() if is_wanted(step, record)}
            if isinstance(step.by, ByFrame):
                for error in _add_each(step, step.by, wanted).values():
                    raise error
                continue
            for number, record in wanted.items():
                _add(step, record, number, row_key)
        for record in some.values():
            for name in pictures:
                record.pop(name, None)
            yield record


def _copied(record: object, number: int) -> dict[str, object]:
    if not isinstance(record, Mapping):
        raise Quarantined(f"record {number} is of type {type(record).__name__}, expected a dict")
    return dict(record)


def load(steps: tuple[Step, ...]) -> None:
    """Import the job's own functions. Raises `JobError` where a file of theirs cannot be run."""
    for step in steps:
        if isinstance(step.by, ByFunction):
            function_of(step.by.file, step.by.name)
        elif isinstance(step.by, ByFrame):
            frames.load(step.by)


def annotate_each(
    steps: tuple[Step, ...], records: Sequence[dict[str, object]], *, is_singly: bool = False
) -> dict[int, str]:
    """Add to records what the annotators have for them, in place; returns {place: why} of those that one cannot take.

    Those that take many at once are given one record at a time where it `is_singly`: whoever dies or hangs leaves word
    of which it was at. Raises `JobError` where a function or a table cannot be read.
    """
    failed: dict[int, str] = {}
    for step in steps:
        note_at(NO_RECORD)  # else who dies here would be taken for the last one of the step before
        wanted = [*_wanted(step, records, failed)]
        if isinstance(step.by, ByRules) and not is_singly:
            _label_each(step, step.by, [records[place] for place in wanted])
            continue
        if isinstance(step.by, ByFrame) and not is_singly:
            errors = _add_each(step, step.by, {place: records[place] for place in wanted}, 1)
            failed |= {place: str(error) for place, error in errors.items()}
            continue
        for place in wanted:
            note_at(place)
            try:
                _add(step, records[place], 1)
            except Quarantined as error:
                failed[place] = str(error)
    note_at(NO_RECORD)
    return failed


def _wanted(step: Step, records: Sequence[Record], failed: dict[int, str]) -> Iterator[int]:
    """The places of the records that a step is for, which have not failed; those fail of which it cannot be told."""
    if not (step.when or step.only_empty or failed):
        yield from range(len(records))
        return
    for place, record in enumerate(records):
        if place not in failed:
            try:
                if is_wanted(step, record):
                    yield place
            except Quarantined as error:
                failed[place] = str(error)


class Condition(Protocol):
    """What an annotator says of the records that it is for."""

    @property
    def into(self) -> str: ...
    @property
    def when(self) -> str: ...
    @property
    def only_empty(self) -> bool: ...


def is_wanted(step: Condition, record: Record) -> bool:
    """Whether an annotator is for this record. Raises `Quarantined` where its condition makes no sense there."""
    if step.only_empty and step.into and record.get(step.into) not in (None, "", []):
        return False
    if not step.when:
        return True
    try:
        return is_true(_condition(step.when)(record))
    # ValueError: jmespath's own errors, and Python's.
    except (ArithmeticError, TypeError, ValueError, RecursionError) as error:
        raise Quarantined(f"'when' cannot be told of the record: {error}") from error


def _add(step: Step, record: dict[str, Any], number: int, row_key: str = "") -> None:
    match step.by:
        case ByRules():
            _label_each(step, step.by, [record])
            return
        case Lookup():
            added = _fields_of(step, step.by.found(record), number)
        case Images():
            added = _fields_of(step, step.by.found(record, f"{row_key} {number}"), number)
        case ByFunction():
            added = _fields_of(step, _called(step.by, record, number), number)
        case ByFrame():
            for error in _add_each(step, step.by, {number: record}).values():
                raise error
            return
    add(record, added, step.origin)


def _add_each(
    step: Step, by: ByFrame, records: Mapping[int, dict[str, object]], told: int = 0
) -> dict[int, Quarantined]:
    """Add to numbered records what a function gives for all of them; returns why not to those that it cannot do. They
    are `told` of by this number where it is given, else by their own."""
    failed: dict[int, Quarantined] = {}
    for (number, record), value in zip(records.items(), frames.values_for(by, [*records.values()]), strict=True):
        try:
            if isinstance(value, Quarantined):
                raise Quarantined(f"record {told or number}: {value}", value.trace)
            added = _fields_of(step, value, told or number)
            add(record, added if step.into else frames.changes(record, added), step.origin)
        except Quarantined as error:
            failed[number] = error
    return failed


def _fields_of(step: Step, found: object, number: int) -> Mapping[str, object]:
    if step.into:
        return {step.into: found}
    if isinstance(found, Mapping):
        return found
    raise Quarantined(
        f"record {number}: {getattr(step.by, 'name', '')} gave a value of type {type(found).__name__}, expected a dict "
        "of fields (or say 'into')"
    )


def _label_each(step: Step, by: ByRules, records: Sequence[dict[str, object]]) -> None:
    found = by.rules.matches_among([_text_of(record.get(by.field)) for record in records])
    for place, record in enumerate(records):
        matches = found.get(place, {})
        labels = list(matches)
        added: dict[str, object] = {step.into: (labels[0] if labels else None) if by.is_first else labels}
        if by.why:
            added[by.why] = (matches[labels[0]] if labels else None) if by.is_first else matches
        add(record, added, step.origin)


def _text_of(value: object) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _called(by: ByFunction, record: dict[str, object], number: int) -> object:
    function = function_of(by.file, by.name)
    try:
        return function(record)
    except Exception as error:
        raise Quarantined(f"record {number}: {by.name} raised {described(error)}", trace_of(error)) from error


@lru_cache
def _condition(path: str) -> Callable[[Any], object]:
    import jmespath

    found: Callable[[Any], object] = jmespath.compile(path).search
    return found
