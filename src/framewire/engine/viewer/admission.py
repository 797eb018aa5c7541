"""Whether a viewer is admitted, and as which principal. Pure; must not know sessions, sockets or HTTP.

For another kind of authentication, write an `Authorizer` and give it to the engine.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from framewire.errors import CloseCode


@dataclass(frozen=True, slots=True)
class ConnectionRequest:
    """What a transport knows of the viewer that opened it. The viewer may forge all of it. The ``repr`` is empty, since
    any part may hold a secret."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Names in lower case."""
    cookies: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    remote: str | None = field(default=None, repr=False)
    """IP address of the other end, which may be a proxy; None where there is none."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The viewer is admitted. ``principal`` names it to the publisher, beside each of its input events."""

    principal: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """The viewer is closed with this code."""

    code: CloseCode
    reason: str


Admission = Admitted | Refused
Authorizer = Callable[[str, ConnectionRequest], Admission | Awaitable[Admission]]
"""Gets the token of the viewer's `hello`, and its request. It may be a coroutine function: meanwhile the viewer's
messages wait, and the deadline for `hello` holds for the answer as well."""


def token_authorizer(token: str) -> Authorizer:
    """Admits viewers that present this token."""
    # In bytes: `compare_digest` refuses text that is not ASCII. It compares in constant time.
    expected = token.encode()

    def authorize(presented: str, _: ConnectionRequest) -> Admission:
        if hmac.compare_digest(presented.encode("utf-8", "replace"), expected):
            return Admitted()
        return Refused(CloseCode.UNAUTHORIZED, "wrong token")

    return authorize
