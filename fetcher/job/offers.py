"""What the rows of a job offer to templates, as far as that can be told before they are read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from fetcher.job.files import FILE_SLOTS
from fetcher.job.places import KeyPath
from fetcher.job.steps import parse_every
from fetcher.job.tables import Table, parse_values
from fetcher.job.wording import hint, listed
from fetcher.tabular.lines import UnreadableTable
from fetcher.tabular.reading import columns_of

DEFAULT_STEP = "1 day"
SOURCES = ("dates", "table", "values", "records", "files")
TABLE: KeyPath = ("read", "table")


@dataclass(frozen=True, slots=True)
class Offers:
    """The names of slots that are filled, and `because` of what; `are_known` where these are all.

    `faults` are (key path, message) of what is wrong between the sources.
    """

    names: list[str]
    because: str
    are_known: bool
    faults: list[tuple[KeyPath, str]]


@dataclass(frozen=True, slots=True)
class _Offer:
    """What one source offers; no names where that cannot be told."""

    source: str
    because: str
    names: list[str]
    is_known: bool = True


def offers_of(read: Mapping[str, object], folder: Path) -> Offers:
    """What the sources under `[read]` offer together."""
    faults: list[tuple[KeyPath, str]] = []
    offers = [
        *([_date_offer(read.get("dates"))] if "dates" in read or not set(SOURCES) & set(read) else []),
        *([_table_offer(read, folder, faults)] if "table" in read else []),
        *([_record_offer(read["records"])] if "records" in read else []),
        *([_Offer("files", "from read.files", list(FILE_SLOTS))] if "files" in read else []),
        *([_value_offer(read["values"])] if "values" in read else []),
    ]
    owners: dict[str, str] = {}
    for offer in offers:
        for name in offer.names:
            if name in owners:
                faults.append((("read", offer.source), f"'{name}' is offered by read.{owners[name]}, too: rename one"))
            owners.setdefault(name, offer.source)
    because = listed(offer.because for offer in offers)
    return Offers(list(owners), because, all(offer.is_known for offer in offers), faults)


def added_names(section: object) -> list[str] | None:
    """The fields that an annotator adds; None where that cannot be told before records come."""
    if not isinstance(section, dict):
        return None
    rules = section.get("rules")
    why = rules.get("why") if isinstance(rules, dict) else None
    more = [why] if isinstance(why, str) else []
    if isinstance(into := section.get("into"), str):
        return [into, *more]
    kind = next((name for name in ("lookup", "image", "service", "model") if isinstance(section.get(name), dict)), "")
    take = section[kind].get("take") if kind else None
    saved = ["saved"] if kind == "image" and "resize" in section[kind] else []
    if isinstance(take, dict):
        return list(take)
    if isinstance(take, list):
        names = [name for name in take if isinstance(name, str)]
        return [name.rpartition(".")[2] for name in names] if kind in ("service", "model") else [*names, *saved]
    return None


def _date_offer(dates: object) -> _Offer:
    step = dates.get("every", DEFAULT_STEP) if isinstance(dates, dict) else DEFAULT_STEP
    try:
        return _Offer("dates", f"because read.dates.every is '{step}'", list(parse_every(step).slots))
    except ValueError:
        return _Offer("dates", "from read.dates", ["date", "start", "end", "until"])


def _record_offer(records: object) -> _Offer:
    select = records.get("select") if isinstance(records, dict) else None
    names = [name for name in select if isinstance(name, str)] if isinstance(select, list) else []
    return _Offer("records", "from read.records.select", names, is_known=bool(names))


def _value_offer(values: object) -> _Offer:
    try:
        names = [name for axis in parse_values(values) for name in axis[0]]
        return _Offer("values", "from read.values", names)
    except ValueError:
        return _Offer("values", "from read.values", [], is_known=False)


def _table_offer(read: Mapping[str, object], folder: Path, faults: list[tuple[KeyPath, str]]) -> _Offer:
    unknown = _Offer("table", "from read.table", [], is_known=False)
    try:
        table = Table.model_validate(read["table"], context={"folder": folder})
        files = [file for file in table.files() if file.path]
        found = [(file, columns_of(file)) for file in files]
    except ValidationError:
        return unknown  # the model tells what is wrong
    except UnreadableTable as error:
        faults.append((TABLE, str(error)))
        return unknown
    if not found:
        return _Offer("table", unknown.because, list(table.columns), is_known=bool(table.columns))
    names = [name for name in found[0][1] if all(name in columns for _, columns in found)]
    faults += _name_faults(read, table, names)
    label = found[0][0].name if len(found) == 1 else f"{len(found)} files"
    return _Offer("table", f"from the columns of {label}", names)


def _name_faults(read: Mapping[str, object], table: Table, names: list[str]) -> Iterator[tuple[KeyPath, str]]:
    key = read.get("key")
    wanted: list[tuple[KeyPath, object]] = [
        ((*TABLE, "require", place), name) for place, name in enumerate(table.require)
    ]
    wanted += [(("read", "key", place), name) for place, name in enumerate(key if isinstance(key, list) else [])]
    for path, name in wanted:
        if isinstance(name, str) and name not in names:
            yield path, f"the table has no column '{name}'{hint(name, names)}"
