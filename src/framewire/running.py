"""The servers of this process, as long as something else holds them. Must not know what a server is made of."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from framewire.serving import Server

servers: Final[weakref.WeakSet[Server]] = weakref.WeakSet()
"""Every server that was started, the closed ones included."""


def on_port(port: int) -> Server | None:
    """The open server on this port; None where it is another process's."""
    for server in list(servers):
        if not server.closed and getattr(server, "port", None) == port:  # one that failed to start has none
            return server
    return None
