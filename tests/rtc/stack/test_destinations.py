"""Which addresses a viewer may name, and how many."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framewire.rtc.stack.destinations import DestinationBudget, can_be_viewers, engine_bucket

# The special-purpose address registries of IANA (RFC 6890), whole, and what a viewer can have of them.
SPECIAL = {
    "0.0.0.0/8": False,  # "this network"
    "10.0.0.0/8": True,  # private
    "100.64.0.0/10": True,  # shared: carriers, and overlay networks such as VPNs
    "127.0.0.0/8": True,  # loopback: the viewer is on this machine
    "169.254.0.0/16": False,  # link-local
    "172.16.0.0/12": True,  # private
    "192.0.0.0/24": False,  # IETF protocol assignments, with all that is inside
    "192.0.2.0/24": True,  # documentation
    "192.31.196.0/24": False,  # AS112-v4
    "192.52.193.0/24": False,  # AMT
    "192.88.99.0/24": False,  # 6to4 relay anycast
    "192.168.0.0/16": True,  # private
    "192.175.48.0/24": False,  # AS112, direct delegation
    "198.18.0.0/15": True,  # benchmarks
    "198.51.100.0/24": True,  # documentation
    "203.0.113.0/24": True,  # documentation
    "224.0.0.0/4": False,  # multicast, of a registry of its own
    "240.0.0.0/4": False,  # reserved
    "255.255.255.255/32": False,  # limited broadcast
    "::/128": False,  # unspecified
    "::1/128": True,  # loopback
    "::/96": None,  # IPv4-compatible: all but ::1
    "::ffff:0:0/96": False,  # IPv4-mapped
    "::ffff:0:0:0/96": False,  # IPv4-translated
    "64:ff9b::/96": False,  # NAT64
    "64:ff9b:1::/48": False,  # NAT64, for local use
    "100::/64": False,  # discard only
    "100:0:0:1::/64": False,  # dummy prefix
    "2001::/23": False,  # IETF protocol assignments: Teredo, benchmarking, ORCHID, …
    "2001:db8::/32": True,  # documentation
    "2002::/16": False,  # 6to4
    "2620:4f:8000::/48": False,  # AS112, direct delegation
    "3fff::/20": True,  # documentation
    "5f00::/16": False,  # segment routing identifiers
    "fc00::/7": None,  # private, but for metadata services
    "fe80::/10": False,  # link-local
    "fec0::/10": False,  # once site-local
    "ff00::/8": False,  # multicast
}
HOST = "10.0.0.7"
METADATA = ["fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16", "169.254.169.254", "192.0.0.192"]


def address_in(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> st.SearchStrategy[str]:
    first, last = int(network[0]), int(network[-1])
    return st.integers(first, last).map(lambda number: str(type(network[0])(number)))


@pytest.mark.parametrize(("text", "viewers"), SPECIAL.items())
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_of_special_addresses_only_those_of_a_viewers_network_are_taken(data, text, viewers):
    network = ipaddress.ip_network(text)
    for address in (str(network[0]), str(network[-1]), data.draw(address_in(network))):
        if viewers is not None:
            assert can_be_viewers(address) is (viewers and address not in METADATA)


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_the_forms_of_an_ipv4_address_in_ipv6_are_refused(address):
    low = int(address)
    mapped, nat64, teredo = (0xFFFF << 32) | low, (0x64FF9B << 96) | low, (0x20010000 << 96) | low
    six_to_four, compatible = (0x2002 << 112) | low << 80, low
    for wrapped in {mapped, nat64, teredo, six_to_four, compatible} - {1}:
        assert not can_be_viewers(str(ipaddress.IPv6Address(wrapped)))
    assert not can_be_viewers(f"::ffff:{address}")


@pytest.mark.parametrize("address", METADATA)
def test_the_metadata_services_of_clouds_are_no_viewers(address):
    assert not can_be_viewers(address)


@settings(deadline=None)
@given(st.ip_addresses(v=6), st.sampled_from(["name", "eth0", "1"]))
def test_no_address_has_a_zone(address, zone):
    assert not can_be_viewers(f"{address}%{zone}")
    assert not can_be_viewers(f"10.0.0.1%{zone}")


@pytest.mark.parametrize("text", ["", "x.local", "localhost", "10.0.0", "10.0.0.1:5", "[::1]", "0x7f.1", "010.0.0.1"])
def test_a_name_is_no_address(text):
    assert not can_be_viewers(text)


@pytest.mark.parametrize("address", ["10.1.2.3", "203.0.113.9", "2a00::7", "fd12:3456::7", "::1", "127.0.0.1"])
def test_global_and_private_addresses_are_a_viewers(address):
    assert can_be_viewers(address)


def test_thirty_two_at_once_then_one_a_second():
    budget = DestinationBudget()
    assert [budget.may_announce(HOST, 5.0) for _ in range(33)] == [True] * 32 + [False]
    assert not budget.may_announce(HOST, 5.9)
    assert budget.may_announce(HOST, 6.0) and not budget.may_announce(HOST, 6.0)
    assert [budget.may_announce(HOST, 1000.0) for _ in range(33)] == [True] * 32 + [False]


def test_a_viewer_of_another_machine_names_no_loopback_address():
    far, near = DestinationBudget(loopback=False), DestinationBudget()
    for address in ("127.0.0.1", "127.9.9.9", "::1"):
        assert near.may_announce(address, 0.0) and not far.may_announce(address, 0.0)
    assert [far.may_announce(HOST, 0.0) for _ in range(33)] == [True] * 32 + [False], "none of these was counted"


def test_all_viewers_share_what_they_may_announce():
    engine = engine_bucket()
    assert [DestinationBudget(engine).may_announce(HOST, 0.0) for _ in range(513)] == [True] * 512 + [False]
    assert [DestinationBudget(engine).may_announce(HOST, 0.5) for _ in range(9)] == [True] * 8 + [False]
    assert DestinationBudget(engine).may_reveal(0.5), "by its own checks any viewer can connect"
    assert DestinationBudget().may_announce(HOST, 0.5), "another engine has its own"


def test_addresses_that_checks_reveal_are_counted_apart():
    budget = DestinationBudget()
    while budget.may_announce(HOST, 0.0):
        pass
    assert [budget.may_reveal(0.0) for _ in range(65)] == [True] * 64 + [False]
    assert budget.may_reveal(1.0) and not budget.may_reveal(1.0)
