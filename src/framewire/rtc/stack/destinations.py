"""Where a viewer may make this machine send datagrams: which addresses, and how many. Pure: time is an argument.

Must not know SDP, ICE or sockets.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from framewire.addresses import is_loopback
from framewire.token_bucket import TokenBucket

MAX_CANDIDATES: Final = 32
"""Addresses that a viewer may announce for one connection, or at once for several; further ones are ignored. aioice
checks each against each local one.

Source: RFC 8445 §6.1.2.5 recommends at most 100 pairs; pinned by
`tests/rtc/stack/test_destinations.py::test_thirty_two_at_once_then_one_a_second`."""

MAX_REFLEXIVE_ADDRESSES: Final = 64
"""Addresses that a viewer's own checks may reveal at once. Behind some NATs each of its sockets has another one for
each of ours.

Source: chosen by hand, eight sockets of a viewer times eight of ours; pinned by
`tests/rtc/stack/test_destinations.py::test_addresses_that_checks_reveal_are_counted_apart`."""

DESTINATIONS_PER_S: Final = 1.0
"""So many more of either kind each second: a viewer whose network changes announces some ten addresses anew.

Source: chosen by hand; pinned by
`tests/rtc/stack/test_destinations.py::test_thirty_two_at_once_then_one_a_second`."""

MAX_ENGINE_CANDIDATES: Final = 512
"""Addresses that all viewers of an engine may announce at once: one that comes back on a new socket counts anew.

Source: chosen by hand, a class of sixty that joins at once with eight each; pinned by
`tests/rtc/stack/test_destinations.py::test_all_viewers_share_what_they_may_announce`."""

ENGINE_CANDIDATES_PER_S: Final = 16.0
"""So many more of all viewers each second.

Source: chosen by hand, two viewers that connect each second; pinned by
`tests/rtc/stack/test_destinations.py::test_all_viewers_share_what_they_may_announce`."""

_NO_VIEWERS_V4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "168.63.129.16/32",  # Azure's own service
        "169.254.0.0/16",  # link-local; clouds have their metadata services there, and no viewers
        "192.0.0.0/24",  # protocol assignments; Oracle Cloud's metadata service
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.175.48.0/24",  # AS112
        "100.100.100.200/32",  # Alibaba Cloud's metadata service
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
_VIEWERS_V6: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "::1/128",
        "2000::/3",  # global unicast, all that is assigned
        "fc00::/7",  # private networks
    )
)
_NO_VIEWERS_V6: Final = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments; Teredo, which wraps an IPv4 address
        "2002::/16",  # 6to4, which wraps an IPv4 address
        "2620:4f:8000::/48",  # AS112
        "fd00:ec2::/32",  # Amazon's metadata service
        "fd20:ce::/64",  # Google Cloud's metadata service
    )
)


def can_be_viewers(address: str) -> bool:
    """Whether a viewer can have this address, which must be a literal one.

    A viewer has an address of a private network, of this machine, or a global one. So none has one of those that wrap
    an IPv4 address in IPv6 (mapped, NAT64, 6to4, Teredo), which would lead around these rules, and none has a zone.
    Addresses for documentation and benchmarks are taken: labs use them, and no one else has them.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return not any(ip in network for network in _NO_VIEWERS_V4)
    # With a zone it means another address on each interface, and Python's `in` ignores the zone.
    return (
        ip.scope_id is None
        and any(ip in network for network in _VIEWERS_V6)
        and not any(ip in network for network in _NO_VIEWERS_V6)
    )


def engine_bucket() -> TokenBucket:
    """What all viewers of one engine may announce together."""
    return TokenBucket(ENGINE_CANDIDATES_PER_S, MAX_ENGINE_CANDIDATES)


class DestinationBudget:
    """How many more addresses one viewer may make this machine send to, over all its peer connections.

    What a viewer announces is paid for first and apart: a viewer that has announced too much can still connect by
    checks of its own.
    """

    def __init__(self, engine: TokenBucket | None = None, *, loopback: bool = True) -> None:
        """``engine``: what all viewers may announce together. ``loopback``: whether the viewer may be on this machine;
        without it, programs here are out of its reach."""
        self._loopback = loopback
        self._engine = engine or engine_bucket()
        self._announced = TokenBucket(DESTINATIONS_PER_S, MAX_CANDIDATES)
        self._reflexive = TokenBucket(DESTINATIONS_PER_S, MAX_REFLEXIVE_ADDRESSES)

    def may_announce(self, address: str, now: float) -> bool:
        """Count an address that the viewer names. False: it is to be ignored."""
        if is_loopback(address) and not self._loopback:
            return False
        return self._announced.take(now) and self._engine.take(now)

    def may_reveal(self, now: float) -> bool:
        """Count an address that a check of the viewer came from. False: it is to be ignored."""
        return self._reflexive.take(now)
