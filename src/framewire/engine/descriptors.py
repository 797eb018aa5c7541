"""How many files and sockets this process may open, and how many it has left. Must not know what they are for."""

from __future__ import annotations

import errno
import os
import sys
from typing import Final

RESERVED_DESCRIPTORS: Final = 32
"""Descriptors that neither a stranger's connection nor a peer may take: frames that outgrow their memory, encoders and
the next viewer need some.

Source: chosen by hand, twice the connections that are accepted in one turn of the loop; pinned by
`tests/engine/test_descriptors.py::test_some_descriptors_are_kept_in_reserve`"""

RESERVED_FRACTION: Final = 1 / 8
"""Where few may be open, the reserve is this part of them: the first viewer needs one, too.

Source: chosen by hand; pinned by
`tests/engine/test_descriptors.py::test_where_few_may_be_open_few_are_kept_in_reserve`"""

WINDOWS_LIMIT: Final = 512
"""Sockets that `select` takes on Windows, where an engine uses it.

Source: CPython, Modules/selectmodule.c, ``FD_SETSIZE``; pinned by
`tests/engine/test_descriptors.py::test_windows_selects_few_sockets`"""

UNLIMITED: Final = 1 << 20
"""Stands for no limit.

Source: chosen by hand, more than any process opens; pinned by
`tests/engine/test_descriptors.py::test_a_machine_without_a_limit_has_a_number_all_the_same`"""


def descriptor_limit() -> int:
    """How many descriptors this process may have open (``ulimit -n``)."""
    if sys.platform == "win32":
        return WINDOWS_LIMIT
    import resource  # POSIX alone has it

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return UNLIMITED if soft == resource.RLIM_INFINITY else min(soft, UNLIMITED)


def descriptors_left() -> int:
    """How many more can be opened for certain: a new one gets the lowest free number, so all below it are in use."""
    try:
        descriptor = os.open(os.devnull, os.O_RDONLY)
    except OSError as error:
        return 0 if error.errno in (errno.EMFILE, errno.ENFILE) else UNLIMITED
    os.close(descriptor)
    return descriptor_limit() - descriptor


def reserve(limit: int) -> int:
    """How many of so many descriptors are kept in reserve."""
    return min(RESERVED_DESCRIPTORS, int(limit * RESERVED_FRACTION))


def is_nearly_last(descriptor: int, limit: int) -> bool:
    """Whether a new descriptor of this number leaves no more than the reserve: all below it are in use. Never on
    Windows, where the number of a socket says nothing of how many there are."""
    return sys.platform != "win32" and descriptor >= limit - reserve(limit)


def can_open_more() -> bool:
    """Whether there are more left than the reserve."""
    return descriptors_left() > reserve(descriptor_limit())
