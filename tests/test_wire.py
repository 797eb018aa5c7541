"""Text to message and back: any text is a message or is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from framewire import wire
from framewire.codec import messages
from framewire.errors import CloseCode, RemoteProtocolError
from framewire.frame import AccessUnit


@given(st.binary(max_size=400) | st.text(max_size=400))
def test_anything_is_a_message_or_a_bad_message(data: bytes | str) -> None:
    for decode in (wire.decode_viewer, wire.decode_server):
        try:
            decode(data)
        except RemoteProtocolError as error:
            assert error.code == CloseCode.BAD_MESSAGE


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


@given(st.sampled_from(["hello", "subscribe", "input", "ack", "report", "candidate"]), json_values, json_values)
def test_well_formed_json_with_odd_fields(kind: str, first: object, second: object) -> None:
    import json

    text = json.dumps({"type": kind, "sub": first, "event": second, "version": first, "codecs": second})
    try:
        wire.decode_viewer(text)
    except RemoteProtocolError as error:
        assert error.code == CloseCode.BAD_MESSAGE


def test_a_text_longer_than_64_kib_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(RemoteProtocolError, match="at most 65536"):
        wire.decode_viewer(" " * 70_000)


def test_a_text_of_64_kib_is_read() -> None:
    hello = wire.encode(wire.Hello(version=1, token="t", codecs=[]))
    assert isinstance(wire.decode_viewer(hello.ljust(65_536)), wire.Hello)


def test_a_server_may_send_longer_texts() -> None:
    offer = wire.Offer(1, 1, "v" * 100_000, [])
    assert wire.decode_server(wire.encode(offer)) == offer


def test_this_is_version_1_in_text_and_bytes() -> None:
    unit = AccessUnit("vp8", b"x", 0, 0, 1, 1)
    assert wire.VERSION == messages.messages(unit, 1)[0][0] == 1


def test_deep_nesting_is_a_bad_message() -> None:
    with pytest.raises(RemoteProtocolError):
        wire.decode_viewer('{"type":"input","sub":1,"event":' + "[" * 30_000)


def test_a_repr_does_not_contain_the_token() -> None:
    hello = wire.Hello(version=1, token="s3cret", codecs=["vp8"])
    assert "s3cret" not in repr(hello) and "s3cret" not in str(hello)


def test_user_code_gets_only_the_fields_that_were_sent() -> None:
    text = '{"type":"input","sub":1,"event":{"type":"pointer_down","timestamp":1.5,"x":3,"y":4,"button":1}}'
    message = wire.decode_viewer(text)
    assert isinstance(message, wire.Input)
    assert wire.event_dict(message.event) == {"type": "pointer_down", "timestamp": 1.5, "x": 3, "y": 4, "button": 1}
