"""The registry of this process: its servers, and those that displays share. Must not know what a server is made of."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final

from framewire.reentrancy import Section

if TYPE_CHECKING:
    from framewire.serving import Server

servers: Final[weakref.WeakSet[Server]] = weakref.WeakSet()
"""Every server that was started, the closed ones included, as long as something else holds it."""
shared: Final[list[Server]] = []
"""The servers that `serve` shares among displays, held here: one, unless they ask for different ones."""
serving: Section = Section()
"""Held while `serve` finds or starts a server, and while a shared server ends because it has no stream left."""


def on_port(port: int) -> Server | None:
    """The server that serves this port; None where it is another process's."""
    for server in list(servers):
        # a server that could not be started has no port
        if not (server.closed or server.failure) and getattr(server, "port", None) == port:
            return server
    return None


def after_fork_in_child() -> None:
    """The servers are the parent's; and a thread that does not exist here may be in the section."""
    global serving  # noqa: PLW0603  # of the process
    serving = Section()
    shared.clear()
