"""What may be kept of an answer (RFC 9111 section 3). Pure."""

from http import HTTPStatus

from fetcher.fetch.ages import HEURISTIC, NEVER, lifetime_s
from fetcher.fetch.directives import Directives, directives, lines_of, members, names_of, request_directives
from fetcher.fetch.invalidating import named_url
from fetcher.fetch.ranges import part_of
from fetcher.model import Request, Response

HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authentication-info", "proxy-authorization"),
        *("proxy-connection", "te", "transfer-encoding", "upgrade"),
    }
)
"""They are about one connection (section 3.1, RFC 9110 section 7.6.1)."""

NEVER_KEPT = frozenset({428, 429, 431, 511})
"""RFC 6585: they must not be stored by a cache."""

REASONS = frozenset({"max-age", "public", "private"})
"""Directives that each give leave to keep an answer, whatever its status."""

UNDERSTOOD = frozenset(int(status) for status in HTTPStatus if status >= 200) - {304}


def may_store(request: Request, response: Response) -> bool:
    """Whether the answer may be kept for requests to come, by a cache that serves one user."""
    said = directives(response.headers)
    return (
        request.method == "GET"
        and 200 <= response.status < 600
        and response.status != 304
        and response.status not in NEVER_KEPT
        and "no-store" not in request_directives(request.headers)
        and not is_forbidden(response.status, said)
        and is_whole_or_part(request, response)
        and is_worth_keeping(response, said)
    )


def does_for_get(request: Request, response: Response) -> bool:
    """Whether what a POST got is what a GET of the same URL would get: the answer says so, and for how long it is
    fresh (RFC 9110 sections 8.7 and 9.3.3)."""
    places = lines_of(response.headers, "content-location")
    return (
        request.method == "POST"
        and response.status == 200
        and len(places) == 1
        and named_url(request.url, places[0].strip(" \t")) == request.url.partition("#")[0]
        and lifetime_s(response, may_guess=False) != NEVER
    )


def is_forbidden(status: int, said: Directives) -> bool:
    """Whether the answer says that it must not be kept (sections 5.2.2.3 and 5.2.2.5)."""
    if "must-understand" in said:
        return status not in UNDERSTOOD
    return "no-store" in said


def may_update(request: Request, told: Response) -> bool:
    """Whether what a 304 or an answer to HEAD brings may be written to what is kept: it is part of an answer too."""
    said = (directives(told.headers), request_directives(request.headers))
    return not any("no-store" in directive for directive in said)


def is_whole_or_part(request: Request, response: Response) -> bool:
    """Whether the body is all of the answer, or a part of which we know where it belongs (section 3.3)."""
    if response.status == 206:
        return part_of(response) is not None
    return not lines_of(request.headers, "range") or response.status < 300


def is_worth_keeping(response: Response, said: Directives) -> bool:
    """Whether section 3 gives leave: by the answer itself, or by what its status means."""
    if not said.keys().isdisjoint(REASONS) or lines_of(response.headers, "expires"):
        return True
    return response.status in HEURISTIC


def storable(response: Response) -> Response:
    """The answer as it is kept, without what was about its connection."""
    headers, left_out = response.headers, HOP_BY_HOP
    if lines := lines_of(headers, "connection"):
        left_out |= {member.lower() for member in members(lines)}
    if left_out.isdisjoint(names_of(headers)):
        return response
    kept = tuple((name, value) for name, value in headers if name.lower() not in left_out)
    return Response(response.status, kept, response.body, response.fetched_at, url=response.url)
