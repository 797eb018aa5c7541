"""What a peer's values show of themselves."""

from __future__ import annotations

from framewire.rtc.events import IceServer


def test_a_credential_is_in_no_log():
    server = IceServer(["turn:turn.example:3478"], username="user", credential="s3cret")
    assert "turn.example" in repr(server)
    assert "s3cret" not in repr(server)
    assert "user" not in repr(server)
