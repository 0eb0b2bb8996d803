"""What a person wants to ask, taken apart: an address, with what is sent along."""

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import msgspec

FORM = "application/x-www-form-urlencoded"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass(slots=True)
class Asked:
    """A request by hand. `query` and `headers` are (name, value), in order. Of the bodies at most one is there: `json`
    decoded, the fields of a `form`, the `parts` of a multipart, or any other as text. `user` is `name:password`.
    `notes` say what was left out of it, and why."""

    base_url: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: list[tuple[str, str]] = field(default_factory=list)
    method: str = "GET"
    json: object = None
    body: str = ""
    form: list[tuple[str, str]] = field(default_factory=list)
    parts: list[tuple[str, str]] = field(default_factory=list)
    user: str = ""
    notes: list[str] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        """The first header of that name, whatever its case."""
        return next((value for known, value in self.headers if known.lower() == name.lower()), None)

    def drop(self, *names: str) -> None:
        """Leave these headers out."""
        self.headers = [(name, value) for name, value in self.headers if name.lower() not in names]

    @property
    def host(self) -> str:
        """The name of the API's machine."""
        return urlsplit(self.base_url).hostname or ""


def asked_of(url: str) -> Asked:
    """A GET of that address. Raises ValueError where it is none that can be asked."""
    text = url.strip()
    if not _SCHEME.match(text):
        text = f"{'http' if is_own_machine(text) else 'https'}://{text}"
    parts = urlsplit(text)
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ValueError(f"expected an address such as https://api.example.org/v1/items, got {url!r}")
    user, _, place = parts.netloc.rpartition("@")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=-._~{}[]")
    query = parse_qsl(parts.query, keep_blank_values=True)
    return Asked(f"{parts.scheme.lower()}://{place}", path, query, user=unquote(user))


def is_own_machine(address: str) -> bool:
    """Whether an address without a scheme names this machine, which has no certificate."""
    host = urlsplit(f"//{address}").hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_body(asked: Asked, text: str) -> None:
    """Give it a body: JSON where the text is an object or a list, fields where it is a form, else text."""
    try:
        found = msgspec.json.decode(text)
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict | list):
        asked.json = found
        asked.drop("content-type")
    elif fields := _fields(asked.header("Content-Type") or FORM, text):
        asked.form = fields
        asked.drop("content-type")
    else:
        asked.body = text


def _fields(kind: str, text: str) -> list[tuple[str, str]]:
    """The fields of a form; none where it is no form, or has a name twice, which a job cannot say."""
    if not kind.startswith(FORM):
        return []
    try:
        found = parse_qsl(text, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        return []
    return found if len(dict(found)) == len(found) else []
