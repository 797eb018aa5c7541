"""The messages between the user's process and the engine process, as types and as bytes.

Must not know sockets, processes or clocks. A message on the link is its length (u32, little-endian)
and that many bytes of MessagePack: a map whose ``type`` is the message's class in snake_case. Both
ends come out of one wheel, so nothing unknown is accepted: a field or type that the other end does not know
is a bug.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

from framewire.errors import LocalProtocolError
from framewire.options import EngineOptions, StreamOptions

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


class AddStream(_Message, frozen=True):
    """Parent → engine: there is a stream of this id and name. A later one of the same id replaces it."""

    options: StreamOptions


class RemoveStream(_Message, frozen=True):
    """Parent → engine: the stream is closed, and its ring is not written any more."""

    id: int


class Ring(_Message, frozen=True):
    """Parent → engine: from now on the stream's frames are in the memory whose descriptor travels beside
    this message, and in no ring before it. Read it at once: the bell for its first frame may have come earlier."""

    stream: int


class Shutdown(_Message, frozen=True):
    """Parent → engine: close the viewers' sockets and exit."""


class Ready(_Message, frozen=True):
    """Engine → parent: the port is served."""

    pid: int
    epoch: str = ""
    """Names this run of the engine; it changes at every restart."""


class InputArrived(_Message, frozen=True):
    """Engine → parent: a viewer sent an input event, a renderview event as a dict."""

    stream: int
    client_id: str
    event: dict[str, Any]
    principal: str | None = None


class Viewers(_Message, frozen=True):
    """Engine → parent: how many viewers watch the stream now."""

    stream: int
    count: int


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


class Handles(Struct, frozen=True, kw_only=True):
    """What an engine is started with: descriptors, and its parent. Goes on its command line, so nothing in here is a
    secret."""

    control: int
    bell: int
    listeners: tuple[int, ...] = ()
    """Listening sockets, bound by the parent."""
    parent: int
    """Process id; when the engine has another parent, this one is gone."""

    def arguments(self) -> list[str]:
        """As they stand at the end of the engine's command line."""
        listeners = ",".join(map(str, self.listeners))
        return [f"--control={self.control}", f"--bell={self.bell}", f"--listen={listeners}",
                f"--parent={self.parent}"]  # fmt: skip

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> Handles:
        """The engine's side of :meth:`arguments`. Raises LocalProtocolError for anything else."""
        words = dict(word.split("=", 1) for word in arguments if "=" in word)
        try:
            listeners = tuple(int(n) for n in words.pop("--listen").split(",") if n)
            control, bell, parent = (int(words.pop(f"--{name}")) for name in ("control", "bell", "parent"))
        except (KeyError, ValueError) as error:
            raise LocalProtocolError(f"not what an engine is started with: {arguments}") from error
        return cls(control=control, bell=bell, listeners=listeners, parent=parent)


ToEngine: TypeAlias = Configure | AddStream | RemoveStream | Ring | Shutdown
FromEngine: TypeAlias = Ready | InputArrived | Viewers | EngineStats | Log | Failed

_M = TypeVar("_M")
_H = TypeVar("_H")

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
        except (msgspec.MsgspecError, LocalProtocolError) as error:
            self._failed = True
            raise LocalProtocolError(f"not a message: {error}") from error

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


class Replay(Generic[_H]):
    """What a new engine must be sent to be where the last one was.

    ``_H`` is whatever stands for a ring's memory; it is only kept and handed back.
    """

    def __init__(self, configure: Configure) -> None:
        self._configure = configure
        self._streams: dict[int, AddStream] = {}
        self._rings: dict[int, tuple[Ring, _H]] = {}

    def record(self, message: ToEngine, ring: _H | None = None) -> None:
        """Keep ``message`` if it holds for the next engine as well; ``ring`` is the memory that a Ring travels with.

        Raises LocalProtocolError for a Ring without memory or of a stream that was not added.
        """
        match message:
            case Configure():
                self._configure = message
            case AddStream():
                self._streams[message.options.id] = message
            case RemoveStream():
                self._streams.pop(message.id, None)
                self._rings.pop(message.id, None)
            case Ring():
                if ring is None or message.stream not in self._streams:
                    raise LocalProtocolError(f"{message} without memory or without its stream")
                self._rings[message.stream] = (message, ring)
            case Shutdown():
                pass

    def messages(self) -> list[tuple[ToEngine, _H | None]]:
        """Everything to send to a new engine, in order; each with the memory that travels beside it."""
        messages: list[tuple[ToEngine, _H | None]] = [(self._configure, None)]
        for id_, stream in self._streams.items():
            messages.append((stream, None))
            if id_ in self._rings:
                messages.append(self._rings[id_])
        return messages


FIRST_DELAY_S: Final = 0.5
"""Wait so long after the second exit in a row; twice as long after each further one.

Source: chosen by hand; pinned by
`tests/link/test_control.py::test_the_first_restart_is_immediate_and_later_ones_wait`."""
MAX_DELAY_S: Final = 4.0
"""The longest wait.

Source: chosen by hand; pinned by
`tests/link/test_control.py::test_the_first_restart_is_immediate_and_later_ones_wait`."""


class RestartPolicy:
    """Whether, and how soon, an engine that has exited is started again.

    The first one is started again at once. Exits in quick succession make it wait longer each time, and ``limit`` of
    them within ``window`` seconds end the attempts. An engine that never came up gets ``unready_limit`` attempts in a
    row: what kept it from starting is most likely still there.
    """

    def __init__(self, *, limit: int = 5, window: float = 60.0, unready_limit: int = 3) -> None:
        self._limit, self._window, self._unready_limit = limit, window, unready_limit
        self._exits: list[float] = []
        self._unready = 0

    def exited(self, now: float, *, was_ready: bool) -> float | None:
        """Seconds to wait before the next start, or None to give up."""
        self._exits = [*(t for t in self._exits if now - t < self._window), now]
        self._unready = 0 if was_ready else self._unready + 1
        if len(self._exits) >= self._limit or self._unready >= self._unready_limit:
            return None
        count = len(self._exits)
        return 0.0 if count == 1 else min(MAX_DELAY_S, FIRST_DELAY_S * 2.0 ** (count - 2))
