"""A request by hand becomes the request part of a job: secrets leave it, days become slots."""

import re
from dataclasses import dataclass
from typing import Any

from fetcher.draft.asked import Asked
from fetcher.draft.credentials import Hidden, hidden_header, with_user
from fetcher.draft.days import Days, dated, days_of
from fetcher.draft.texts import Text, without_nulls
from fetcher.redaction import looks_secret

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_VERSION = re.compile(r"v?\d[\d.]*|api|rest|public|json|data")


@dataclass(frozen=True, slots=True)
class Drafted:
    """The request as a job file has it: `query` and `headers` by name; `body` by the name of its kind."""

    name: str
    base_url: str
    url: Text
    query: dict[str, Text]
    headers: dict[str, Text]
    method: str
    body: dict[str, object]
    days: Days | None
    hidden: Hidden
    notes: tuple[str, ...]


def drafted(asked: Asked) -> Drafted:
    """The request part of a job that asks this. Raises ValueError where a job cannot."""
    if asked.method not in METHODS:
        raise ValueError(f"expected one of {', '.join(METHODS)}, got the method {asked.method}")
    with_user(asked)
    hidden, notes = Hidden(asked.host), list(asked.notes)
    days = days_of(
        [
            asked.path,
            *_texts(dict(asked.query)),
            *_texts(asked.json),
            *_texts(dict(asked.form + asked.parts)),
            asked.body,
        ]
    )
    repeated = {name for name, _ in asked.query if [known for known, _ in asked.query].count(name) > 1}
    if repeated:
        notes.append(f"the query has {', '.join(sorted(repeated))} more than once; the last of each is kept")
    query = {name: _value(name, value, days, hidden) for name, value in asked.query}
    headers = {
        name: hidden_header(name, value, hidden) or dated(value, days)
        for name, value in {name.lower(): (name, value) for name, value in asked.headers}.values()
    }
    body, had_nulls = without_nulls(body_of(asked, days, hidden))
    if had_nulls:
        notes.append("null in the body is left out: TOML has none")
    assert isinstance(body, dict)
    return Drafted(
        name=job_name(asked),
        base_url=asked.base_url,
        url=dated(asked.path, days),
        query=query,
        headers=headers,
        method=asked.method,
        body=body,
        days=days,
        hidden=hidden,
        notes=tuple(notes),
    )


def body_of(asked: Asked, days: Days | None, hidden: Hidden) -> dict[str, object]:
    """The body under the name of its kind; nothing where there is none."""
    if told := graphql_of(asked.json):
        variables = _json(told.get("variables") or {}, "", days, hidden)
        named = {"operation": told["operationName"]} if told.get("operationName") else {}
        return {"graphql": {"query": told["query"], **({"variables": variables} if variables else {}), **named}}
    if asked.json is not None:
        return {"json": _json(asked.json, "", days, hidden)}
    for kind, fields in (("form", asked.form), ("multipart", asked.parts)):
        if fields:
            return {kind: {name: _value(name, value, days, hidden) for name, value in fields}}
    return {"text": dated(asked.body, days)} if asked.body else {}


def graphql_of(body: object) -> dict[str, Any] | None:
    """A JSON body that is a GraphQL request (GraphQL over HTTP, section 5.1)."""
    if not isinstance(body, dict) or not body.keys() <= {"query", "variables", "operationName"}:
        return None
    query = body.get("query")
    is_query = isinstance(query, str) and re.match(r"\s*(query|mutation|subscription|fragment|\{)", query)
    return body if is_query else None


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
            return [text for name, item in value.items() if not looks_secret(name) for text in _texts(item)]
        case list():
            return [text for item in value for text in _texts(item)]
        case str():
            return [value]
    return []
