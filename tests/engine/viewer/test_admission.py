"""Which viewers are admitted."""

from __future__ import annotations

from framewire.engine.viewer.admission import Admitted, ConnectionRequest, Refused, token_authorizer
from framewire.errors import CloseCode

TOKEN = "A" * 22


def test_only_the_exact_token_is_admitted() -> None:
    authorize = token_authorizer(TOKEN)
    assert authorize(TOKEN, ConnectionRequest()) == Admitted(principal=None)
    for wrong in ("", "A" * 21, "A" * 23, "a" * 22, "Ä" * 22, "\ud800", TOKEN + "\0"):
        assert authorize(wrong, ConnectionRequest()) == Refused(CloseCode.UNAUTHORIZED, "wrong token")


def test_a_request_shows_nothing_of_itself_in_a_log() -> None:
    secret = "a secret"
    request = ConnectionRequest({"authorization": secret}, {"session": secret}, {"token": secret}, secret)
    assert secret not in repr(request)
