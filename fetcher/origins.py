"""Whom an address belongs to, and what an address becomes that came from data. Pure.

The rule: one piece of text is parsed once, checked, and put together again from what was checked. So no two readers of
it can find different hosts in it.
"""

import ipaddress
import re
import string
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import SplitResult, quote, urljoin, urlsplit

PORTS = {"http": 80, "https": 443}
SENDABLE = "".join(set(string.digits + string.ascii_letters + string.punctuation) - {"\\"})
CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Origin(NamedTuple):
    """Scheme, host and port (RFC 6454 section 4)."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" + ("" if self.port == PORTS[self.scheme] else f":{self.port}")


@dataclass(frozen=True, slots=True)
class Homes:
    """Where the credentials and headers of a job may go: to its own origin, and to those that it lists."""

    own: Origin
    listed: frozenset[Origin] = frozenset()

    def has(self, url: str) -> bool:
        """Whether that address lies there. Raises ValueError for one that cannot be asked."""
        return (where := origin_of(url)) == self.own or where in self.listed


def homes_of(base_url: str, allowed: Iterable[str]) -> Homes:
    """The homes of a job; an allowed host without a scheme has that of the base address."""
    own = origin_of(base_url)
    return Homes(own, frozenset(origin_of(host if "://" in host else f"{own.scheme}://{host}") for host in allowed))


def origin_of(url: str) -> Origin:
    """Whom that address belongs to. Raises ValueError, saying why, for one that cannot be asked."""
    return origin_in(urlsplit(url))


def origin_in(parts: SplitResult) -> Origin:
    """The same, of an address that has been taken apart."""
    if parts.scheme not in PORTS:
        raise ValueError(f"'{parts.scheme}:' is neither http nor https")
    if "@" in parts.netloc:
        raise ValueError("it names a user before the host")
    host, port = parts.hostname or "", PORTS[parts.scheme] if parts.port is None else parts.port
    if not (is_ipv6(host) if ":" in host else is_name(host)) or port == 0:
        raise ValueError("its host cannot be read")
    return Origin(parts.scheme, host, port)


def is_name(host: str) -> bool:
    """Whether a host is letters, digits, and what stands between them: nothing that parsers disagree about."""
    return bool(host) and all(letter.isalnum() or letter in ".-_" for letter in host)


def is_ipv6(host: str) -> bool:
    """Whether a host is an IPv6 address without a zone."""
    try:
        return ipaddress.IPv6Address(host).scope_id is None
    except ValueError:
        return False


def resolved(reference: str, url: str) -> str:
    """The absolute address that a link in the answer from `url` means, percent-encoded, without its fragment.

    Raises ValueError, saying why, for one that cannot be asked, and for one that leaves TLS.
    """
    link = reference.strip()
    if CONTROL.search(link):
        raise ValueError("it holds a control character")
    parts = urlsplit(urljoin(url, link))
    where = origin_in(parts)
    if where.scheme == "http" and urlsplit(url).scheme == "https":
        raise ValueError("it leads from https to http")
    query = f"?{quote(parts.query, safe=SENDABLE)}" if parts.query else ""
    return f"{where}{quote(parts.path or '/', safe=SENDABLE)}{query}"


def without_user(link: str) -> str:
    """A link as a message may show it: what stands before an `@` may be a password."""
    return re.sub(r"//[^/@]*@", "//***@", link)
