"""Which kept answers a request that changes something puts out of date (RFC 9111 section 4.4). Pure."""

from urllib.parse import urljoin, urlsplit

from fetcher.fetch.stored import target_of
from fetcher.model import Request, Response

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY"})
"""They change nothing; a method that is not known may (RFC 9110 section 9.2.1, and the registry of methods)."""


def changed_targets(request: Request, response: Response) -> list[str]:
    """The targets that are out of date: the request's own, and those of its origin that the answer names.

    An error says that nothing has changed.
    """
    if request.method in SAFE or not 200 <= response.status < 400:
        return []
    said = [response.header("Location"), response.header("Content-Location")]
    named = [url for reference in said if reference and (url := named_url(request.url, reference))]
    origin = origin_of(request.url)
    urls = [request.url, *(url for url in named if origin_of(url) == origin)]
    return list(dict.fromkeys(target_of(Request("GET", url)) for url in urls))


def named_url(url: str, reference: str) -> str | None:
    """The URL that an answer from `url` names, without its fragment; None where it cannot be read."""
    try:
        named = urljoin(url, reference).partition("#")[0]
        urlsplit(named)
    except ValueError:
        return None
    return named


def origin_of(url: str) -> tuple[str, str]:
    """Scheme and authority."""
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()
