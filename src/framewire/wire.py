"""The text messages of ``signaling/schema.json`` as types, and text to message and back.

Must not know sockets or sessions. The schema is normative: ``tests/test_contract.py`` asserts that these structs export
exactly it. Field names are those on the wire.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from framewire.errors import bad_message

VERSION: Final = 1
"""The version of ``signaling/README.md``: in each `Hello`, and in the first byte of each binary message."""
MAX_TEXT_MESSAGE_BYTES: Final = 65_536
"""The longest text message that a viewer may send. An SDP answer has about 3 KiB."""

MAX_TOKEN_CHARACTERS: Final = 256
"""The longest token that `hello` has room for, and so the longest that an engine is given."""

T = TypeVar("T")

Byte = Annotated[int, Meta(ge=1, le=255)]
U32 = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
Id = Annotated[int, Meta(ge=1, le=0xFFFFFFFF)]
U16 = Annotated[int, Meta(ge=0, le=0xFFFF)]
Side = Annotated[int, Meta(ge=1, le=0xFFFF)]
Small = Annotated[int, Meta(ge=0, le=32)]
Str16 = Annotated[str, Meta(max_length=16)]
Str64 = Annotated[str, Meta(max_length=64)]
Str128 = Annotated[str, Meta(max_length=128)]
Str256 = Annotated[str, Meta(max_length=256)]
Str512 = Annotated[str, Meta(max_length=512)]
StreamName = Annotated[str, Meta(min_length=1, max_length=128)]
# Python's `$` also matches before a newline at the end, and JavaScript's does not.
Codec = Annotated[str, Meta(min_length=1, max_length=16, pattern=r"^[a-z0-9_]+(?!\n)$")]
Mode = Literal["webrtc", "webcodecs", "lossless"]
Repair = Literal["flexfec-03"]
EndReason = Literal["no_such_stream", "stream_closed", "no_codec", "peer_failed", "limits", "internal"]
Modifier = Literal["Shift", "Control", "Alt", "Meta"]
EventType = Literal[
    "pointer_down", "pointer_up", "pointer_move", "pointer_enter", "pointer_leave", "double_click", "wheel",
    "key_down", "key_up", "char", "resize", "close", "show", "hide", "focus_in", "focus_out",
]  # fmt: skip


class _Value(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A part of a message."""


class _Message(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="type"):
    """A whole message. Its ``type`` is the name of its class."""


class Touch(_Value, frozen=True):
    x: float
    y: float
    pressure: float


class RenderviewEvent(_Value, frozen=True):
    """An input event in renderview's words. ``signaling/README.md`` says which type has which fields."""

    type: EventType
    timestamp: float
    x: float | UnsetType = UNSET
    y: float | UnsetType = UNSET
    button: Small | UnsetType = UNSET
    buttons: Annotated[list[Small], Meta(max_length=32)] | UnsetType = UNSET
    modifiers: Annotated[list[Modifier], Meta(max_length=8)] | UnsetType = UNSET
    ntouches: Small | UnsetType = UNSET
    touches: Annotated[dict[Str16, Touch], Meta(max_length=32)] | UnsetType = UNSET
    inside: bool | UnsetType = UNSET
    dx: float | UnsetType = UNSET
    dy: float | UnsetType = UNSET
    key: Str64 | UnsetType = UNSET
    code: Str64 | UnsetType = UNSET
    data: Str256 | UnsetType = UNSET
    input_type: Str64 | UnsetType = UNSET
    is_composing: bool | UnsetType = UNSET
    repeat: bool | UnsetType = UNSET
    width: float | UnsetType = UNSET
    height: float | UnsetType = UNSET
    pixel_ratio: float | UnsetType = UNSET
    pwidth: U16 | UnsetType = UNSET
    pheight: U16 | UnsetType = UNSET
    ratio: float | UnsetType = UNSET


_PLACE: Final = frozenset({"inside", "width", "height", "pixel_ratio", "buttons", "modifiers"})
_POINTER: Final = frozenset({"x", "y"}), _PLACE | {"button", "ntouches", "touches"}
_KEY: Final = frozenset({"key"}), frozenset({"code", "modifiers"})
_VIEW: Final = frozenset[str](), frozenset[str]()
EVENT_FIELDS: Final[dict[EventType, tuple[frozenset[str], frozenset[str]]]] = {
    "pointer_down": _POINTER, "pointer_up": _POINTER, "pointer_move": _POINTER, "pointer_enter": _POINTER,
    "pointer_leave": _POINTER, "double_click": _POINTER, "wheel": (frozenset({"x", "y"}), _PLACE | {"dx", "dy"}),
    "key_down": _KEY, "key_up": _KEY,
    "char": (frozenset({"data"}), frozenset({"input_type", "is_composing", "repeat"})),
    "resize": (frozenset({"width", "height"}), frozenset({"pwidth", "pheight", "ratio"})),
    "close": _VIEW, "show": _VIEW, "hide": _VIEW, "focus_in": _VIEW, "focus_out": _VIEW,
}  # fmt: skip
"""Beside ``type`` and ``timestamp``: the fields that an event of this type has, and those that it may have."""


class IceServer(_Value, frozen=True):
    """A STUN or TURN server, as ``RTCIceServer``."""

    urls: Annotated[list[Str512], Meta(max_length=8)]
    username: Str512 | UnsetType = UNSET
    credential: Str512 | UnsetType = UNSET

    def __repr__(self) -> str:
        # The credential must not reach a log.
        return f"IceServer(urls={self.urls!r})"


Cursor = Literal[
    "auto", "default", "none", "context-menu", "help", "pointer", "progress",
    "wait", "cell", "crosshair", "text", "vertical-text", "alias", "copy",
    "move", "no-drop", "not-allowed", "grab", "grabbing", "e-resize", "n-resize",
    "ne-resize", "nw-resize", "s-resize", "se-resize", "sw-resize", "w-resize", "ew-resize",
    "ns-resize", "nesw-resize", "nwse-resize", "col-resize", "row-resize", "all-scroll", "zoom-in",
    "zoom-out",
]  # fmt: skip
"""The shape of the pointer, a keyword of CSS. Addresses of images are not taken: a page would fetch them."""


class StreamInfo(_Value, frozen=True):
    id: U32
    name: StreamName
    width: Side
    height: Side
    fps: float
    title: Annotated[str, Meta(min_length=1, max_length=256)] | UnsetType = UNSET
    cursor: Cursor | UnsetType = UNSET


class Track(_Value, frozen=True):
    sub: Id
    mid: Str16
    codec: Codec


class FrameMark(_Value, frozen=True):
    frame: U32
    rtp_timestamp: U32
    time: float


class Hello(_Message, frozen=True, tag="hello"):
    version: Byte
    token: Annotated[str, Meta(max_length=MAX_TOKEN_CHARACTERS)]
    codecs: Annotated[list[Codec], Meta(max_length=8)]
    webcodecs: Annotated[list[Codec], Meta(max_length=8)] | UnsetType = UNSET
    repair: Annotated[list[Repair], Meta(max_length=8)] | UnsetType = UNSET
    agent: Str256 | UnsetType = UNSET

    def __repr__(self) -> str:
        # The token must not reach a log in a message's repr.
        return f"Hello(version={self.version}, codecs={self.codecs})"


class Subscribe(_Message, frozen=True, tag="subscribe"):
    sub: Id
    stream: StreamName
    mode: Mode
    codec: Codec | UnsetType = UNSET


class Answer(_Message, frozen=True, tag="answer"):
    peer: Id
    offer: Id
    sdp: Annotated[str, Meta(max_length=65_536)]


class Candidate(_Message, frozen=True, tag="candidate"):
    peer: Id
    candidate: Str512
    sdp_mid: Str16


class Unsubscribe(_Message, frozen=True, tag="unsubscribe"):
    sub: Id


class Input(_Message, frozen=True, tag="input"):
    sub: Id
    event: RenderviewEvent


class Ack(_Message, frozen=True, tag="ack"):
    sub: Id
    frame: U32


class Report(_Message, frozen=True, tag="report"):
    sub: Id
    time: float
    visible: bool
    decoded: U32
    painted: U32
    fps: float | UnsetType = UNSET
    latency_ms: float | UnsetType = UNSET
    keyframe: bool | UnsetType = UNSET
    refresh_ms: float | UnsetType = UNSET
    slack_ms: float | UnsetType = UNSET


class Welcome(_Message, frozen=True, tag="welcome"):
    version: Byte
    server: Str128
    epoch: Str64
    time: float
    ice_servers: Annotated[list[IceServer], Meta(max_length=8)]


class Streams(_Message, frozen=True, tag="streams"):
    streams: list[StreamInfo]


class Offer(_Message, frozen=True, tag="offer"):
    peer: Id
    offer: Id
    sdp: Annotated[str, Meta(max_length=262_144)]
    tracks: list[Track]


class Ended(_Message, frozen=True, tag="ended"):
    sub: Id
    reason: EndReason
    detail: Str512 | UnsetType = UNSET


class Stats(_Message, frozen=True, tag="stats"):
    sub: Id
    time: float
    echo: float
    published_fps: float
    sent_fps: float
    encode_ms: float
    bitrate: float
    target_bitrate: float
    viewers: U32
    frames: Annotated[list[FrameMark], Meta(max_length=256)]
    codec: Codec | UnsetType = UNSET
    rested_ms: float | UnsetType = UNSET


ViewerMessage = Hello | Subscribe | Answer | Candidate | Unsubscribe | Input | Ack | Report
ServerMessage = Welcome | Streams | Offer | Ended | Stats

_encode = msgspec.json.Encoder().encode
_viewer: msgspec.json.Decoder[ViewerMessage] = msgspec.json.Decoder(ViewerMessage)
_server: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)


def encode(message: ViewerMessage | ServerMessage) -> str:
    """The message as the text of one WebSocket message."""
    return _encode(message).decode()


def decode_viewer(text: str | bytes) -> ViewerMessage:
    """A viewer's text as a message.

    Raises ``RemoteProtocolError`` (4400) for anything the schema refuses, whatever the bytes.
    """
    return _decode(_viewer, text)


def decode_server(text: str | bytes) -> ServerMessage:
    """A server's text as a message; the twin of `decode_viewer`, for Python viewers and tests."""
    return _decode(_server, text)


def event_dict(event: RenderviewEvent) -> dict[str, Any]:
    """The event as the plain dict that user code gets, with only the fields that were sent.

    Raises ``RemoteProtocolError`` (4400) where its type lacks a field, or has none of that name.
    """
    fields: dict[str, Any] = msgspec.to_builtins(event)
    needed, possible = EVENT_FIELDS[event.type]
    given = fields.keys() - {"type", "timestamp"}
    if missing := needed - given:
        raise bad_message(f"{event.type} without {', '.join(sorted(missing))}")
    if more := given - needed - possible:
        raise bad_message(f"{event.type} with {', '.join(sorted(more))}")
    return fields


def _decode(decoder: msgspec.json.Decoder[T], text: str | bytes) -> T:
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > MAX_TEXT_MESSAGE_BYTES and decoder is _viewer:
        raise bad_message(f"message of {len(data)} bytes, at most {MAX_TEXT_MESSAGE_BYTES}")
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise bad_message(str(error)) from None
