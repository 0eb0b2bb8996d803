"""Answers that send the client elsewhere (H14, H15, X01, X02)."""

from types import MappingProxyType

from aiohttp import web

from fetcher.testing.faults.exchange import Exchange, Fault, fault, json_answer
from fetcher.testing.faults.spec import PREFIX

FOREIGN = "refused, or followed without credentials, cookies, headers and body"


def redirect(status: int) -> Fault:
    """The fault that redirects once, with that status, to the same request without it."""

    async def play(exchange: Exchange) -> web.StreamResponse:
        return moved(f"{exchange.origin}{exchange.request.path_qs}", status)

    keeps = "followed with the same method and body" if status > 303 else "followed with GET, without body"
    does = f"Redirects ({status}) to the same request without this fault."
    return Fault(f"redirect-{status}", "H15", does, keeps, play, MappingProxyType({}))


async def redirect_loop(exchange: Exchange) -> web.StreamResponse:
    """Redirects (302) to the same request, for ever."""
    return moved(f"{exchange.origin}{PREFIX}{exchange.asked.text}{exchange.request.path_qs}")


async def redirect_chain(exchange: Exchange) -> web.StreamResponse:
    """Redirects (302) `hops` times, then answers."""
    left = exchange.asked.whole("hops") - 1
    again = f"{PREFIX}redirect-chain;hops={left}" if left > 0 else ""
    return moved(f"{exchange.origin}{again}{exchange.request.path_qs}")


async def redirect_other_host(exchange: Exchange) -> web.StreamResponse:
    """Redirects (302) to the same port of another host: `localhost`, or `to`."""
    to = exchange.asked.words("to") or f"http://localhost:{exchange.request.url.port}"
    return moved(f"{to}{exchange.request.path_qs}")


async def redirect_other_port(exchange: Exchange) -> web.StreamResponse:
    """Redirects (302) to another port of the same host: `port`, or the next one."""
    url = exchange.request.url
    port = exchange.asked.whole("port") or (url.port or 80) % 65535 + 1
    return moved(f"http://{url.host}:{port}{exchange.request.path_qs}")


async def redirect_private(exchange: Exchange) -> web.StreamResponse:
    """Redirects (302) to the address where clouds keep credentials, 169.254.169.254."""
    return moved("http://169.254.169.254/latest/meta-data/")


async def redirect_to_file(exchange: Exchange) -> web.StreamResponse:
    """Redirects (302) to `file:///etc/passwd`."""
    return moved("file:///etc/passwd")


async def redirect_userinfo(exchange: Exchange) -> web.StreamResponse:
    """Redirects (302) to this host with a user name before it that looks like a host."""
    return moved(f"http://api.example.org@{exchange.request.host}{exchange.request.path_qs}")


async def redirect_nowhere(exchange: Exchange) -> web.StreamResponse:
    """Answers 302 without Location."""
    return json_answer(302, {"message": "Found"})


async def redirect_retry_after(exchange: Exchange) -> web.StreamResponse:
    """Redirects (302) with Retry-After: the redirected request shall wait that long."""
    response = moved(f"{exchange.origin}{exchange.request.path_qs}")
    response.headers["Retry-After"] = str(exchange.asked.whole("seconds"))
    return response


def moved(location: str, status: int = 302) -> web.Response:
    """A redirection."""
    return json_answer(status, {"message": "moved"}, location=location)


FAULTS = (
    *map(redirect, (301, 302, 303, 307, 308)),
    fault(redirect_loop, "H14", "stops at the limit of hops, permanent"),
    fault(redirect_chain, "H14", "stops at the limit of hops, permanent", hops=11),
    fault(redirect_other_host, "X01", FOREIGN, to=""),
    fault(redirect_other_port, "X01", FOREIGN, port=0),
    fault(redirect_private, "X01 X04", "refused before it connects"),
    fault(redirect_to_file, "X02", "refused"),
    fault(redirect_userinfo, "X02", "refused"),
    fault(redirect_nowhere, "H14", "permanent"),
    fault(redirect_retry_after, "H01", "follows after that wait", seconds=1),
)
