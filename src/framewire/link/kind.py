"""Which of the two kinds of link this system has. Must not know either of them.

By descriptors: sockets are inherited, and memory has no name; its descriptor is sent over a local socket. By name: the
engine connects to a port of 127.0.0.1 and opens memory by its name. That is for Windows, and for sandboxes that refuse
local sockets.
"""

from __future__ import annotations

import errno
import functools
import os
import socket
import sys
from typing import Final

from framewire.errors import EngineError

LINK_VARIABLE: Final = "FRAMEWIRE_LINK"
"""``descriptors`` or ``names`` in the environment: which kind is used. For tests, and where the choice is wrong."""


def by_name() -> bool:
    """Whether memory and sockets reach an engine by name; else by their descriptors. Raises EngineError."""
    asked = os.environ.get(LINK_VARIABLE)
    if asked and asked not in ("descriptors", "names"):
        raise EngineError(f'{LINK_VARIABLE} in the environment is "descriptors" or "names", not "{asked[:40]}"')
    return asked == "names" if asked else not _local_sockets()


@functools.cache
def _local_sockets() -> bool:
    if sys.platform == "win32":
        return False
    try:
        for sock in socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM):
            sock.close()
    except AttributeError:
        return False
    except OSError as error:
        return error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS)  # none now, but there are
    return True
