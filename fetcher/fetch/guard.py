"""Which addresses may be connected to for a host that came from data: those of the public internet. Pure.

A name is no proof: it may lead anywhere, and elsewhere the next time. So the address that a socket is about to connect
to is what is looked at, not the host's text.
"""

import ipaddress
from ipaddress import IPv4Address, IPv6Address

NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
COMPATIBLE = ipaddress.IPv6Network("::/96")
MORE = tuple(
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "168.63.129.16/32", "64:ff9b:1::/48", "3fff::/20", "5f00::/16")
)
"""What some versions of Python take for public: two hosts of clouds that tell a machine's own credentials, NAT64 of
one's own network, documentation, and segment routing."""


class NotPublic(Exception):
    """That address lies in a network of somebody's own."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet; false for what is no IP address."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    within = embedded(found) if isinstance(found, IPv6Address) else [found]
    return all(is_global(part) for part in within)


def embedded(address: IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The IPv4 addresses that an IPv6 address stands for; itself where there are none."""
    if address.ipv4_mapped:
        return [address.ipv4_mapped]
    if address.sixtofour:
        return [address.sixtofour]
    if address.teredo:
        return list(address.teredo)
    if address in NAT64 or address in COMPATIBLE:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address]


def is_global(address: IPv4Address | IPv6Address) -> bool:
    """Whether one machine of the internet has it."""
    is_local = isinstance(address, IPv6Address) and (address.is_site_local or address.scope_id is not None)
    is_known_better = any(address in network for network in MORE)
    return address.is_global and not (address.is_multicast or address.is_reserved or is_local or is_known_better)


def check_public(address: str) -> None:
    """Raise `NotPublic` for an address that nothing from data may lead to."""
    if not is_public(address):
        raise NotPublic(f"{address} is not an address of the public internet")
