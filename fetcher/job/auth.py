"""`[fetch.auth]`: how a request shows whose it is. Everything under it is secret."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from fetcher.job.addresses import parse_token_url
from fetcher.job.entries import HeaderName, JsonPath, ParameterName
from fetcher.job.kinds import Kind
from fetcher.job.section import Section
from fetcher.job.values import parse_sendable

TOKEN_KINDS = ("oauth2", "request")
ALWAYS = frozenset({"kind", "account"})
PLACES = frozenset({"name", "parameter", "prefix"})
NEEDED = {
    "header": frozenset({"name"}),
    "query": frozenset({"parameter"}),
    "bearer": frozenset[str](),
    "basic": frozenset({"user"}),
    "oauth2": frozenset({"token_url", "client_id"}),
    "request": frozenset({"token_url", "token_path"}),
}
VALUES = {"header": "value", "query": "value", "bearer": "token"}
"""The key that holds the secret, where `keys` may stand for several of them."""

TAKEN = {
    "header": NEEDED["header"] | {"value", "keys"},
    "query": NEEDED["query"] | {"value", "keys"},
    "bearer": frozenset({"token", "keys"}),
    "basic": NEEDED["basic"] | {"password"},
    "oauth2": NEEDED["oauth2"] | PLACES | {"client_secret", "client_auth", "grant", "scope", "refresh_token"},
    "request": NEEDED["request"] | PLACES | {"method", "json_", "form", "lifetime_path"},
}
SECRETS = ("value", "token", "user", "password", "client_id", "client_secret", "refresh_token")

NO_SECRETS = frozenset({"grant_type", "response_type", "scope", "audience", "resource"})
LEAST_SECRET = 4
"""A shorter text that the file spells out is no secret, and would be found everywhere."""

_Sendable = Annotated[str, Kind(parse_sendable, lambda: {"type": "string"})]
_TokenUrl = Annotated[
    str,
    Kind(parse_token_url, lambda: {"type": "string", "examples": ["/oauth/token", "https://login.example.org/token"]}),
]


class Auth(Section):
    """How a request shows whose it is: a key, a password, or a token that is asked for and renewed."""

    kind: Literal["header", "query", "bearer", "basic", "oauth2", "request"] = Field(
        description="'header', 'query' (a key in the URL), 'bearer' (a token that does not change), 'basic' (user and "
        "password), 'oauth2' (a token by client credentials or a refresh token), 'request' (a token by a request)."
    )
    name: HeaderName | None = Field(
        default=None,
        description="Header that takes the key, such as 'X-Api-Key'; of tokens, 'Authorization' unless said.",
    )
    parameter: ParameterName | None = Field(
        default=None, description="Query parameter that takes the key or token, such as 'api_key'."
    )
    value: _Sendable | None = Field(default=None, description="The key: '${secret:NAME}'.")
    token: _Sendable | None = Field(default=None, description="The token of kind 'bearer': '${secret:NAME}'.")
    keys: tuple[_Sendable, ...] = Field(
        default=(),
        description="Several keys in place of one, taken in turn. Each has the limits of this job for itself, and one "
        "that is used up does not stop the others.",
    )
    user: _Sendable | None = Field(default=None, description="User of kind 'basic'; many APIs want the key here.")
    password: _Sendable | Literal[""] = Field(default="", description="Password of kind 'basic'; empty unless said.")
    token_url: _TokenUrl | None = Field(
        default=None, description="Where a token is asked for: an address, or a path of base_url."
    )
    client_id: _Sendable | None = Field(default=None, description="Who asks for the token ('oauth2').")
    client_secret: _Sendable | Literal[""] = Field(default="", description="The secret of client_id.")
    client_auth: Literal["body", "basic"] = Field(
        default="body", description="Where client_id and client_secret go: into the 'body' or a 'basic' header."
    )
    grant: Literal["client_credentials", "refresh_token"] = Field(
        default="client_credentials", description="What an 'oauth2' token is given for."
    )
    refresh_token: _Sendable | None = Field(default=None, description="The refresh token of grant 'refresh_token'.")
    scope: str = Field(default="", description="What an 'oauth2' token is to allow, as the API names it.")
    method: Literal["GET", "POST"] = Field(default="POST", description="Method of the request for a token.")
    json_: dict[str, Any] | None = Field(default=None, alias="json", description="Body of that request, sent as JSON.")
    form: dict[str, str] | None = Field(default=None, description="Body of that request, sent as a form.")
    token_path: JsonPath | None = Field(
        default=None, description="Path of the token in its answer (JMESPath), such as 'data.token'."
    )
    lifetime_path: JsonPath | None = Field(
        default=None, description="Path of the seconds that a token lives. Left out: until it is refused."
    )
    prefix: str = Field(default="Bearer ", description="What stands before a token in its header.")
    account: str = Field(
        default="",
        description="A name for whose credential it is. With it, kept answers and limits stay the same when the "
        "credential is renewed.",
    )

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        if fault := parts_fault(self):
            raise ValueError(fault)
        return self

    @property
    def count(self) -> int:
        """How many credentials take turns."""
        return len(self.keys) or 1

    def secrets(self) -> frozenset[str]:
        """All texts here that must never be written anywhere, and what is made of them for sending."""
        found = {getattr(self, name) or "" for name in SECRETS} | {
            *self.keys,
            *texts_in(self.json_),
            *texts_in(self.form),
        }
        if self.kind == "basic":
            found.add(basic(self.user or "", self.password))
        if self.client_secret:
            found.add(basic(self.client_id or "", self.client_secret))
        return frozenset(text for text in found if len(text) >= LEAST_SECRET)

    @cached_property
    def identity(self) -> str:
        """Whose credential it is, as a hash (hex) that tells nothing of it; not that of the token of the hour."""
        if self.account:
            return digest(["account", self.account])
        told = {name: getattr(self, name) for name in ("kind", "name", "parameter", *SECRETS, "token_url", "scope")}
        return digest([told, sorted(self.keys), self.json_, self.form])

    def identities(self) -> tuple[str, ...]:
        """The same for each of several keys, whose limits are their own."""
        return tuple(digest([self.identity, key]) for key in self.keys) or (self.identity,)


def parts_fault(auth: Auth) -> str | None:
    """What is wrong between the keys of this section; no value of it is shown."""
    given = {name for name in auth.model_fields_set if getattr(auth, name) not in (None, "", ())}
    if strange := sorted(name.rstrip("_") for name in given - ALWAYS - TAKEN[auth.kind]):
        takes = ", ".join(sorted(name.rstrip("_") for name in TAKEN[auth.kind]))
        return f"kind = '{auth.kind}' does not take {strange[0]}; it takes {takes}"
    if missing := sorted(NEEDED[auth.kind] - given):
        return f"kind = '{auth.kind}' needs {missing[0]}"
    value = VALUES.get(auth.kind, "")
    rules = {
        f"kind = '{auth.kind}' needs {value} or keys, and not both": bool(value)
        and (value in given) == bool(auth.keys),
        "expected name (of a header) or parameter (of the query), got both": auth.name and auth.parameter,
        "keys has the same key twice": len(set(auth.keys)) < len(auth.keys),
        "grant = 'refresh_token' needs refresh_token": auth.grant == "refresh_token" and not auth.refresh_token,
        "expected json or form, got both": auth.json_ is not None and auth.form is not None,
    }
    return next((fault for fault, is_broken in rules.items() if is_broken), None)


def digest(parts: list[object]) -> str:
    """SHA-256 over what can be told apart."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def basic(user: str, password: str) -> str:
    """What RFC 7617 makes of a user and a password."""
    return b64encode(f"{user}:{password}".encode()).decode()


def texts_in(body: object) -> Iterator[str]:
    """Every text of a body that may be a secret: what a grant or a scope is called is none."""
    match body:
        case str():
            yield body
        case dict():
            for name, item in body.items():
                if name not in NO_SECRETS:
                    yield from texts_in(item)
        case list():
            for item in body:
                yield from texts_in(item)
