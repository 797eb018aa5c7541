"""Text to message and back: any text is a message or is refused."""

from __future__ import annotations

import json
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from framewire import events, wire
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
    text = json.dumps({"type": kind, "sub": first, "event": second, "version": first, "codecs": second})
    try:
        wire.decode_viewer(text)
    except RemoteProtocolError as error:
        assert error.code == CloseCode.BAD_MESSAGE


touch = st.fixed_dictionaries({"x": st.floats(), "y": st.floats(), "pressure": st.floats()})
some_fields = st.fixed_dictionaries(
    {},
    optional={
        "x": st.floats() | st.integers(), "y": st.floats(), "button": st.integers(-1, 33), "inside": st.booleans(),
        "buttons": st.lists(st.integers(0, 40), max_size=40), "modifiers": st.lists(st.sampled_from(["Alt", "Hyper"])),
        "ntouches": st.integers(), "touches": st.dictionaries(st.text(max_size=20), touch, max_size=40),
        "dx": st.floats(), "key": st.text(), "code": st.text(max_size=70), "data": st.text(max_size=300),
        "is_composing": st.booleans() | st.none(), "width": st.floats(), "height": st.floats(), "pwidth": st.integers(),
    },
)  # fmt: skip


@given(st.sampled_from(get_args(wire.EventType)), st.floats() | st.text(max_size=3), some_fields | json_values)
def test_an_event_is_what_its_type_says_or_a_bad_message(kind: str, timestamp: object, fields: Any) -> None:
    """S17: what a program gets is one of the dicts of `framewire.events`, down to the last field."""
    event = {"type": kind, "timestamp": timestamp, **(fields if isinstance(fields, dict) else {"x": fields})}
    try:
        message = wire.decode_viewer(json.dumps({"type": "input", "sub": 1, "event": event}))
        assert isinstance(message, wire.Input)
        got = wire.event_dict(message.event)
    except RemoteProtocolError as error:
        assert error.code == CloseCode.BAD_MESSAGE
    else:
        (typed,) = (each for each in get_args(events.RenderviewInput) if kind in get_args(get_type_hints(each)["type"]))
        assert msgspec.convert(got, typed) == got == event, "all of its fields, each of its type, and no more"


@pytest.mark.parametrize(("kind", "whole"), [
    ("pointer_down", {"x": 1, "y": 2}), ("wheel", {"x": 1, "y": 2}), ("key_up", {"key": "a"}), ("char", {"data": "a"}),
    ("resize", {"width": 3, "height": 4}), ("show", {}),
])  # fmt: skip
def test_an_event_lacks_nothing_that_its_type_has_and_has_nothing_else(kind: Any, whole: dict[str, Any]) -> None:
    assert wire.event_dict(wire.RenderviewEvent(kind, 1.0, **whole)) == {"type": kind, "timestamp": 1.0, **whole}
    for name in whole:
        rest = {field: value for field, value in whole.items() if field != name}
        with pytest.raises(RemoteProtocolError, match=f" {kind} without {name}$") as caught:
            wire.event_dict(wire.RenderviewEvent(kind, 1.0, **rest))
        assert caught.value.code == CloseCode.BAD_MESSAGE
    more: dict[str, Any] = {"dx": 1.0} if kind != "wheel" else {"button": 1}
    with pytest.raises(RemoteProtocolError, match=f" {kind} with {next(iter(more))}$"):
        wire.event_dict(wire.RenderviewEvent(kind, 1.0, **whole, **more))


def test_all_faults_of_an_event_are_named_in_order() -> None:
    with pytest.raises(RemoteProtocolError, match=r" resize without height, width$"):
        wire.event_dict(wire.RenderviewEvent("resize", 1.0))
    with pytest.raises(RemoteProtocolError, match=r" close with code, key$"):
        wire.event_dict(wire.RenderviewEvent("close", 1.0, key="a", code="b"))


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
