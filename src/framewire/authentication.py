"""What a program's own authentication gets of a viewer, and answers. Data alone, as it travels between processes.

Must not know engines, hosts, sockets or HTTP.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NoReturn, TypeAlias, cast

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
be a coroutine function. The viewer waits meanwhile, until the deadline for `hello`. It is called on a thread, and
several at a time; a coroutine runs on an event loop that is used for it alone, or on that of an inline engine."""


class Headers(dict[str, str]):
    """Headers by their names in any case; kept in lower case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)


class AuthContext(Struct, frozen=True):
    """What a function of pdum.rfb's form gets of a viewer: one argument for the token and the request."""

    token: str | None = None
    headers: Mapping[str, str] | None = None
    cookies: Mapping[str, str] | None = None
    path: str | None = None
    query: Mapping[str, str] | None = None
    remote: tuple[str, int] | None = None
    hello: dict[str, Any] | None = None

    def __repr__(self) -> str:
        """Empty, as that of `ConnectionRequest`."""
        return "AuthContext()"

    @property
    def stream(self) -> NoReturn:
        """Raises ``TypeError``: a function that admits by the stream's name must not admit everybody."""
        raise TypeError("a viewer may watch every stream of its server: give guarded streams a server of their own")


Principal: TypeAlias = str
Authenticator: TypeAlias = Callable[[AuthContext], Awaitable[Principal | None]]
"""As `Authenticate`, in pdum.rfb's form."""


def check_authenticate(authenticate: object) -> None:
    """Raises ``TypeError`` for what cannot be called with two arguments, or one; None is fine."""
    if authenticate is not None and not callable(authenticate):
        kind = type(authenticate).__name__
        raise TypeError(f"authenticate is a function of the token and the ConnectionRequest, not of type {kind}")
    signature = _signature(authenticate)
    if signature and not (_binds(signature, 2) or _binds(signature, 1)):
        name = getattr(authenticate, "__name__", type(authenticate).__name__)
        raise TypeError(f"authenticate is a function of the token and the ConnectionRequest, not {name}{signature}")


def of_two_arguments(authenticate: Authenticate | Authenticator) -> Authenticate:
    """The function as it is called: with the token and the request. A function of one argument gets `AuthContext`."""
    check_authenticate(authenticate)
    if not _takes_one(authenticate):
        return cast(Authenticate, authenticate)
    of_one = cast(Authenticator, authenticate)

    def of_two(token: str, request: ConnectionRequest) -> Any:
        return of_one(_context(token, request))

    async def of_two_later(token: str, request: ConnectionRequest) -> str | None:
        return checked_principal(await of_one(_context(token, request)))

    return of_two_later if inspect.iscoroutinefunction(of_one) else of_two


def _context(token: str, request: ConnectionRequest) -> AuthContext:
    remote = (request.remote, 0) if request.remote is not None else None
    hello = {"type": "hello", "token": token}
    return AuthContext(token, Headers(request.headers), request.cookies, "/ws", request.query, remote, hello)


def _takes_one(function: Callable[..., Any]) -> bool:
    signature = _signature(function)
    return signature is not None and _binds(signature, 1) and not _binds(signature, 2)


def _signature(function: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # not a function, or one of C that has no signature
        return None


def _binds(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*[None] * count)
    except TypeError:
        return False
    return True


def checked_principal(answer: object) -> str | None:
    """What an `Authenticate` has answered. Raises ``TypeError`` for what is no principal, True for instance."""
    if answer is None or isinstance(answer, str):
        return answer
    raise TypeError(f"a principal is a string, or None to refuse the viewer, not {type(answer).__name__}")
