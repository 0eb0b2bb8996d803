"""A function of the job's on many records at once: as a pandas frame of text. pandas is imported where one runs.

Which records share a frame is chance. So nothing that a function sees of a record may depend on its neighbours: all of
a frame have the same fields, every cell is text. And what it cannot do costs the record that it cannot do.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from fetcher.engines.functions import function_of
from fetcher.engines.tracebacks import described, trace_of
from fetcher.errors import Fault, JobError, Quarantined
from fetcher.provenance import PROVENANCE

if TYPE_CHECKING:
    import pandas as pd

MOST_RECORDS = 2000
"""Of a frame."""

EXPECTED = "expected a Series, a DataFrame, an array or a list, with a value for each record"
AS_THEY_ARE = (str, int, bool, type(None))

Record = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class ByFrame:
    """What a function in a Python file gives for a frame of records: a value for each."""

    file: str
    name: str


def load(by: ByFrame) -> None:
    """Import what it needs. Raises `JobError` where its file cannot be run."""
    import pandas  # noqa: F401  (so that the first record does not wait for it)

    function_of(by.file, by.name)


def values_for(by: ByFrame, records: Sequence[Record]) -> list[object]:
    """What the function gives for each record, in their order; a `Quarantined` in the place of one that it cannot do.

    Raises `JobError` where its file cannot be run, and where it does not give values for records at all.
    """
    found: list[object] = [None] * len(records)
    for places in _alike(records):
        for begin in range(0, len(places), MOST_RECORDS):
            _fill(found, by, records, places[begin : begin + MOST_RECORDS])
    return found


def _alike(records: Sequence[Record]) -> list[list[int]]:
    """The places of the records that have the same fields."""
    places: dict[tuple[str, ...], list[int]] = {}
    for place, record in enumerate(records):
        places.setdefault(tuple(record), []).append(place)
    return list(places.values())


def _fill(found: list[object], by: ByFrame, records: Sequence[Record], places: list[int]) -> None:
    """Put in what is given for the records at those places. A frame that fails is halved until its culprits are alone;
    one of which some values cannot be written is done again without these, for they may have changed others' type."""
    left = [(places, _given(by, records, places))]
    while left:
        some, given = left.pop()
        if isinstance(given, Quarantined):
            if len(some) == 1:
                found[some[0]] = given
                continue
            half = len(some) // 2
            halves = [(part, _given(by, records, part)) for part in (some[half:], some[:half])]
            _check_sum(by, len(some), given, [values for _, values in halves])
            left += halves
            continue
        for place, value in zip(some, given, strict=True):
            found[place] = _checked(by, value)
        good = [place for place in some if not isinstance(found[place], Quarantined)]
        left += [(good, _given(by, records, good))] if 0 < len(good) < len(some) else []


class WrongLength(Quarantined):
    """Another number of values than there are records."""

    def __init__(self, message: str, values: int) -> None:
        self.values = values
        super().__init__(message)


Given = list[Any] | Quarantined
"""What came of a frame: a value for each record, or why that did not come."""


def _given(by: ByFrame, records: Sequence[Record], places: list[int]) -> Given:
    function = function_of(by.file, by.name)
    try:
        return _listed(function(frame_of([records[place] for place in places])), len(places))
    except WrongLength as error:
        return WrongLength(f"{by.name} {error}", error.values)
    except Quarantined as error:
        return Quarantined(f"{by.name} {error}")
    except Exception as error:  # noqa: BLE001  (whatever the job's own code raises is this frame's failure)
        return Quarantined(f"{by.name} raised {described(error)}", trace_of(error))


def _check_sum(by: ByFrame, records: int, given: Quarantined, halves: Sequence[Given]) -> None:
    """Raise `JobError` where a frame has another number of values than its halves have together. A function that
    leaves some records out gives as many; one that sums up a frame gives one for each frame, and would look as if it
    gave what it should once each record is alone."""
    counts = [count for half in halves if (count := _length(half)) is not None]
    if isinstance(given, WrongLength) and len(counts) == len(halves) and sum(counts) != given.values:
        told = " and ".join(f"{count:,}" for count in reversed(counts))
        message = (
            f"{by.name} gave {_values(given.values)} for a frame of {records:,} records, and {told} for its halves; "
            f"{EXPECTED}, whichever records are in the frame"
        )
        raise JobError(by.file, [Fault(0, 0, "", message)])


def _length(given: Given) -> int | None:
    if isinstance(given, WrongLength):
        return given.values
    return None if isinstance(given, Quarantined) else len(given)


def _values(count: int) -> str:
    return f"{count:,} value{'' if count == 1 else 's'}"


def frame_of(records: Sequence[Record]) -> "pd.DataFrame":
    """Records of the same fields as a frame of text, numbered from 0. A number is as in JSON, as are lists and objects;
    null is an empty text.

    Columns are objects: what pandas has for text differs by its version, and by what else is installed."""
    import pandas as pd

    names = [name for name in records[0] if name != PROVENANCE]
    columns = {name: [_text(record[name]) for record in records] for name in names}
    return pd.DataFrame(columns, index=pd.RangeIndex(len(records)), dtype=object)


def changes(record: Record, given: Mapping[str, object]) -> dict[str, object]:
    """The fields that a function gave for a record, without those that came back as its frame had them, as of
    `frame.assign(...)`: a number stays one."""
    return {
        name: value
        for name, value in given.items()
        if not (isinstance(value, str) and name in record and value == _text(record[name]))
    }


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    written = msgspec.json.encode(value, enc_hook=_number)
    return msgspec.json.decode(written, type=str) if written[:1] == b'"' else written.decode()


def _number(value: object) -> float | msgspec.Raw:
    """A number that remembers how it was written is written so."""
    if isinstance(value, float):
        return msgspec.Raw(value.text.encode()) if hasattr(value, "text") else float(value)
    raise TypeError(f"a value of type {type(value).__name__} is no text, and cannot be written as JSON")


def _listed(given: Any, records: int) -> list[Any]:
    """The values for so many records, in their order. Raises `Quarantined` where they are not that."""
    import pandas as pd

    if isinstance(given, pd.DataFrame):
        return _rows_of(_in_order(given, records))
    if isinstance(given, pd.Series):
        return list(_in_order(given, records).tolist())
    if isinstance(given, list | tuple):
        values = list(given)
    elif getattr(given, "ndim", 0) == 1:
        values = pd.Series(given).tolist()  # an array's own list has numbers for times
    else:
        raise Quarantined(f"gave a value of type {type(given).__name__}, {EXPECTED}")
    _check_length(len(values), records)
    return values


def _in_order(given: Any, records: int) -> Any:
    """A frame or a series in the order of the records, which its index tells: whoever sorts does not mix them up."""
    _check_length(len(given), records)
    numbers = list(range(records))
    if list(given.index) == numbers:
        return given
    if sorted(given.index, key=str) != sorted(numbers, key=str):
        raise Quarantined(
            f"gave a {type(given).__name__} with another index than that of its frame: whose values are they? Keep the "
            "index, or give a list (.tolist()) in the frame's order"
        )
    return given.loc[numbers]


def _check_length(values: int, records: int) -> None:
    if values != records:
        of = f"{records:,} record{'' if records == 1 else 's'}"
        raise WrongLength(f"gave {_values(values)} for a frame of {of}, {EXPECTED}", values)


def _rows_of(frame: "pd.DataFrame") -> list[dict[str, object]]:
    names: list[Any] = list(frame.columns)
    if wrong := [name for name in names if not isinstance(name, str)] or [n for n in names if names.count(n) > 1]:
        raise Quarantined(f"gave a DataFrame with the column {wrong[0]!r}, expected names that are texts and differ")
    columns = [frame.iloc[:, place].tolist() for place in range(len(names))]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)] if names else [{}] * len(frame)


def _checked(by: ByFrame, value: object) -> object:
    """A value as JSON can hold it, or why it cannot."""
    if type(value) in AS_THEY_ARE:
        return value
    try:
        return _plain(value)
    except RecursionError:
        return Quarantined(f"{by.name} gave a value that is nested too deeply")
    except Quarantined as error:
        return Quarantined(f"{by.name} gave {error}")


def _plain(value: Any) -> object:
    if getattr(value, "ndim", None) == 0 and value.dtype.kind not in "mM":  # a scalar of numpy's that is no time
        value = value.item()
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            if math.isfinite(value):
                return value
            hint = "give None, or fill it (.fillna)" if math.isnan(value) else "give None"
            raise Quarantined(f"{value}, which JSON cannot hold: {hint}")
        case Mapping():
            return {name: _plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
    if type(value).__name__ in ("NAType", "NaTType"):
        raise Quarantined(f"{value!r}, which JSON cannot hold: give None, or fill it (.fillna)")
    raise Quarantined(
        f"a value of type {type(value).__name__}, which JSON cannot hold exactly: make it text (.astype(str), "
        ".dt.strftime) or a number"
    )
