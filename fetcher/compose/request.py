"""A row and the job's `[fetch]` section become one HTTP request.

The rule: a value says what is asked about, never where. It stays in its segment of the path, in its parameter of the
query and in its header, whatever it holds; a row whose value cannot is refused.
"""

import hashlib
import re
import string
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote, unquote_plus, urlencode
from uuid import UUID

from fetcher.compose.bodies import body_of, joined, text_value
from fetcher.compose.halving import halved_values
from fetcher.compose.pages import FIRST, Place, parameters
from fetcher.errors import Refused
from fetcher.job.sections import Fetch, Limits
from fetcher.job.values import MOST_COST
from fetcher.model import Request, Row
from fetcher.origins import homes_of
from fetcher.redaction import MASK
from fetcher.template import Template, text_of

FILLED = "\0"
"""Marks where a slot was; a job file's path cannot hold it."""

OTHER_PLACES = ("", ".", "..")
ASCII = string.digits + string.ascii_letters + string.punctuation
UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def compose(fetch: Fetch, row: Row, place: Place = FIRST) -> Request:
    """The request that asks about this row, or about one of its pages.

    Raises `Refused` where a value of the row has no place in it.
    """
    return compose_batch(fetch, [at_part(fetch, row, place)], place)


def compose_batch(fetch: Fetch, rows: Sequence[Row], place: Place = FIRST) -> Request:
    """The request that asks about all these rows at once; they differ in nothing but what the batch says."""
    row = joined(fetch, rows)
    try:
        headers = tuple((name, header_value(name, template, row)) for name, template in fetch.headers.items())
        body, media_type = body_of(fetch, rows, place)
        url = composed_url(fetch, rows, place)
    except UnicodeEncodeError as error:
        raise Refused(f"{error.object!r} has half a character (a lone surrogate), which cannot be sent") from error
    if body and "content-type" not in {name.lower() for name, _ in headers}:
        headers = (*headers, ("Content-Type", media_type))
    # Two pages may have one URL: some servers count on their side.
    is_ambiguous = fetch.pages is not None and fetch.pages.kind == "cursor" and place.number > 1
    number = place.number if is_ambiguous else 0
    credential = fetch.auth.identity if fetch.auth else ""
    return Request(fetch.method, url, headers, body, number, cost=cost_of(fetch, rows), credential=credential)


def at_part(fetch: Fetch, row: Row, place: Place) -> Row:
    """The row with the values of the part of its window that is asked for."""
    if not place.cursor or fetch.pages is None or fetch.pages.kind != "split":
        return row
    return row._replace(values=halved_values(row.values, str(place.cursor), timedelta(seconds=fetch.pages.least)))


def composed_url(fetch: Fetch, rows: Sequence[Row], place: Place) -> str:
    """The whole address. One that an answer named is asked as it is, but for the credential."""
    if fetch.pages and fetch.pages.kind in ("link", "next_url") and place.cursor is not None:
        return with_own_secrets(str(place.cursor), fetch, rows[0])
    query = [(name, text_value(fetch, value, rows)) for name, value in fetch.query.items()]
    if fetch.pages and fetch.pages.into == "query":
        asked = {name: text_of(value) for name, value in parameters(fetch.pages, place)}
        query = [(name, text) for name, text in query if name not in asked] + list(asked.items())
    url = fetch.base_url + composed_path(fetch.url, joined(fetch, rows))
    return url + ("&" if "?" in url else "?") + urlencode(query) if query else url


def with_own_secrets(url: str, fetch: Fetch, row: Row) -> str:
    """An address that an answer named, where servers repeat the key that they were asked with: it came masked, so the
    job's own is put in its place, and one of `fetch.auth`, which is added when a request is sent, is left out. An
    address elsewhere is left as it is."""
    if not homes_of(fetch.base_url, fetch.allowed_hosts).has(url):
        return url
    base, _, query = url.partition("?")
    credential = fetch.auth.parameter if fetch.auth else None
    kept = []
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        own = unquote_plus(name)
        if own != credential:
            is_masked = own in fetch.query and unquote_plus(value) == MASK
            kept.append(urlencode([(own, text_value(fetch, fetch.query[own], [row]))]) if is_masked else pair)
    return f"{base}?{'&'.join(kept)}" if kept else base


def with_idempotency_key(request: Request, *about: str) -> Request:
    """The request with a key that is the same whenever it asks for the same thing, over restarts too, and for nothing
    else; `about` says what is asked for beside the request itself. Draft-ietf-httpapi-idempotency-key-header."""
    digest = hashlib.sha256("\n".join([request.key, *about]).encode()).digest()
    return replace(request, idempotency_key=str(UUID(bytes=digest[:16], version=4)))


def composed_path(template: Template, row: Row) -> str:
    """The path, slots filled and percent-encoded, `/` too.

    A segment that would be `.`, `..` or nothing names another resource, also when it is encoded (RFC 3986 sections
    5.2.4 and 6.2.2.3), so that row is refused.
    """
    shape = template.fill_text(row.values, encode=lambda _: FILLED).partition("?")[0]
    path = template.fill_text(row.values, encode=lambda text: quote(text, safe=""))
    for filled, segment in zip(shape.split("/"), path.partition("?")[0].split("/"), strict=True):
        if FILLED in filled and segment in OTHER_PLACES:
            raise Refused(f"a part of the path '{template}' would be '{segment}', which names another resource")
    return quote(path, safe=ASCII)


def cost_of(fetch: Fetch, rows: Sequence[Row]) -> int:
    """What the request counts for in the rates. Raises `Refused` where no rate ever has that much."""
    counted = rows if fetch.batch and fetch.batch.counts_rows else rows[:1]
    cost = sum(composed_cost(fetch.limits, row) for row in counted)
    most = min((rate.starts for rate in fetch.limits.rate), default=cost)
    if cost > most:
        raise Refused(f"together its {len(counted):,} rows count for {cost:,}, and a rate allows {most:,}")
    return cost


def composed_cost(limits: Limits, row: Row) -> int:
    """What the request counts for in the rates: a whole number from 1 to the smallest rate's own."""
    if isinstance(limits.cost, int):
        return limits.cost
    text = limits.cost.fill_text(row.values)
    most = min((rate.starts for rate in limits.rate), default=MOST_COST)
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
        raise Refused(f"its cost '{limits.cost}' would be {text!r}: expected a whole number from 1 to {most}")
    return int(text)


def header_value(name: str, template: Template, row: Row) -> str:
    """A header's text. A line break in it would forge further headers."""
    text = template.fill_text(row.values)
    text.encode()
    if UNSENDABLE.search(text):
        raise Refused(f"the header '{name}' would be {text!r}: a line break or a control character cannot be sent")
    return text
