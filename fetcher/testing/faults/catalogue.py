"""The catalogue: every fault that a request may ask for, by name, and how it is shown."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from fetcher.testing.faults import (
    behaviour,
    coding,
    content,
    framing,
    hints,
    network,
    paging,
    quotas,
    redirects,
    statuses,
)
from fetcher.testing.faults.exchange import Fault

SECTIONS: Mapping[str, tuple[Fault, ...]] = MappingProxyType(
    {
        "The connection": network.FAULTS,
        "HTTP's grammar": framing.FAULTS,
        "Statuses, and what stands for one": statuses.FAULTS,
        "Hints about when to come back": hints.FAULTS,
        "Quotas that count": quotas.FAULTS,
        "Redirects": redirects.FAULTS,
        "Codings": coding.FAULTS,
        "Content": content.FAULTS,
        "Paging": paging.FAULTS,
        "Over several requests": behaviour.FAULTS,
    }
)
CATALOGUE: Mapping[str, Fault] = MappingProxyType({one.name: one for part in SECTIONS.values() for one in part})


def as_text() -> Iterator[str]:
    """The catalogue for a terminal, a line a fault."""
    for title, entries in SECTIONS.items():
        yield f"{title}:"
        yield from (f"  {entry.name:26} {entry.ids:10} {entry.does}" for entry in entries)


def as_markdown() -> Iterator[str]:
    """The catalogue as the tables of docs/faults.md."""
    for title, entries in SECTIONS.items():
        yield from (f"## {title}", "", "| fault | id | the server | fetcher |", "| --- | --- | --- | --- |")
        yield from map(_row, entries)
        yield ""


def _row(entry: Fault) -> str:
    told = "".join(f";{name}={value}" for name, value in entry.parameters.items())
    cells = (f"`{entry.name}{told}`", entry.ids, entry.does, entry.expected)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
