"""A request by hand becomes the request part of a job: secrets leave it, days become slots."""

import re
from dataclasses import dataclass

from fetcher.draft.asked import Asked
from fetcher.draft.credentials import Hidden, hidden_header, with_user
from fetcher.draft.days import Days, dated, days_of
from fetcher.draft.texts import Text, without_nulls
from fetcher.redaction import looks_secret

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_VERSION = re.compile(r"v?\d[\d.]*|api|rest|public|json|data")


@dataclass(frozen=True, slots=True)
class Drafted:
    """The request as a job file has it: `query` and `headers` by name, `json` with `Text` for its texts."""

    name: str
    base_url: str
    url: Text
    query: dict[str, Text]
    headers: dict[str, Text]
    method: str
    json: object
    days: Days | None
    hidden: Hidden
    notes: tuple[str, ...]


def drafted(asked: Asked) -> Drafted:
    """The request part of a job that asks this. Raises ValueError where a job cannot."""
    if asked.method not in METHODS:
        raise ValueError(f"expected one of {', '.join(METHODS)}, got the method {asked.method}")
    with_user(asked)
    hidden, notes = Hidden(asked.host), list(asked.notes)
    days = days_of([asked.path, *(value for name, value in asked.query if not looks_secret(name)), *_texts(asked.json)])
    repeated = {name for name, _ in asked.query if [known for known, _ in asked.query].count(name) > 1}
    if repeated:
        notes.append(f"the query has {', '.join(sorted(repeated))} more than once; the last of each is kept")
    if asked.body:
        notes.append("its body is no JSON object; a job cannot send it")
    query = {name: _value(name, value, days, hidden) for name, value in asked.query}
    headers = {
        name: hidden_header(name, value, hidden) or dated(value, days)
        for name, value in {name.lower(): (name, value) for name, value in asked.headers}.values()
    }
    body, had_nulls = without_nulls(_json(asked.json, "", days, hidden))
    if had_nulls:
        notes.append("null in the body is left out: TOML has none")
    return Drafted(
        name=job_name(asked),
        base_url=asked.base_url,
        url=dated(asked.path, days),
        query=query,
        headers=headers,
        method=asked.method,
        json=body,
        days=days,
        hidden=hidden,
        notes=tuple(notes),
    )


def job_name(asked: Asked) -> str:
    """What the job is called: the last part of the path that names something, else the host."""
    parts = [part for part in asked.path.lower().split("/") if part and not days_of([part])]
    names = [part for part in parts if not _VERSION.fullmatch(part) and re.search(r"[a-z]{2}", part)]
    slug = re.sub(r"[^a-z0-9]+", "-", names[-1] if names else asked.host).strip("-")
    return slug[:60] or "first"


def _value(name: str, value: str, days: Days | None, hidden: Hidden) -> Text:
    if value and looks_secret(name):
        return hidden.hide(value, f"the query parameter {name}", name)
    return dated(value, days)


def _json(value: object, name: str, days: Days | None, hidden: Hidden) -> object:
    match value:
        case dict():
            return {str(key): _json(item, str(key), days, hidden) for key, item in value.items()}
        case list():
            return [_json(item, name, days, hidden) for item in value]
        case str() if value and looks_secret(name):
            return hidden.hide(value, f"'{name}' in the body", name)
        case str():
            return dated(value, days)
    return value


def _texts(value: object) -> list[str]:
    match value:
        case dict():
            return [text for item in value.values() for text in _texts(item)]
        case list():
            return [text for item in value for text in _texts(item)]
        case str():
            return [value]
    return []
