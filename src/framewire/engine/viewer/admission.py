"""Whether a viewer is admitted, and as which principal. Pure; must not know sessions, sockets or HTTP.

For another kind of authentication, write an `Authorizer` and give it to the engine: `program_authorizer` makes one of
the program's own function.
"""

from __future__ import annotations

import hmac
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from framewire.authentication import Authenticate, ConnectionRequest, checked_principal
from framewire.errors import CloseCode


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


def program_authorizer(authenticate: Authenticate) -> Authorizer:
    """Admits the viewers for which the program's function returns a principal."""

    def authorize(token: str, request: ConnectionRequest) -> Admission | Awaitable[Admission]:
        answer = authenticate(token, request)
        return wait(answer) if inspect.isawaitable(answer) else admission(answer)

    async def wait(answer: Awaitable[str | None]) -> Admission:
        return admission(await answer)

    return authorize


def admission(principal: str | None) -> Admission:
    """What the answer of a program means. Raises ``TypeError`` for what is no principal."""
    principal = checked_principal(principal)
    return Refused(CloseCode.UNAUTHORIZED, "not admitted") if principal is None else Admitted(principal)
