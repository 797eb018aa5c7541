"""Binds the listening sockets, in the user's process, so that the port is known before the engine is up.

Must not know engines: the sockets are handed to one, and to the next one if it exits. Viewers that connect meanwhile
wait in their backlog.
"""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterable
from typing import Final

from framewire.addresses import EVERY_INTERFACE
from framewire.errors import EngineError
from framewire.link.descriptors import socket_above_stdio
from framewire.shortages import cure

DEFAULT_PORT: Final = 8765
_BACKLOG: Final = 1024
"""Connections that may wait to be accepted, while the engine starts or strangers come in crowds. One more has to try
again, a second later.

Source: chosen by hand; the system has a limit of its own, 4096 on Linux."""
_MAX_ATTEMPTS: Final = 20
"""Attempts to find a port that is free at every address of a host.

Source: chosen by hand."""
_NO_SUCH_ADDRESS: Final = {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}
_TAKEN: Final = {errno.EADDRINUSE, *((errno.EACCES,) if sys.platform == "win32" else ())}
"""Windows refuses a port that another program has for itself."""
_SPECIAL: Final[dict[str, list[tuple[int, str]]]] = {
    # Browsers try ::1 or 127.0.0.1 for "localhost" as they like, so the server has both or neither.
    "localhost": [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")],
    **{name: [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")] for name in EVERY_INTERFACE},
}

Address = tuple[int, str]


def bind(host: str = "localhost", port: int | None = None) -> list[socket.socket]:
    """Listening TCP sockets for every address of ``host``, all on one port.

    ``port`` 0 is any free one. ``None`` is 8765, or any free one if that is taken. A port that was asked
    for and is taken raises EngineError, as does a host that is not this machine's. ``""``, ``"*"``,
    ``"0.0.0.0"`` and ``"::"`` are every interface, of IPv4 and of IPv6. The port: ``bind(...)[0].getsockname()[1]``.
    """
    addresses = _addresses(host)
    if port is None:
        try:
            return _listen(addresses, DEFAULT_PORT)
        except OSError:
            port = 0
    try:
        return _listen(addresses, port) if port else _listen_anywhere(addresses)
    except OverflowError as error:
        raise EngineError(f"{port} is not a port: 0 to 65535") from error
    except OSError as error:
        if error.errno in _TAKEN:
            raise EngineError(f"port {port} of {host or 'this machine'} is taken; port=0 finds a free one") from error
        if error.errno == errno.EADDRNOTAVAIL:
            raise EngineError(f"{host!r} is not an address of this machine; '0.0.0.0' is all of its own") from error
        where = f"{host or '*'}" + (f" port {port}" if port else "")
        hint = cure(error) or "host= takes another address of this machine, '127.0.0.1' for instance"
        if error.errno == errno.EACCES and port < 1024:
            hint = "ports below 1024 are the system's: port=0 finds a free one"
        raise EngineError(f"cannot listen on {where}: {error.strerror or error}; {hint}") from error


def check_udp(hosts: Iterable[str]) -> None:
    """Raises EngineError where UDP sockets cannot be opened at one of these addresses."""
    for host in hosts:
        try:
            with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.bind((host, 0))
        except OSError as error:
            if error.errno in _NO_SUCH_ADDRESS:
                raise EngineError(f"udp_host={host!r} is not an address of this machine; '127.0.0.1' is") from error
            raise EngineError(f"udp_host={host!r} cannot be used: {error.strerror or error}") from error


def _addresses(host: str) -> list[Address]:
    if host in _SPECIAL:
        return _SPECIAL[host]
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise EngineError(f"{host!r} is not an address of this machine: {why}; '0.0.0.0' is all of its own") from error
    return list(dict.fromkeys((int(family), str(address[0])) for family, *_, address in found))


def _listen_anywhere(addresses: list[Address]) -> list[socket.socket]:
    for _ in range(_MAX_ATTEMPTS):
        try:
            return _listen(addresses, 0)
        except OSError as error:  # free at the first address, taken at the second
            if error.errno not in _TAKEN:
                raise
    return _listen(addresses, 0)


def _listen(addresses: list[Address], port: int) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for address in addresses:
            try:
                sockets.append(_listener(address, port))
            except OSError as error:
                if error.errno not in _NO_SUCH_ADDRESS:  # no IPv6 here, most often
                    raise
                missing = error
            else:
                port = sockets[0].getsockname()[1]
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    if not sockets:
        raise missing or OSError(errno.EADDRNOTAVAIL, "no address")
    return sockets


def _listener(address: Address, port: int) -> socket.socket:
    family, host = address
    sock = socket_above_stdio(socket.socket(family, socket.SOCK_STREAM))
    try:
        if sys.platform == "win32":  # there SO_REUSEADDR lets another program take the port over
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except BaseException:
        sock.close()
        raise
    return sock
