"""Which connection makes way when there are too many: the policy of the port. Pure; must not know sockets or requests.

A connection is *unknown* until its viewer is admitted. Unknown ones are bounded; admitted ones are not counted here, so
that no stranger takes the place of a viewer. The newest connection always gets in, and the oldest unknown one goes:
whoever means to watch says so within a moment.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

MAX_UNKNOWN_CONNECTIONS: Final = 512
"""Connections whose viewer is not admitted yet. For one more, the oldest goes.

Source: chosen by hand: at a thousand new ones a second, each has half a second to say who it is; pinned by
`tests/engine/http/test_connections.py::test_the_room_follows_from_how_many_files_may_be_open`"""

MIN_UNKNOWN_CONNECTIONS: Final = 16
"""As many even where few files may be open: a page and its viewer need a handful.

Source: chosen by hand; pinned by
`tests/engine/http/test_connections.py::test_the_room_follows_from_how_many_files_may_be_open`"""

UNKNOWN_FRACTION: Final = 0.25
"""The part of all descriptors that unknown connections may have.

Source: chosen by hand, the rest is for viewers and their peers; pinned by
`tests/engine/http/test_connections.py::test_the_room_follows_from_how_many_files_may_be_open`"""

IPV6_NETWORK_BITS: Final = 64
"""Whoever has one IPv6 address has all of such a network.

Source: RFC 6177 and RFC 4291 section 2.5.4; pinned by
`tests/engine/http/test_connections.py::test_addresses_that_one_stranger_can_have_count_as_one`"""

LOOPBACK: Final = "loopback"

C = TypeVar("C", bound=Hashable)


def max_unknown(descriptor_limit: int) -> int:
    """How many unknown connections a process has room for that may open so many files."""
    return max(MIN_UNKNOWN_CONNECTIONS, min(MAX_UNKNOWN_CONNECTIONS, int(descriptor_limit * UNKNOWN_FRACTION)))


def origin_of(address: str) -> str:
    """Who a connection comes from, as far as its address tells.

    A program of this machine may use any address of 127.0.0.0/8, and one of a network any of its IPv6 addresses. All
    viewers behind a reverse proxy or an SSH tunnel have one address, and share what an address gets.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return LOOPBACK  # a local socket
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    if parsed.is_loopback:
        return LOOPBACK
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, IPV6_NETWORK_BITS), strict=False))


class _Queue(Generic[C]):
    """Connections in order, by their origin."""

    def __init__(self) -> None:
        self._numbers: dict[str, dict[C, int]] = {}
        self._origins: dict[C, str] = {}

    def __len__(self) -> int:
        return len(self._origins)

    def add(self, connection: C, origin: str, number: int) -> None:
        self._origins[connection] = origin
        self._numbers.setdefault(origin, {})[connection] = number

    def remove(self, connection: C) -> tuple[str, int] | None:
        origin = self._origins.pop(connection, None)
        if origin is None:
            return None
        number = self._numbers[origin].pop(connection)
        if not self._numbers[origin]:
            del self._numbers[origin]
        return origin, number

    def next(self) -> C:
        """The oldest one of the origin that has most."""
        most = max(self._numbers.values(), key=lambda each: (len(each), -next(iter(each.values()))))
        return next(iter(most))


class Connections(Generic[C]):
    """The connections that are not an admitted viewer's, in order. At most ``limit`` of them.

    Those that have sent a request, and those that have not, have half of the room each: to open connections and say
    nothing costs a stranger little, and must not hurt a viewer on a long path whose `hello` is on its way.
    """

    def __init__(self, limit: int) -> None:
        assert limit >= 1, "the newest connection is always kept"
        self.limit = limit
        self.count: int = 0
        """Connections so far: the number of the newest one."""
        self._silent: _Queue[C] = _Queue()
        self._asking: _Queue[C] = _Queue()
        self._refused: dict[C, None] = {}

    def __len__(self) -> int:
        return len(self._silent) + len(self._asking) + len(self._refused)

    def add(self, connection: C, address: str) -> C | None:
        """A new one from this address; returns the one that makes way for it, which is forgotten."""
        self.count += 1
        self._silent.add(connection, origin_of(address), self.count)
        return self.take_next() if len(self) > self.limit else None

    def requested(self, connection: C) -> None:
        """It has sent a whole request."""
        if (was := self._silent.remove(connection)) is not None:
            self._asking.add(connection, *was)

    def refuse(self, connection: C) -> None:
        """It has been sent a close code, or its viewer has left. It may read that, and is the first to make way."""
        self.remove(connection)
        self._refused[connection] = None

    def remove(self, connection: C) -> None:
        """It is an admitted viewer's from now on, or it is closed. Does nothing for one that is not known."""
        self._refused.pop(connection, None)
        self._silent.remove(connection)
        self._asking.remove(connection)

    def take_next(self) -> C | None:
        """The one that makes way now, which is forgotten: one that was refused, or else the oldest one of the origin
        that has most. None where there is none."""
        if self._refused:
            connection = next(iter(self._refused))
        elif self._silent and (len(self._silent) > self.limit / 2 or not self._asking):
            connection = self._silent.next()
        elif self._asking:
            connection = self._asking.next()
        else:
            return None
        self.remove(connection)
        return connection
