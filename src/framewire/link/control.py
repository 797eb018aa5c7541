"""What the user's process and the engine process say to each other, as types and as bytes.

Must not know sockets, processes or clocks. A message on the wire is its length (u32, little-endian)
and that many bytes of MessagePack: a map whose ``type`` is the message's class in snake_case. The two
ends come out of one wheel, so nothing unknown is forgiven: a field or type the other end does not know
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

MAX_MESSAGE: Final = 1 << 24
"""Bytes of the longest message either end sends; a length above it can only be rubbish."""

_LENGTH: Final = 4


def _spelled(class_name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).lower()


class _Message(
    Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    tag_field="type",
    tag=_spelled,
):
    """A whole message; its class, in snake_case, is its ``type``."""


class Configure(_Message, frozen=True):
    """Parent → engine, first of all: what holds for the whole server."""

    options: EngineOptions
    """With the token, which is on no command line and in no environment: other users of the machine read those."""


class AddStream(_Message, frozen=True):
    """Parent → engine: there is a stream of this id and name. A later one of the same id replaces it."""

    options: StreamOptions


class RemoveStream(_Message, frozen=True):
    """Parent → engine: the stream is closed and its ring is no more written."""

    id: int


class Ring(_Message, frozen=True):
    """Parent → engine: from now on the stream's frames are in the memory whose descriptor travels beside
    this message, instead of any ring before. Look into it at once: a bell for what is in there may have been
    faster."""

    stream: int


class Shutdown(_Message, frozen=True):
    """Parent → engine: say goodbye to the viewers and exit."""


class Ready(_Message, frozen=True):
    """Engine → parent: the port is served."""

    pid: int
    epoch: str = ""
    """Names this life of the engine; another after every restart."""


class InputArrived(_Message, frozen=True):
    """Engine → parent: a viewer did something; ``event`` is a renderview event."""

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
    """Engine → parent: I cannot do what I was configured for, and starting me again would not help."""

    text: str


class Handles(Struct, frozen=True, kw_only=True):
    """What an engine is born with: descriptors, and who its parent is. Goes on its command line, so
    nothing in here is a secret."""

    control: int
    bell: int
    listeners: tuple[int, ...] = ()
    """Listening sockets, bound by the parent."""
    parent: int
    """Process id; another parent means that this one is gone."""

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

    Raises LocalProtocolError for a field that MessagePack cannot say, and for a message too long.
    """
    try:
        body = _encoder.encode(message)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        raise LocalProtocolError(f"{type(message).__name__} cannot be said: {error}") from error
    if len(body) > MAX_MESSAGE:
        raise LocalProtocolError(f"{type(message).__name__} is {len(body)} bytes; {MAX_MESSAGE} is the most")
    return len(body).to_bytes(_LENGTH, "little") + body


class Decoder(Generic[_M]):
    """Bytes in, messages out. Make one with :func:`engine_decoder` or :func:`parent_decoder`."""

    def __init__(self, messages: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[_M] = msgspec.msgpack.Decoder(messages)
        self._buffer = bytearray()
        self._failed = False

    def feed(self, data: bytes) -> list[_M]:
        """The messages that are whole with ``data``; keeps the rest for the next call.

        Raises LocalProtocolError (the other end is us) on anything that is no message of ours. A decoder
        that has raised has lost its place in the bytes and refuses everything after.
        """
        if self._failed:
            raise LocalProtocolError("nothing can be read after a message that was none")
        self._buffer += data
        try:
            return list(self._whole())
        except (msgspec.MsgspecError, LocalProtocolError) as error:
            self._failed = True
            raise LocalProtocolError(f"not a message of ours: {error}") from error

    def _whole(self) -> Iterator[_M]:
        while len(self._buffer) >= _LENGTH:
            end = _LENGTH + int.from_bytes(self._buffer[:_LENGTH], "little")
            if end > _LENGTH + MAX_MESSAGE:
                raise LocalProtocolError(f"a length of {end - _LENGTH} bytes")
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[_LENGTH:end])
            del self._buffer[:end]
            yield self._decoder.decode(body)


def engine_decoder() -> Decoder[ToEngine]:
    """For the engine: reads what the parent says."""
    return Decoder(ToEngine)


def parent_decoder() -> Decoder[FromEngine]:
    """For the parent: reads what the engine says."""
    return Decoder(FromEngine)


class Replay(Generic[_H]):
    """What a new engine must be told to be where the last one was.

    ``_H`` is whatever stands for a ring's memory; it is only kept and handed back.
    """

    def __init__(self, configure: Configure) -> None:
        self._configure = configure
        self._streams: dict[int, AddStream] = {}
        self._rings: dict[int, tuple[Ring, _H]] = {}

    def record(self, message: ToEngine, ring: _H | None = None) -> None:
        """Keeps what of ``message`` outlives an engine; ``ring`` is the memory that a Ring travels with.

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
        """Everything to be said to a new engine, in order; each with the memory that travels beside it."""
        said: list[tuple[ToEngine, _H | None]] = [(self._configure, None)]
        for id_, stream in self._streams.items():
            said.append((stream, None))
            if id_ in self._rings:
                said.append(self._rings[id_])
        return said


class RestartPolicy:
    """Whether, and how soon, a dead engine is started again.

    The first death of an engine that had been up is answered at once; deaths in quick succession wait
    longer each time, and ``limit`` of them within ``window`` seconds end the trying. An engine that never
    came up gets ``unready_limit`` trials in a row: what kept it from starting is most likely still there.
    """

    def __init__(self, *, limit: int = 5, window: float = 60.0, unready_limit: int = 3) -> None:
        self._limit, self._window, self._unready_limit = limit, window, unready_limit
        self._deaths: list[float] = []
        self._unready = 0

    def died(self, now: float, *, was_ready: bool) -> float | None:
        """Seconds to wait before the next start, or None: give up."""
        self._deaths = [*(t for t in self._deaths if now - t < self._window), now]
        self._unready = 0 if was_ready else self._unready + 1
        if len(self._deaths) >= self._limit or self._unready >= self._unready_limit:
            return None
        n = len(self._deaths)
        return 0.0 if n == 1 else min(4.0, 0.125 * 2.0**n)
