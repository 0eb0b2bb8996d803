"""X04, X05: which addresses may be connected to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetcher.fetch.guard import NotPublic, check_public, is_public

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "172.32.0.1", "2606:4700::1111", "2001:4860:4860::8888"]
NOBODYS = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.1.2.3",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.5",
    "224.0.0.1",
    "224.0.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1111%1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "2001:db8::1",
    "64:ff9b:1::1",
    "3fff::1",
    "5f00::1",
    "", "localhost", "1.1.1", "2130706433", "0x7f000001", "[::1]",
]  # fmt: skip
EMBEDDING = ["::ffff:{0}", "::{0}", "64:ff9b::{0}", "2002:{1}::1"]


def hexadecimal(address: str) -> str:
    """`7f00:1` for `127.0.0.1`."""
    first, second, third, fourth = (int(part) for part in address.split("."))
    return f"{first << 8 | second:x}:{third << 8 | fourth:x}"


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_may_be_connected_to(address):
    assert is_public(address)
    check_public(address)


@pytest.mark.parametrize("address", NOBODYS)
def test_x04_an_address_of_somebodys_own_is_not_connected_to(address):
    """Private, loopback, link-local, where clouds keep credentials, reserved, multicast, and what is no address."""
    assert not is_public(address)
    with pytest.raises(NotPublic, match=r"is not an address of the public internet"):
        check_public(address)


@pytest.mark.parametrize("form", EMBEDDING)
@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "168.63.129.16"])
def test_x04_an_address_within_another_is_looked_at(form, address):
    """v4-mapped, v4-compatible, NAT64 and 6to4 lead to the IPv4 address that they hold."""
    assert not is_public(form.format(address, hexadecimal(address)))


def test_an_address_within_another_may_be_public():
    """NAT64 is how networks without IPv4 reach it."""
    assert is_public("64:ff9b::8.8.8.8")
    assert is_public("::ffff:8.8.8.8")
    assert is_public("2002:808:808::1")


def test_teredo_leads_to_two_addresses():
    """Its server and its client, which is written inverted."""
    assert is_public("2001:0:808:808:0:0:f7f7:f7f7")
    assert not is_public("2001:0:808:808:0:0:80ff:fffe")
    assert not is_public("2001:0:7f00:1:0:0:f7f7:f7f7")


@given(st.ip_addresses())
def test_no_address_ends_it(address):
    """Whatever a resolver says."""
    assert is_public(str(address)) in (True, False)
