"""What records must look like, and by how much they have begun to look otherwise."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from fetcher.errors import Quarantined

MOST_KINDS = 50
OTHER_DRIFT = "other drift, of which there is too much to tell apart here"


@dataclass(frozen=True, slots=True)
class Expectations:
    """The schema of the records of an answer: `types` as pairs, `least` and `most` their number.

    A record without a required field, or with null there, costs its answer. Other drift is counted, or with `strict`
    costs its answer too.
    """

    required: tuple[str, ...] = ()
    types: tuple[tuple[str, str], ...] = ()
    least: int = 0
    most: int | None = None
    strict: bool = False


# bool before int: Python takes the one for the other.
_KINDS: tuple[tuple[tuple[type, ...], str], ...] = (
    ((bool,), "bool"),
    ((int,), "int"),
    ((msgspec.Raw,), "number"),
    ((list, tuple), "list"),
    ((Mapping,), "object"),
)


class Watch:
    """Looks at the records of one answer as they go by. `drift` is {what is different: in how many records}."""

    def __init__(self, expected: Expectations) -> None:
        self._expected = expected
        self._types = dict(expected.types)
        self.drift: Counter[str] = Counter()
        self._records = 0

    def over(self, records: Iterable[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
        """The records, each looked at. Raises `Quarantined` at one that cannot be accepted."""
        for record in records:
            self._records += 1
            self._look(record, self._records)
            yield record

    def _look(self, record: object, number: int) -> None:
        if not isinstance(record, Mapping):
            return  # it is refused for that anyway
        for name in self._expected.required:
            if record.get(name) is None:
                raise Quarantined(f"record {number} has no '{name}', which parse.expect.required names")
        if not self._types:
            return
        for name, value in record.items():
            if value is not None and (said := self._said(name, value)):
                self._count(said, number)

    def end(self) -> dict[str, int]:
        """Check their number, and give the drift. Raises `Quarantined` for too few or too many."""
        expected, records = self._expected, self._records
        if records < expected.least:
            raise Quarantined(f"the answer has {records:,} records, expected at least {expected.least:,}")
        if expected.most is not None and records > expected.most:
            raise Quarantined(f"the answer has {records:,} records, expected at most {expected.most:,}")
        return dict(self.drift)

    def _said(self, name: str, value: object) -> str:
        wanted = self._types.get(name)
        if wanted is None:
            return f"new field '{name:.100}'"
        kind = kind_of(value)
        if kind == wanted or (wanted == "number" and kind == "int"):
            return ""
        return f"'{name}' is {kind}, expected {wanted}"

    def _count(self, said: str, number: int) -> None:
        if self._expected.strict:
            raise Quarantined(f"record {number}: {said} (parse.expect.strict)")
        self.drift[said if said in self.drift or len(self.drift) < MOST_KINDS else OTHER_DRIFT] += 1


def kind_of(value: object) -> str:
    """The JSON type of a value, as `parse.expect.types` names it; a float without a fraction is an int."""
    if isinstance(value, float):
        return "int" if math.isfinite(value) and value.is_integer() else "number"
    return next((name for kinds, name in _KINDS if isinstance(value, kinds)), "text")
