"""The messages between the user's process and the engine process, as types and as bytes.

Must not know sockets, processes or clocks. A message on the link is its length (u32, little-endian)
and that many bytes of MessagePack: a map whose ``type`` is the message's class in snake_case. Both
ends come out of one wheel, so nothing unknown is accepted: a field or type that the other end does not know
is a bug.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from framewire.authentication import ConnectionRequest
from framewire.errors import LocalProtocolError, one_line
from framewire.options import EngineOptions, StreamOptions
from framewire.viewers import WatchingViewer

MAX_MESSAGE_BYTES: Final = 1 << 24
"""The longest message either end sends. A length above it means that the bytes are no messages.

Source: chosen by hand; pinned by `tests/link/test_control.py::test_a_message_of_16_mib_travels_and_no_longer_one`."""

_LENGTH_BYTES: Final = 4


def _snake_case(class_name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).lower()


class _Message(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="type",
    tag=_snake_case,
):
    """A whole message; its class, in snake_case, is its ``type``."""


class Configure(_Message, frozen=True):
    """Parent → engine, first of all: what holds for the whole engine."""

    options: EngineOptions
    """With the token, which is on no command line and in no environment: other users of the machine read those."""
    asks_parent: bool = False
    """Whether the engine sends `AdmissionAsked`, instead of comparing tokens."""


class AddStream(_Message, frozen=True):
    """Parent → engine: there is a stream of this id and name. A later one of the same id gives it a title or cursor."""

    options: StreamOptions


class RemoveStream(_Message, frozen=True):
    """Parent → engine: the stream is closed, and its ring is not written any more."""

    id: int


class Listeners(_Message, frozen=True):
    """Parent → engine, before all others on Windows: the listening sockets, as `socket.share` makes them."""

    shares: tuple[bytes, ...]


class Ring(_Message, frozen=True):
    """Parent → engine: from now on the stream's frames are in this memory, and in no ring before it. Read it at once:
    the bell for its first frame may have come earlier."""

    stream: int
    number: int = 0
    """Tells the stream's rings apart."""
    memory: str | None = None
    """Its name; None where its descriptor travels beside this message."""
    size: int = 0
    """Bytes of a named memory."""


class ViewerOpened(_Message, frozen=True):
    """Parent → engine: a viewer has connected whose messages the parent carries. No later engine is sent this."""

    id: int
    """Names the viewer on the link, in both directions; never used again."""
    request: ConnectionRequest


class ViewerText(_Message, frozen=True):
    """Both directions: a text message of, or to, a viewer that the parent carries."""

    id: int
    text: str


class ViewerBinary(_Message, frozen=True):
    """Engine → parent: a binary message to a viewer."""

    id: int
    data: bytes


class ViewerRead(_Message, frozen=True):
    """Parent → engine: the viewer has read messages of this length, in characters and bytes."""

    id: int
    size: int


class ViewerClosed(_Message, frozen=True):
    """Both directions: the viewer is closed, with the code and the reason that it is to be sent."""

    id: int
    code: int = 0
    reason: str = ""


class AdmissionAsked(_Message, frozen=True):
    """Engine → parent: is the viewer with this token and request admitted? The engine does not wait for long."""

    id: int
    """Names the question. At random, so that a late answer to an earlier engine answers nothing else."""
    token: str
    request: ConnectionRequest

    def __repr__(self) -> str:
        return f"AdmissionAsked(id={self.id!r})"


class AdmissionAnswered(_Message, frozen=True):
    """Parent → engine: the viewer is admitted as this principal; None refuses it."""

    id: int
    principal: str | None = None
    failed: bool = False
    """There is no answer: the viewer may try again."""


class Shutdown(_Message, frozen=True):
    """Parent → engine: close the viewers' sockets and exit."""


class Ready(_Message, frozen=True):
    """Engine → parent: the port is served."""

    pid: int
    epoch: str = ""
    """Names this run of the engine; it changes at every restart."""


class Alive(_Message, frozen=True):
    """Engine → parent, again and again: the engine's loop runs."""

    debugged: bool = False
    """A debugger may hold it for as long as it likes."""


class RingLost(_Message, frozen=True):
    """Engine → parent: the memory of this ring could not be taken. Send it once more, unless another one followed."""

    stream: int
    number: int


class InputArrived(_Message, frozen=True):
    """Engine → parent: a viewer sent an input event, a renderview event as a dict."""

    stream: int
    client_id: str
    event: dict[str, Any]
    principal: str | None = None


class Viewers(_Message, frozen=True):
    """Engine → parent: all viewers that watch the stream now."""

    stream: int
    viewers: tuple[WatchingViewer, ...]


class EngineStats(_Message, frozen=True):
    """Engine → parent: measurements of one stream."""

    stream: int
    stats: dict[str, Any]


class Log(_Message, frozen=True):
    """Engine → parent: a line for the user's log; ``level`` as in :mod:`logging`."""

    level: int
    text: str


class Failed(_Message, frozen=True):
    """Engine → parent: the engine cannot do what it was configured for, and starting it again would not help."""

    text: str


ToEngine: TypeAlias = (
    Listeners | Configure | AddStream | RemoveStream | Ring | ViewerOpened | ViewerText | ViewerRead | ViewerClosed
    | AdmissionAnswered | Shutdown
)  # fmt: skip
FromEngine: TypeAlias = (
    Ready | Alive | RingLost | InputArrived | Viewers | EngineStats | ViewerText | ViewerBinary | ViewerClosed
    | AdmissionAsked | Log | Failed
)  # fmt: skip

_M = TypeVar("_M")

_encoder: Final = msgspec.msgpack.Encoder()


def encode(message: ToEngine | FromEngine) -> bytes:
    """The message with its length before it.

    Raises LocalProtocolError for a field that MessagePack cannot encode, and for a message too long.
    """
    try:
        body = _encoder.encode(message)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise LocalProtocolError(f"{type(message).__name__} cannot be encoded: {error}") from error
    if len(body) > MAX_MESSAGE_BYTES:
        raise LocalProtocolError(f"{type(message).__name__} is {len(body)} bytes, at most {MAX_MESSAGE_BYTES}")
    return len(body).to_bytes(_LENGTH_BYTES, "little") + body


class Decoder(Generic[_M]):
    """Bytes in, messages out. Make one with :func:`engine_decoder` or :func:`parent_decoder`."""

    def __init__(self, messages: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[_M] = msgspec.msgpack.Decoder(messages)
        self._buffer = bytearray()
        self._failed = False

    def feed(self, data: bytes) -> list[_M]:
        """The messages that are complete with ``data``; keeps the rest for the next call.

        Raises LocalProtocolError for anything that is not a message: the other end is framewire as well. A decoder
        that has raised has lost its place in the bytes and refuses everything after.
        """
        if self._failed:
            raise LocalProtocolError("nothing can be read after bytes that were no message")
        self._buffer += data
        try:
            return list(self._complete())
        except (msgspec.MsgspecError, LocalProtocolError, RecursionError, UnicodeDecodeError) as error:
            self._failed = True
            raise LocalProtocolError(f"not a message: {one_line(str(error))}") from error

    def _complete(self) -> Iterator[_M]:
        while len(self._buffer) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(self._buffer[:_LENGTH_BYTES], "little")
            if end > _LENGTH_BYTES + MAX_MESSAGE_BYTES:
                raise LocalProtocolError(f"a length of {end - _LENGTH_BYTES} bytes")
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH_BYTES:end])
            del self._buffer[:end]
            yield self._decoder.decode(body)


def engine_decoder() -> Decoder[ToEngine]:
    """For the engine: decodes the parent's messages."""
    return Decoder(ToEngine)


def parent_decoder() -> Decoder[FromEngine]:
    """For the parent: decodes the engine's messages."""
    return Decoder(FromEngine)
