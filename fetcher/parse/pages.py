"""What an answer says about its pages. Pure, and run where the answer is parsed."""

from dataclasses import dataclass

from fetcher.errors import Quarantined
from fetcher.model import PageFacts, Scalar
from fetcher.parse.paths import search


@dataclass(frozen=True, slots=True)
class PagePaths:
    """Where an answer has it (JMESPath); nothing where the job does not look. The fields are those of `PageFacts`."""

    next: str = ""
    more: str = ""
    total: str = ""
    pages: str = ""
    items: str = ""


def page_facts(paths: PagePaths, answer: object, records: int) -> PageFacts:
    """What that answer, which yielded so many records, says. Raises `Quarantined` where it cannot be read."""
    items = records
    if paths.items:
        found = search("fetch.pages.items", paths.items, answer)
        if not isinstance(found, list | dict | None):
            raise Quarantined(f"fetch.pages.items is {type(found).__name__}, expected a list")
        items = len(found or ())
    return PageFacts(
        next=scalar("next", paths.next, answer),
        more=scalar("more", paths.more, answer),
        total=scalar("total", paths.total, answer),
        pages=scalar("pages", paths.pages, answer),
        items=items,
        records=records,
    )


def scalar(name: str, path: str, answer: object) -> Scalar:
    """The text, number or flag at that path; None where there is nothing."""
    found = search(f"fetch.pages.{name}", path, answer) if path else None
    if isinstance(found, str | int | float | bool | None):
        return found
    raise Quarantined(f"fetch.pages.{name} finds a {type(found).__name__}, expected a text, a number or a flag")
