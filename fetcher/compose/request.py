"""A row and the job's `[fetch]` section become one HTTP request."""

from urllib.parse import quote, urlencode

from fetcher.job.sections import Fetch
from fetcher.model import Request, Row
from fetcher.template import Template, text_of


def compose(fetch: Fetch, row: Row) -> Request:
    """The request that asks about this row. What a slot brings into the path is percent-encoded, `/` too."""
    path = fetch.url.fill_text(row.values, encode=lambda text: quote(text, safe=""))
    query = [
        (name, value.fill_text(row.values) if isinstance(value, Template) else text_of(value))
        for name, value in fetch.query.items()
    ]
    url = fetch.base_url + path
    if query:
        url += ("&" if "?" in path else "?") + urlencode(query)
    headers = tuple((name, template.fill_text(row.values)) for name, template in fetch.headers.items())
    return Request("GET", url, headers)
