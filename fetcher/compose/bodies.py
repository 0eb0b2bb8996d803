"""A row, or a batch of rows, becomes the body of a request. Pure.

Bodies are the same, byte for byte, whenever they say the same: a request is known by what it carries.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from urllib.parse import urlencode

import msgspec

from fetcher.compose.pages import Place, parameters
from fetcher.errors import Refused
from fetcher.job.bodies import Part
from fetcher.job.sections import Fetch
from fetcher.model import Row, Scalar
from fetcher.template import Template, text_of

QUOTED = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})
"""How a name is written in a part's header (HTML standard, section 4.10.22.8)."""


def body_of(fetch: Fetch, rows: Sequence[Row], place: Place) -> tuple[bytes, str]:
    """The body and its media type; nothing where the job has none. `rows` are several in a batch, else one."""
    if fetch.form is not None:
        fields = {name: text_value(fetch, value, rows) for name, value in fetch.form.items()}
        return urlencode(fields).encode(), "application/x-www-form-urlencoded"
    if fetch.text is not None:
        kind = fetch.content_type.fill_text(rows[0].values)
        return lines_of(fetch, fetch.text, rows).encode(), kind
    if fetch.multipart is not None:
        return multipart(fetch, fetch.multipart, rows)
    value = json_of(fetch, rows)
    if value is None:
        return b"", ""
    if fetch.pages and fetch.pages.into == "json":
        for name, asked in parameters(fetch.pages, place):
            value = with_value(value, name.split("."), asked)
    return msgspec.json.encode(value), "application/json"


def json_of(fetch: Fetch, rows: Sequence[Row]) -> object:
    """What a JSON body holds; None where the job has none."""
    if fetch.graphql is not None:
        variables = filled(fetch, fetch.graphql.variables, rows)
        named = {"operationName": fetch.graphql.operation} if fetch.graphql.operation else {}
        return {"query": fetch.graphql.query, "variables": variables, **named}
    return None if fetch.json_ is None else filled(fetch, fetch.json_, rows)


def filled(fetch: Fetch, value: object, rows: Sequence[Row]) -> object:
    """A body's value with its slots filled; a slot that is the whole text keeps its type, dates become text.

    In a batch, a list with one item that differs from row to row has that item once for each row.
    """
    match value:
        case Template():
            found = value.fill(joined(fetch, rows).values)
            return text_of(found) if isinstance(found, date) else found
        case dict():
            return {name: filled(fetch, item, rows) for name, item in value.items()}
        case [item] if differs(fetch, item):
            return [filled(fetch, item, [row]) for row in rows]
        case list():
            return [filled(fetch, item, rows) for item in value]
    return value


def differs(fetch: Fetch, value: object) -> bool:
    """Whether a value is another for each row of a batch."""
    if fetch.batch is None:
        return False
    match value:
        case Template():
            return any(slot in fetch.batch.each for slot in value.slots)
        case dict():
            return any(differs(fetch, item) for item in value.values())
        case list():
            return any(differs(fetch, item) for item in value)
    return False


def joined(fetch: Fetch, rows: Sequence[Row]) -> Row:
    """One row for all: what differs between them is joined with the batch's separator, the rest is the first one's."""
    first = rows[0]
    if fetch.batch is None or len(rows) == 1:
        return first
    together = {
        name: fetch.batch.separator.join(text_of_slot(name, row) for row in rows)
        for name in fetch.batch.each
        if name in first.values
    }
    return first._replace(values={**first.values, **together})


def text_of_slot(name: str, row: Row) -> str:
    """A row's value as text. Raises `Refused` where it has none."""
    value = row.values.get(name)
    if value is None:
        raise Refused(f"'{name}' of this row is empty, and the batch needs it")
    return text_of(value)


def lines_of(fetch: Fetch, template: Template, rows: Sequence[Row]) -> str:
    """Text; what differs from row to row is a line for each."""
    if differs(fetch, template):
        return "\n".join(template.fill_text(row.values) for row in rows)
    return template.fill_text(joined(fetch, rows).values)


def multipart(fetch: Fetch, parts: Mapping[str, Part | Template | float], rows: Sequence[Row]) -> tuple[bytes, str]:
    """A body of parts (RFC 7578), and its media type; the boundary is a hash of what it parts."""
    pieces = []
    for name, value in parts.items():
        disposition = f'form-data; name="{name.translate(QUOTED)}"'
        head, text = "", ""
        if isinstance(value, Part):
            text = lines_of(fetch, value.content, rows)
            if value.filename:
                disposition += f'; filename="{value.filename.fill_text(rows[0].values).translate(QUOTED)}"'
            head = f"\r\nContent-Type: {value.content_type.fill_text(rows[0].values)}"
        else:
            text = text_value(fetch, value, rows)
        pieces.append(f"Content-Disposition: {disposition}{head}\r\n\r\n{text}\r\n".encode())
    boundary = hashlib.sha256(b"".join(pieces)).hexdigest()[:32]
    body = b"".join(b"--%b\r\n%b" % (boundary.encode(), piece) for piece in pieces)
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def text_value(fetch: Fetch, value: Template | float, rows: Sequence[Row]) -> str:
    """A value of a query or a form as text; it is percent-encoded later. One slot that differs is filled for each row,
    and the texts are joined."""
    if not isinstance(value, Template):
        return text_of(value)
    if len(rows) > 1 and fetch.batch and len(value.parts) == 1 and differs(fetch, value):
        return fetch.batch.separator.join(value.fill_text(row.values) for row in rows)
    return value.fill_text(joined(fetch, rows).values)


def with_value(body: object, way: Sequence[str], value: Scalar) -> dict[str, object]:
    """A body with a value at a way through its tables, which are made where they are not there."""
    table = body if isinstance(body, dict) else {}
    first, *rest = way
    return {**table, first: with_value(table.get(first), rest, value) if rest else value}
