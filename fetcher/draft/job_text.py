"""The draft as a person reads it: a commented job file."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from fetcher.draft.findings import Findings
from fetcher.draft.request import Drafted
from fetcher.draft.texts import in_comment, key, toml
from fetcher.outline import around_of, direct_fields

LINE = 100
FIRST_DAYS = 7
"""A first run is short, whoever starts it without a look into its file."""

ALTERNATIVES = 4
NAMES_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Seen:
    """What the probe has brought: findings, or the reason that there are none."""

    findings: Findings | None = None
    told: str = ""


def job_text(request: Drafted, seen: Seen, file: str, today: date) -> str:
    """A job file called `file`; what was not learned is told in comments."""
    parts = [
        _opening(request, seen, file),
        [f"name = {toml(request.name)}"],
        _read(request, today),
        _fetch(request),
        _limits(seen.findings),
        _pages(seen.findings),
        _cache(request),
        _parse(seen.findings),
        ["[write]", f"folder = {toml(f'data/{request.name}')}    # records-000001.jsonl, ...; relative to this file"],
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _opening(request: Drafted, seen: Seen, file: str) -> list[str]:
    file = in_comment(file)
    lines = [
        "# A first draft: every line may be changed.",
        "#",
        f"#   fetcher check {file}      what it would ask for, without a request",
        f"#   fetcher preview {file}    the first rows as records on the screen",
        f"#   fetcher run {file}        all of them, into files",
    ]
    for name, place in request.hidden.places.items():
        lines += ["#", f"# {name} has to be set in the environment ({in_comment(place)}); its value is in no file:"]
        lines.append(f"#   export {name}=...{_how(name)}")
    told = [*request.notes, *([seen.told] if seen.told else [])]
    lines += ["#", *(f"# Note: {in_comment(note)}" for note in told)] if told else []
    return lines


def _how(name: str) -> str:
    return "    (of USER:PASSWORD: printf %s USER:PASSWORD | base64)" if name.endswith("_BASIC") else ""


def _read(request: Drafted, today: date) -> list[str]:
    days = request.days
    if days is None:
        return [
            "[read.dates]    # the request has no day in it, so there is one row: today's",
            'from = "today"',
            'to   = "today"',
        ]
    last = max(days.last, min(days.first + timedelta(days=FIRST_DAYS - 1), today - timedelta(days=1)))
    kind = "a day" if days.every == 1 else "a window of days"
    lines = [
        f"[read.dates]    # one row {kind}, both ends included",
        f"from = {toml(str(days.first))}    # the day that the request had",
        f'to   = {toml(str(last))}    # enough for a first try; then "yesterday"',
    ]
    if days.every > 1:
        lines.append(f"every = {toml(f'{days.every} days')}    # what the request asked for at once")
    lines.append('# timezone = "Asia/Singapore"    # whose yesterday: the API\'s own; UTC unless said')
    return lines


def _fetch(request: Drafted) -> list[str]:
    lines = ["[fetch]    # one request a row", f"base_url = {toml(request.base_url)}"]
    lines.append(f"url = {toml(request.url)}" + _slots_told(request))
    if request.method != "GET":
        lines.append(f"method = {toml(request.method)}")
    if request.method in ("POST", "PATCH"):
        lines.append("# idempotency_key = true    # where the API honours Idempotency-Key: then a lost one is repeated")
        lines.append('# on_unknown = "retry"       # or where asking twice does no harm, as for a search')
    tables: list[str] = []
    for name, value in (("query", request.query), ("headers", request.headers), *request.body.items()):
        if not value:
            continue
        if len(inline := f"{name} = {toml(value)}") <= LINE or not isinstance(value, dict):
            lines.append(inline)
        else:
            tables += ["", f"[fetch.{name}]", *(f"{key(field)} = {toml(item)}" for field, item in value.items())]
    return lines + tables


def _slots_told(request: Drafted) -> str:
    if request.days is None:
        return ""
    return "    # {date} is the row's day" if request.days.every == 1 else "    # {start} and {end} are the row's days"


def _limits(found: Findings | None) -> list[str]:
    lines = ["[fetch.limits]"]
    for rate in found.rates if found else ():
        lines.append(f"# The API's headers tell of a limit: rate = {toml(rate)}")
    return [*lines, 'rate = "1/s"    # careful until you have read what the API allows; also "6/10 s", "5000/day"']


def _pages(found: Findings | None) -> list[str]:
    if not (found and found.pages):
        return []
    head = "# The answer seems to be one page of several; without these lines the first one alone is taken:"
    return [head, *(f"# {in_comment(line)}" for line in ("[fetch.pages]", *found.pages))]


def _cache(request: Drafted) -> list[str]:
    if request.days:
        return []
    return ["[fetch.cache]", 'keep = "none"    # today\'s answer says nothing about tomorrow']


def _parse(found: Findings | None) -> list[str]:
    if found is None:
        return ["[parse]", 'records = "@"    # the whole answer is one record; `fetcher preview` shows what is in it']
    form = [] if found.format == "json" else [f"format = {toml(found.format)}"]
    return ["[parse]", *form, *_records(found)]


def _records(found: Findings) -> Iterator[str]:
    if found.columns and found.records in ([], [("@", 1)]):
        yield from _columns(found)
        return
    if found.format in ("csv", "ndjson"):
        yield from _fields(found, "[]")
        return
    if found.format == "text":
        yield "# pattern = '(?P<name>[a-z]+) (?P<value>[0-9]+)'    # a record a match; else the answer is one"
        return
    paths = found.records or [("@", 1)]
    for number, (path, count) in enumerate(paths[:ALTERNATIVES]):
        told = f"{count:,} of them in the answer that was seen" if count != 1 else "one in the answer that was seen"
        yield f"{'# ' if number else ''}records = {toml(path)}    # {told}"
        if number == 0:
            yield from _fields(found, path)


def _fields(found: Findings, path: str) -> Iterator[str]:
    """Names of what is in a record, for whoever wonders whether it is the right one; and what is round it."""
    names = direct_fields(found.shape, path)
    if names:
        more = ", ..." if len(names) > NAMES_SHOWN else ""
        yield f"#   with {in_comment(', '.join(names[:NAMES_SHOWN]))}{more}"
    around = around_of(found.shape, path)
    if around:
        told = ", ".join(f"{key(name)} = {toml(source)}" for name, source in around.items())
        yield f"fields = {{ {told} }}    # ^ is what is round a record"
        yield 'others = "keep"'


def _columns(found: Findings) -> Iterator[str]:
    """A table that is told by its columns."""
    above = {path.rpartition(".")[0] for path in found.columns}
    names = ", ".join(path.rpartition(".")[2] for path in found.columns[:NAMES_SHOWN])
    yield f"records = {toml(above.pop() or '@')}    # lists side by side: {in_comment(names)}"
    yield "columns = true"
