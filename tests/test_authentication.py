"""What a program's own authentication gets of a viewer."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
import pytest

from framewire.authentication import AuthContext, ConnectionRequest, checked_principal, of_two_arguments


def test_a_request_shows_nothing_of_itself_in_a_log() -> None:
    secret = "a secret"
    request = ConnectionRequest({"authorization": secret}, {"session": secret}, {"token": secret}, secret)
    assert secret not in f"{request} {request!r} {[request]}"


def test_a_request_travels_as_it_is() -> None:
    request = ConnectionRequest({"authorization": "x"}, {"session": "é"}, {"q": ""}, "::1")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(request), type=ConnectionRequest) == request
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(ConnectionRequest()), type=ConnectionRequest).remote is None


def test_a_principal_is_a_string_or_none() -> None:
    assert [checked_principal(answer) for answer in ("ada", "", None)] == ["ada", "", None]
    for answer in (True, 0, b"ada"):
        with pytest.raises(TypeError, match=f"a string, or None to refuse the viewer, not {type(answer).__name__}"):
            checked_principal(answer)


REQUEST = ConnectionRequest({"authorization": "Bearer x"}, {"session": "s"}, {"q": "1"}, "::1")


async def test_a_function_of_one_argument_gets_all_of_it_in_a_context() -> None:
    seen: list[Any] = []

    async def authenticate(context: AuthContext) -> str | None:
        seen.append(context)
        return "ada"

    assert await of_two_arguments(authenticate)("secret", REQUEST) == "ada"  # type: ignore[misc]
    (context,) = seen
    assert (context.token, context.cookies, context.query) == ("secret", {"session": "s"}, {"q": "1"})
    assert (context.path, context.remote, context.hello) == ("/ws", ("::1", 0), {"type": "hello", "token": "secret"})
    assert context.headers["Authorization"] == context.headers.get("AUTHORIZATION") == "Bearer x"
    assert "Authorization" in context.headers and "Cookie" not in context.headers and 1 not in context.headers
    assert context.headers.get("Cookie") is None and context.headers.get("Cookie", "-") == "-"
    with pytest.raises(KeyError):
        context.headers["Cookie"]
    assert f"{context} {[context]}" == "AuthContext() [AuthContext()]"


async def test_a_function_that_admits_by_the_stream_admits_no_viewer() -> None:
    async def authenticate(context: AuthContext) -> str | None:
        return "ada" if context.stream != "secret" else None

    with pytest.raises(TypeError, match="a viewer may watch every stream of its server: give guarded streams a server"):
        await of_two_arguments(authenticate)("", ConnectionRequest())  # type: ignore[misc]


async def test_a_viewer_without_an_address_has_none_in_its_context() -> None:
    def plain(context: AuthContext) -> Any:
        return None if context.remote is None else "ada"

    assert of_two_arguments(plain)("", ConnectionRequest()) is None, "and stays a plain function"


async def test_a_principal_of_its_own_kind_is_refused_in_words() -> None:
    async def authenticate(context: AuthContext) -> Any:
        return {"email": "ada@lab.example"}

    with pytest.raises(TypeError, match="a principal is a string, or None to refuse the viewer, not dict"):
        await of_two_arguments(authenticate)("", REQUEST)  # type: ignore[misc]


def test_a_function_of_two_arguments_stays_as_it_is() -> None:
    def two(token: str, request: ConnectionRequest) -> str | None:
        return token

    def any_number(*arguments: Any) -> str | None:
        return "ada"

    def with_default(token: str, request: ConnectionRequest | None = None) -> str | None:
        return token

    for function in (two, any_number, with_default, dict.fromkeys, min):
        assert of_two_arguments(function) is function  # type: ignore[arg-type]

    class Guard:
        def check(self, context: AuthContext) -> str:
            return "ada"

    for one in (Guard().check, functools.partial(two, request=REQUEST)):
        assert of_two_arguments(one) is not one  # type: ignore[arg-type]
