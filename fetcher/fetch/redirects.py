"""Where a redirect leads, and what may go along. Pure.

The rule: each hop is composed from nothing. Headers, body and credential of the job go to its homes only, and once a
chain has left them nothing of the job comes back into it. Whatever cannot be right ends the row as refused.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace

from fetcher.errors import Refused
from fetcher.model import Request, Response
from fetcher.origins import Homes, origin_of, resolved, without_user

FOLLOWED = frozenset({301, 302, 303, 307, 308})
BARE_METHODS = frozenset({"GET", "HEAD"})
MOST_HOPS = 5


@dataclass(frozen=True, slots=True)
class Hop:
    """One request of a chain, the first with number 0.

    `is_home` where credentials may go along. `is_result` where an earlier request of the chain was sent and carried
    out, and this one asks only for what came of it. `asked` are the requests before it.
    """

    request: Request
    is_home: bool
    number: int = 0
    is_result: bool = False
    asked: frozenset[tuple[str, str]] = frozenset()


def first_hop(request: Request, homes: Homes, secrets: Collection[str] = ()) -> Hop:
    """The request as it is where it goes home. Raises `Refused` where it goes elsewhere with more than a question, or
    with one of the `secrets` in its address."""
    try:
        is_home = homes.has(request.url)
    except ValueError as error:
        raise Refused(f"not a URL that can be asked: {error}") from error
    if is_home:
        return Hop(request, is_home)
    if any(secret in request.url for secret in secrets):
        raise Refused(f"the address would take a secret along to {origin_of(request.url)}")
    return Hop(bare(request, request.url, request.method), is_home)


def next_hop(hop: Hop, response: Response, homes: Homes, secrets: Collection[str]) -> Hop | None:
    """What to ask next, if an answer says so. Raises `Refused` where it leads nowhere, or where nothing may go.

    `secrets` are the texts, in every form, that may not stand in an address outside the homes.
    """
    location = response.header("Location")
    if response.status not in FOLLOWED or location is None:
        return None
    said = f"HTTP {response.status}: a redirect to {without_user(location)!r}"
    request = hop.request
    try:
        url = resolved(location, request.url)
    except ValueError as error:
        raise Refused(f"{said} is not followed: {error}") from error
    method = method_after(response.status, request.method)
    is_home = hop.is_home and homes.has(url)
    asked = hop.asked | {(request.method, request.url)}
    if (method, url) in asked:
        raise Refused(f"{said} goes round: that was asked before")
    if hop.number == MOST_HOPS:
        raise Refused(f"{said} is one too many: no more than {MOST_HOPS} are followed")
    if not is_home and any(secret in url for secret in secrets):
        raise Refused(f"{said} is not followed: the address would take a secret along to {origin_of(url)}")
    after = same(request, url, method) if is_home else bare(request, url, method)
    is_result = hop.is_result or (method != request.method)
    return Hop(after, is_home, hop.number + 1, is_result, asked)


def method_after(status: int, method: str) -> str:
    """301 and 302 turn a POST into a GET, 303 turns everything into one (RFC 9110 section 15.4)."""
    turns = status == 303 or (status in (301, 302) and method == "POST")
    return "GET" if turns and method != "HEAD" else method


def same(request: Request, url: str, method: str) -> Request:
    """The request at another address; where it has become a GET, without its body and what describes it."""
    if method == request.method:
        return Request(
            method, url, request.headers, request.body, idempotency_key=request.idempotency_key, cost=request.cost
        )
    headers = tuple((name, value) for name, value in request.headers if not name.lower().startswith("content-"))
    return Request(method, url, headers, cost=request.cost)


def bare(request: Request, url: str, method: str) -> Request:
    """A question to a stranger, who is told nothing but the address. Raises `Refused` where it would be more."""
    if method not in BARE_METHODS or (request.body and method == request.method):
        raise Refused(
            f"a {request.method} with what it carries is not sent to {origin_of(url)}; list that host in "
            "fetch.allowed_hosts if it may have it"
        )
    return Request(method, url, cost=request.cost)


ADDRESS = ":url"
"""No header has such a name: where an answer came from in the end, as it is kept."""


def with_address(response: Response, asked: str) -> Response:
    """An answer as it is kept: one that came from another address than was asked says from which."""
    if response.url in ("", asked):
        return response
    return replace(response, headers=(*response.headers, (ADDRESS, response.url)))


def with_kept_address(response: Response, asked: str) -> Response:
    """A kept answer with the address that it came from: what it links to counts from there."""
    headers = tuple((name, value) for name, value in response.headers if name != ADDRESS)
    return replace(response, url=response.header(ADDRESS) or asked, headers=headers)
