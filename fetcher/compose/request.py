"""A row and the job's `[fetch]` section become one HTTP request.

The rule: a value says what is asked about, never where. It stays in its segment of the path, in its parameter of the
query and in its header, whatever it holds; a row whose value cannot is refused.
"""

import re
import string
from urllib.parse import quote, urlencode

from fetcher.errors import Refused
from fetcher.job.sections import Fetch, Limits
from fetcher.job.values import MOST_COST
from fetcher.model import Request, Row
from fetcher.template import Template, text_of

FILLED = "\0"
"""Marks where a slot was; a job file's path cannot hold it."""

OTHER_PLACES = ("", ".", "..")
ASCII = string.digits + string.ascii_letters + string.punctuation
UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def compose(fetch: Fetch, row: Row) -> Request:
    """The request that asks about this row. Raises `Refused` where a value of the row has no place in it."""
    try:
        url = fetch.base_url + composed_path(fetch.url, row)
        query = [
            (name, value.fill_text(row.values) if isinstance(value, Template) else text_of(value))
            for name, value in fetch.query.items()
        ]
        if query:
            url += ("&" if "?" in url else "?") + urlencode(query)
        headers = tuple((name, header_value(name, template, row)) for name, template in fetch.headers.items())
    except UnicodeEncodeError as error:
        raise Refused(f"{error.object!r} has half a character (a lone surrogate), which cannot be sent") from error
    return Request("GET", url, headers, composed_cost(fetch.limits, row))


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
