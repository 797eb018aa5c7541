"""What a program's own authentication gets of a viewer."""

from __future__ import annotations

import msgspec
import pytest

from framewire.authentication import ConnectionRequest, checked_principal


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
