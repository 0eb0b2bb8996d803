"""What is added to each record, annotator by annotator, in the order of the job. Runs where answers are parsed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fetcher.annotate.images import Images
from fetcher.annotate.lookups import Lookup
from fetcher.annotate.rules import Rules
from fetcher.engines.functions import function_of
from fetcher.engines.worker import described
from fetcher.errors import Quarantined
from fetcher.model import is_true

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

    `when` is a condition (JMESPath); `only_empty` leaves a field alone that has something already.
    """

    by: ByRules | ByFunction | Lookup | Images
    into: str = ""
    when: str = ""
    only_empty: bool = False

    @property
    def may_take_long(self) -> bool:
        """Whether a record may take longer than the loop can bear: code or patterns of the job's own, a big table."""
        return not isinstance(self.by, ByRules) or any(rule.patterns for rule in self.by.rules.rules)


def annotated(steps: tuple[Step, ...], records: Iterable[Record], origin: str = "") -> Iterator[Record]:
    """The records with what the annotators have added, without the pictures themselves. `origin` is what their row is
    known by. Raises `Quarantined` for a record that one cannot take, `JobError` where a function or a table cannot be
    read, `DiskFailed` where a picture cannot be saved."""
    pictures = {step.by.content for step in steps if isinstance(step.by, Images)}
    for number, record in enumerate(records, 1):
        if not isinstance(record, Mapping):
            raise Quarantined(f"record {number} is of type {type(record).__name__}, expected a dict")
        found: dict[str, object] = dict(record)
        for step in steps:
            if _is_wanted(step, found):
                found.update(_added(step, found, number, origin))
        for name in pictures:
            found.pop(name, None)
        yield found


def _is_wanted(step: Step, record: dict[str, object]) -> bool:
    if step.only_empty and step.into and record.get(step.into) not in (None, "", []):
        return False
    if not step.when:
        return True
    return is_true(_condition(step.when)(record))


def _added(step: Step, record: dict[str, Any], number: int, origin: str) -> Mapping[str, object]:
    match step.by:
        case ByRules():
            return _labelled(step.by, step.into, record)
        case Lookup():
            found: object = step.by.found(record)
        case Images():
            found = step.by.found(record, f"{origin} {number}")
        case ByFunction():
            found = _called(step.by, record, number)
    if step.into:
        return {step.into: found}
    if isinstance(found, Mapping):
        return found
    raise Quarantined(
        f"record {number}: {getattr(step.by, 'name', '')} gave a value of type {type(found).__name__}, expected a dict "
        "of fields (or say 'into')"
    )


def _labelled(by: ByRules, into: str, record: Record) -> dict[str, object]:
    value = record.get(by.field)
    text = value if isinstance(value, str) else "" if value is None else str(value)
    if not by.why:
        labels = by.rules.labels(text)
        return {into: (labels[0] if labels else None) if by.is_first else labels}
    matches = by.rules.matches(text)
    labels = list(matches)
    if by.is_first:
        return {into: labels[0] if labels else None, by.why: matches[labels[0]] if labels else None}
    return {into: labels, by.why: matches}


def _called(by: ByFunction, record: dict[str, object], number: int) -> object:
    function = function_of(by.file, by.name)
    try:
        return function(record)
    except Exception as error:
        raise Quarantined(f"record {number}: {by.name} raised {described(error)}") from error


@lru_cache
def _condition(path: str) -> Callable[[Any], object]:
    import jmespath

    found: Callable[[Any], object] = jmespath.compile(path).search
    return found
