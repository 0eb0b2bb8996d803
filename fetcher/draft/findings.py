"""What one answer teaches about an API: where its records lie, how it pages, what it says of limits. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from fetcher.compose.links import next_link
from fetcher.draft.texts import toml
from fetcher.fetch.hints import hints
from fetcher.job.hints import HintsSection
from fetcher.model import Response
from fetcher.outline import Shape, columns_of, record_paths, shape_of

_TYPES = (
    ("ndjson", "ndjson"), ("jsonl", "ndjson"), ("json-seq", "ndjson"), ("json", "json"), ("csv", "csv"),
    ("tab-separated", "csv"), ("xml", "xml"), ("html", "html"), ("text/plain", "text"),
)  # fmt: skip
_NEXT_URL = re.compile(r"^(https?://|/|\?)\S*$")
_URL_KEYS = frozenset({"next", "nexturl", "nextlink", "nextpage", "nextpageurl", "nexthref", "href", "odatanextlink"})
_CURSORS = re.compile(
    r"(next|page|pagination|paging)*(cursor|token|marker|continuation\w*)|next|nextid|scrollid|after|endcursor"
)
_TOTALS = frozenset({"total", "totalcount", "totalresults", "totalitems", "numfound", "totalrecords", "count", "hits"})
_PAGES = frozenset({"pages", "totalpages", "pagecount", "lastpage", "numpages"})
_MORE = frozenset({"hasmore", "hasnext", "more", "hasnextpage", "ismore", "incompleteresults"})
_NUMBERS = {"page": "page", "pagenumber": "page", "pageno": "page", "p": "page", "offset": "offset", "skip": "offset",
            "start": "offset", "startindex": "offset", "startrow": "offset"}  # fmt: skip
_SIZES = frozenset({"limit", "pagesize", "perpage", "size", "count", "rows", "maxresults", "take", "top"})


@dataclass(slots=True)
class Findings:
    """What was seen. `records` are paths and counts, the likeliest first; `pages` are lines for `[fetch.pages]`."""

    format: str = "json"
    shape: Shape = field(default_factory=dict)
    records: list[tuple[str, int]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    rates: list[str] = field(default_factory=list)


def format_of(response: Response) -> str:
    """What its Content-Type says it is; nothing where that says nothing."""
    told = (response.header("Content-Type") or "").lower()
    return next((name for part, name in _TYPES if part in told), "")


def findings(response: Response, answer: object, query: Mapping[str, str], now: float) -> Findings:
    """What an answer teaches; `answer` is its body, decoded, `query` what was asked with, `now` epoch seconds."""
    shape = shape_of(answer)
    return Findings(
        shape=shape,
        records=record_paths(shape),
        columns=columns_of(shape),
        pages=list(page_lines(response, shape, query)),
        rates=list(rate_texts(response, now)),
    )


def rate_texts(response: Response, now: float) -> Iterator[str]:
    """What its headers say is allowed, as a job file writes rates."""
    said = hints(response, HintsSection(), now)
    for quota in said.quotas:
        if quota.unit == "requests":
            yield f"{quota.units}/{quota.per_s:g} s"


def page_lines(response: Response, shape: Shape, query: Mapping[str, str]) -> Iterator[str]:
    """Lines for `[fetch.pages]` that fit what the answer has; none where it does not seem to come in pages."""
    facts = _scalars(shape)
    if next_link(response):
        yield 'kind = "link"              # the answer has a Link header with rel="next"'
    elif found := _of_kind(facts, _URL_KEYS, _NEXT_URL):
        yield 'kind = "next_url"'
        yield f"next = {toml(found)}"
    elif cursor := _cursor(facts):
        yield 'kind = "cursor"'
        yield f"next = {toml(cursor)}"
        yield f"parameter = {toml(_cursor_parameter(cursor, query))}    # how the API calls it in the query: a guess"
    elif numbered := _numbered(facts, query):
        yield from numbered
    else:
        return
    for key, names in (("total", _TOTALS), ("pages", _PAGES), ("more", _MORE)):
        if path := next((path for path in facts if plain(path) in names), None):
            yield f"{key} = {toml(path)}"


def _scalars(shape: Shape) -> Mapping[str, str]:
    """{path: example} of what is told once: not below a list."""
    return {path: seen.example for path, seen in shape.items() if "[]" not in path and seen.example}


def plain(path: str) -> str:
    """The last name of a path, without what styles of writing put into it."""
    return re.sub(r"[^a-z]", "", path.rpartition(".")[2].lower())


def _of_kind(facts: Mapping[str, str], names: frozenset[str], example: re.Pattern[str]) -> str | None:
    fits = (path for path, text in facts.items() if plain(path) in names and example.match(text.strip('"')))
    return next((path for path in fits if plain(path) != "href" or "next" in path.lower()), None)


def _cursor(facts: Mapping[str, str]) -> str | None:
    return next((path for path, text in facts.items() if _CURSORS.fullmatch(plain(path)) and text != "false"), None)


def _cursor_parameter(path: str, query: Mapping[str, str]) -> str:
    last = path.rpartition(".")[2].strip('"')
    if told := next((name for name in query if _CURSORS.fullmatch(plain(name))), None):
        return told
    name = re.sub(r"^next[-_]?(?=\w)", "", last)
    return name[:1].lower() + name[1:]


def _numbered(facts: Mapping[str, str], query: Mapping[str, str]) -> list[str]:
    asked = next(((name, _NUMBERS[plain(name)]) for name in query if plain(name) in _NUMBERS), None)
    told = next((_NUMBERS[plain(path)] for path in facts if plain(path) in _NUMBERS), None)
    has_end = any(plain(path) in _TOTALS | _PAGES | _MORE for path in facts)
    if asked is None and not (told and has_end):
        return []
    name, kind = asked or (told or "page", told or "page")
    lines = [f'kind = "{kind}"', f"parameter = {toml(name)}"]
    first, size = query.get(name, ""), next((name for name in query if plain(name) in _SIZES), None)
    if first.isdecimal():
        lines.append(f"first = {int(first)}")
    if size and query[size].isdecimal():
        lines += [f"size_parameter = {toml(size)}", f"size = {int(query[size])}"]
    return lines
