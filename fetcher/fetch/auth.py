"""How a credential goes into a request, and how a token is asked for and read. Pure.

A request is signed when it is sent, and nothing that was signed is kept, logged or shown.
"""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote_plus, urlencode

import msgspec

from fetcher.errors import CredentialRefused
from fetcher.job.auth import TOKEN_KINDS, Auth, basic
from fetcher.model import Request, Response

SOON_S = 60.0
SOON_SHARE = 0.1
LONGEST_LIFE_S = 10 * 365 * 86400.0


@dataclass(frozen=True, slots=True, repr=False)
class Placed:
    """A header, or a parameter of the query, that shows whose a request is."""

    name: str
    value: str
    is_header: bool = True


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """A token that was given: how long it lives (seconds, None for as long as it is taken), and what renews it."""

    text: str
    lifetime_s: float | None = None
    refresh_token: str | None = None


def placed(auth: Auth, number: int = 0) -> Placed:
    """What shows a credential that does not change: the key by that number, where there are several."""
    key = auth.keys[number] if auth.keys else None
    match auth.kind:
        case "header":
            return Placed(auth.name or "", key or auth.value or "")
        case "query":
            return Placed(auth.parameter or "", key or auth.value or "", is_header=False)
        case "basic":
            return Placed("Authorization", f"Basic {basic(auth.user or '', auth.password)}")
        case _:
            return Placed("Authorization", f"Bearer {key or auth.token or ''}")


def placed_token(auth: Auth, token: str) -> Placed:
    """What shows a token."""
    if auth.parameter:
        return Placed(auth.parameter, token, is_header=False)
    return Placed(auth.name or "Authorization", f"{auth.prefix}{token}")


def signed(request: Request, shown: Placed | None) -> Request:
    """The request with its credential, which takes the place of a header or a parameter by that name."""
    if shown is None:
        return request
    if not shown.is_header:
        base, _, query = request.url.partition("?")
        pairs = [pair for pair in query.split("&") if pair and unquote_plus(pair.partition("=")[0]) != shown.name]
        return replace(request, url=f"{base}?{'&'.join([*pairs, urlencode([(shown.name, shown.value)])])}")
    others = tuple((name, value) for name, value in request.headers if name.lower() != shown.name.lower())
    return replace(request, headers=(*others, (shown.name, shown.value)))


def has_tokens(auth: Auth | None) -> bool:
    """Whether the credential is a token that is asked for."""
    return auth is not None and auth.kind in TOKEN_KINDS


def token_request(auth: Auth, base_url: str, refresh_token: str | None) -> Request:
    """What asks for a token (RFC 6749 sections 4.4 and 6, or as the job says)."""
    url = auth.token_url or ""
    url = f"{base_url}{url}" if url.startswith("/") else url
    headers: tuple[tuple[str, str], ...] = (("Accept", "application/json"),)
    if auth.kind == "request":
        if auth.json_ is not None:
            return Request(auth.method, url, (*headers, JSON_TYPE), msgspec.json.encode(auth.json_))
        return form_request(auth.method, url, headers, auth.form or {})
    form = {"grant_type": auth.grant, "scope": auth.scope, "refresh_token": refresh_token or ""}
    if auth.client_auth == "basic":
        headers = (*headers, ("Authorization", f"Basic {basic(auth.client_id or '', auth.client_secret)}"))
    else:
        form |= {"client_id": auth.client_id or "", "client_secret": auth.client_secret}
    return form_request("POST", url, headers, {name: value for name, value in form.items() if value})


JSON_TYPE = ("Content-Type", "application/json")
FORM_TYPE = ("Content-Type", "application/x-www-form-urlencoded")


def form_request(method: str, url: str, headers: tuple[tuple[str, str], ...], form: dict[str, str]) -> Request:
    """A request with a form as its body; a GET has it in its query."""
    if method == "GET":
        return Request(method, f"{url}?{urlencode(form)}" if form else url, headers)
    return Request(method, url, (*headers, FORM_TYPE), urlencode(form).encode())


def token_in(auth: Auth, response: Response) -> Token:
    """The token in an answer. Raises `CredentialRefused` where there is none; nothing of the answer is shown."""
    where = auth.token_url
    try:
        answer = msgspec.json.decode(response.body)
    except (ValueError, RecursionError) as error:
        raise CredentialRefused(f"{where} gives no JSON for a token; check fetch.auth, then run again") from error
    paths = (auth.token_path, auth.lifetime_path) if auth.kind == "request" else ("access_token", "expires_in")
    text, lifetime = (found_at(path, answer) for path in paths)
    text = text.strip() if isinstance(text, str) else ""
    if not text or not text.isprintable():
        raise CredentialRefused(f"{where} gives no token at '{paths[0]}'; check fetch.auth, then run again")
    renewing = answer.get("refresh_token") if isinstance(answer, dict) and auth.grant == "refresh_token" else None
    return Token(text, seconds(lifetime), renewing if isinstance(renewing, str) and renewing else None)


def found_at(path: str | None, answer: object) -> Any:
    """What a JMESPath finds; None where it finds nothing."""
    import jmespath

    try:
        return jmespath.search(path, answer) if path else None
    # ValueError: jmespath's own errors, and Python's.
    except (ArithmeticError, TypeError, ValueError, RecursionError):
        return None


def seconds(lifetime: object) -> float | None:
    """A lifetime in seconds, which some write as text; None for what is none."""
    try:
        found = float(lifetime) if isinstance(lifetime, str | int | float) else 0.0
    except ValueError:
        return None
    return min(found, LONGEST_LIFE_S) if found > 0 else None


def renew_at(given_at: float, lifetime_s: float | None) -> float:
    """When a token is renewed before it is refused: a tenth of its life early, a minute at most."""
    if lifetime_s is None:
        return float("inf")
    return given_at + lifetime_s - min(SOON_S, SOON_SHARE * lifetime_s)
