"""What a program's own authentication gets of a viewer, and answers. Data alone, as it travels between processes.

Must not know engines, hosts, sockets or HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import Struct, field


class ConnectionRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a transport knows of the viewer that opened it. The viewer may forge all of it."""

    headers: dict[str, str] = field(default_factory=dict)
    """Names in lower case."""
    cookies: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    remote: str | None = None
    """IP address of the other end, which may be a proxy; None where there is none."""

    def __repr__(self) -> str:
        """Empty, since any part may hold a secret."""
        return "ConnectionRequest()"


Authenticate: TypeAlias = Callable[[str, ConnectionRequest], str | Awaitable[str | None] | None]
"""Gets the token of the viewer's `hello` and its request; returns the principal, or None to refuse the viewer. It may
be a coroutine function. The viewer waits meanwhile, until the deadline for `hello`. For an engine in a process of its
own it is called on a thread, and several at a time; a coroutine runs on an event loop that is used for it alone."""


def checked_principal(answer: object) -> str | None:
    """What an `Authenticate` has answered. Raises ``TypeError`` for what is no principal, True for instance."""
    if answer is None or isinstance(answer, str):
        return answer
    raise TypeError(f"a principal is a string, or None to refuse the viewer, not {type(answer).__name__}")
