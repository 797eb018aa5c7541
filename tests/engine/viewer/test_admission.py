"""Which viewers are admitted."""

from __future__ import annotations

import inspect

import pytest

from framewire.authentication import ConnectionRequest
from framewire.engine.viewer.admission import Admitted, Refused, program_authorizer, token_authorizer
from framewire.errors import CloseCode

TOKEN = "A" * 22


def test_only_the_exact_token_is_admitted() -> None:
    authorize = token_authorizer(TOKEN)
    assert authorize(TOKEN, ConnectionRequest()) == Admitted(principal=None)
    for wrong in ("", "A" * 21, "A" * 23, "a" * 22, "Ä" * 22, "\ud800", TOKEN + "\0"):
        assert authorize(wrong, ConnectionRequest()) == Refused(CloseCode.UNAUTHORIZED, "wrong token")


def test_a_program_admits_the_viewers_that_it_returns_a_principal_for() -> None:
    asked = ConnectionRequest(query={"user": "ada"})
    authorize = program_authorizer(lambda token, request: request.query.get(token))
    assert authorize("user", asked) == Admitted("ada")
    assert authorize("other", asked) == Refused(CloseCode.UNAUTHORIZED, "not admitted")


async def test_a_program_may_answer_later() -> None:
    async def authenticate(token: str, _: ConnectionRequest) -> str | None:
        return token or None

    authorize = program_authorizer(authenticate)
    for token, admission in {"ada": Admitted("ada"), "": Refused(CloseCode.UNAUTHORIZED, "not admitted")}.items():
        answer = authorize(token, ConnectionRequest())
        assert inspect.isawaitable(answer) and await answer == admission


def test_what_is_no_principal_admits_no_viewer() -> None:
    with pytest.raises(TypeError, match="a principal is a string, or None to refuse the viewer, not bool"):
        program_authorizer(lambda *_: True)("", ConnectionRequest())  # type: ignore[arg-type]
